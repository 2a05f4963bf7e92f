"""The configuration portable mode runs with, and its one account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import attrs

from sftpgo.config.load import Loaded
from sftpgo.config.model import HTTPD, SFTPD, Config, DataProvider, HostKey
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.portable.options import Share

#: Clients offer each of their keys before a password is asked for.
_AUTH_TRIES = 12

#: Who presses Ctrl-C decides how long to wait; a hung client is ended by the idle timeout.
_GRACE_TIME = 7 * 24 * 3600


def loaded(share: Share, host_keys: Sequence[str], config_dir: str) -> Loaded:
    """The configuration: no HTTP, users in memory, no quotas, the original's other settings.

    @param host_keys: absolute paths.
    @param config_dir: where relative paths would start from; nothing is written there.
    """
    sftpd = SFTPD(
        bind_port=share.port,
        bind_address=share.bind_address,
        max_auth_tries=_AUTH_TRIES,
        keys=tuple(HostKey(path) for path in host_keys),
        enabled_ssh_commands=share.commands,
        grace_time=_GRACE_TIME,
    )
    data = DataProvider(driver="memory", name="", track_quota=0, manage_users=0)
    return Loaded(Config(sftpd=sftpd, data_provider=data, httpd=HTTPD(bind_port=0)), None, (), config_dir)


def provider(user: User, hash_password: Callable[[str], Awaitable[str]]) -> MemoryProvider:
    """A data provider with this one account, whose password is hashed when it starts."""

    async def load() -> Sequence[User]:
        password = await hash_password(user.password) if user.password else ""
        return [attrs.evolve(user, id=1, password=password)]

    return MemoryProvider(load)
