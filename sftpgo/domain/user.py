"""The virtual account: one frozen record, with the names, order and units of the REST API."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

STATUS_DISABLED = 0
STATUS_ENABLED = 1


@attrs.frozen
class Filters:
    """Who may log in from where: networks in CIDR notation, denied ones judged first."""

    allowed_ip: tuple[str, ...] = ()
    denied_ip: tuple[str, ...] = ()


@attrs.frozen
class User:
    """A virtual account as the data provider keeps it.

    Times are unix milliseconds, sizes bytes, bandwidths KB/s (1 KB is 1000 bytes); 0 means "no limit" or "never".

    @ivar password: the stored hash, or the plain text on its way to L{sftpgo.accounts.Accounts}; never in a C{repr}.
    @ivar public_keys: lines as in C{authorized_keys}.
    @ivar home_dir: absolute path of the one directory the user sees as C{/}.
    @ivar uid: owner given to what the user creates, if 1..65535 (and the same for C{gid}).
    @ivar permissions: virtual directory -> names of L{sftpgo.domain.permissions.Permission}.
    """

    id: int = 0
    status: int = STATUS_DISABLED
    username: str = ""
    expiration_date: int = 0
    password: str = attrs.field(default="", repr=False)
    public_keys: tuple[str, ...] = ()
    home_dir: str = ""
    uid: int = 0
    gid: int = 0
    max_sessions: int = 0
    quota_size: int = 0
    quota_files: int = 0
    permissions: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    used_quota_size: int = 0
    used_quota_files: int = 0
    last_quota_update: int = 0
    upload_bandwidth: int = 0
    download_bandwidth: int = 0
    last_login: int = 0
    filters: Filters = Filters()

    def has_quota_restrictions(self) -> bool:
        """Tell whether either quota limits this user."""
        return self.quota_files > 0 or self.quota_size > 0

    def without_password(self) -> User:
        """The same user as anybody may see it: in answers, notifications and logs."""
        return attrs.evolve(self, password="")
