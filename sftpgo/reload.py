"""What of a changed configuration a running server takes over, and what needs a restart."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred

from sftpgo.config.keys import Key, walk
from sftpgo.config.model import Config
from sftpgo.config.problems import Unfit
from sftpgo.errors import ConfigurationError

AT_ONCE: Final = frozenset(
    {
        "sftpd.idle_timeout",
        "sftpd.max_auth_tries",
        "sftpd.umask",
        "sftpd.banner",
        "sftpd.actions.execute_on",
        "sftpd.actions.command",
        "sftpd.actions.http_notification_url",
        "sftpd.keys",
        "sftpd.enable_scp",
        "sftpd.kex_algorithms",
        "sftpd.ciphers",
        "sftpd.macs",
        "sftpd.login_banner_file",
        "sftpd.setstat_mode",
        "sftpd.enabled_ssh_commands",
        "sftpd.system_commands_without_confinement",
        "sftpd.grace_time",
        "sftpd.login_timeout",
        "sftpd.max_unauthenticated",
        "sftpd.fsync_uploads",
        "sftpd.upload_digest",
        "sftpd.proxy_protocol",
        "sftpd.proxy_allowed",
        "data_provider.actions.execute_on",
        "data_provider.actions.command",
        "data_provider.actions.http_notification_url",
        "httpd.allowed_hosts",
        "httpd.proxy_allowed",
    }
)
"""Keys that hold for new connections as soon as they are read again."""

IF_SET_BEFORE: Final = frozenset({"httpd.auth_user_file", "httpd.certificate_file", "httpd.certificate_key_file"})
"""Keys that name another file at once; to begin or to cease to have one needs a restart."""


@attrs.frozen
class Change:
    """A new configuration beside the one in use.

    @ivar config: what to use from now on: the new values of the keys that can change, the old ones of the others.
    @ivar changed: names of the keys that do.
    @ivar waiting: names of the keys that have another value but need a restart.
    """

    config: Config
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def compare(used: Config, new: Config) -> Change:
    """What changes.

    @raise ConfigurationError: when new values do not go with old ones that stay until a restart.
    """
    changed: list[Key] = []
    waiting: list[str] = []
    for key in walk(Config):
        before, after = _value(used, key.path), _value(new, key.path)
        if before == after:
            continue
        if key.name in AT_ONCE or (key.name in IF_SET_BEFORE and before and after):
            changed.append(key)
        else:
            waiting.append(key.name)
    # Keys that belong together are changed together.
    sections: dict[str, Any] = {}
    for key in changed:
        section = sections
        for name in key.path[:-1]:
            section = section.setdefault(name, {})
        section[key.path[-1]] = _value(new, key.path)
    try:
        config = _evolved(used, sections)
    except Unfit as unfit:
        text = f"{unfit} (with the values that need a restart to change: {', '.join(waiting)})"
        raise ConfigurationError([text]) from unfit
    return Change(config, tuple(key.name for key in changed), tuple(waiting))


def _value(config: Config, path: tuple[str, ...]) -> Any:
    return reduce(getattr, path, config)


def _evolved(section: Any, values: dict[str, Any]) -> Any:
    """A section with other values, sections in it too."""
    return attrs.evolve(
        section,
        **{
            name: _evolved(getattr(section, name), value) if isinstance(value, dict) else value
            for name, value in values.items()
        },
    )


class Coalesced:
    """Does something when it is asked to; asked while it is at it, it does it once more afterwards.

    @param work: what to do; it must not fail.
    """

    def __init__(self, work: Callable[[], Deferred[None]]) -> None:
        self._work = work
        self._running = False
        self._again = False

    def __call__(self) -> None:
        """Do it."""
        if self._running:
            self._again = True
            return
        self._running = True
        self._work().addBoth(self._done)

    def _done(self, _result: object) -> None:
        self._running = False
        if self._again:
            self._again = False
            self()
