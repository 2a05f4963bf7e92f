"""The configuration as the rest of the server sees it: frozen records that hold only values that fit.

The names are those of the file.  Paths are as written there: L{sftpgo.config.load.resolve} makes them absolute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import attrs

from sftpgo.config import rules
from sftpgo.config.bindings import ADDRESSES, PROXY_PROTOCOL, Binding, BindingRule, needs_proxies
from sftpgo.config.keys import key
from sftpgo.config.problems import Unfit, describe
from sftpgo.config.rules import Boolean, Integer, ListOf, choice

TRANSFER_EVENTS: Final = ("download", "upload", "delete", "rename", "ssh_cmd")
USER_EVENTS: Final = ("add", "update", "delete")
ALL_COMMANDS: Final = "*"
SSH_COMMANDS: Final = (
    "scp",
    "md5sum",
    "sha1sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "cd",
    "pwd",
    "git-receive-pack",
    "git-upload-pack",
    "git-upload-archive",
    "rsync",
)
"""Every SSH command there is an implementation of."""


@attrs.frozen
class HostKey:
    """One private key of the server.

    @ivar private_key: path of the file, relative to the configuration directory.
    """

    private_key: str

    def __attrs_post_init__(self) -> None:
        """Refuse what is no path."""
        rules.PATH.parse(self.private_key)


@attrs.frozen
class _HostKeyRule:
    """A section with the one key C{private_key}; in text the path alone."""

    expected: ClassVar[str] = "a section with a private_key"
    secret: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ("private_key",)

    def parse(self, value: object) -> HostKey:
        """The host key."""
        if isinstance(value, HostKey):
            return value
        if not isinstance(value, Mapping):
            raise Unfit.expected(self.expected, value)
        if "private_key" not in value:
            raise Unfit([("", f"expected {self.expected}, found one without")])
        try:
            return HostKey(value["private_key"])
        except Unfit as unfit:
            raise Unfit([(f".private_key{place}", text) for place, text in unfit.faults]) from None

    def from_text(self, text: str) -> Mapping[str, str]:
        """A section of that path."""
        return {"private_key": text}


@attrs.frozen(kw_only=True)
class Actions:
    """What is run or called when something happened; both when both are set, the command first."""

    execute_on: tuple[str, ...] = key(
        (), ListOf(choice(*dict.fromkeys(TRANSFER_EVENTS + USER_EVENTS))), "Events that run the action."
    )
    command: str = key("", rules.OPTIONAL_ABSOLUTE_PATH, "Absolute path of the program to run; empty: none.")
    http_notification_url: str = key("", rules.URL, "URL to call; empty: none.")


@attrs.frozen(kw_only=True)
class TransferActions(Actions):
    """Actions on files and SSH commands."""

    execute_on: tuple[str, ...] = key((), ListOf(choice(*TRANSFER_EVENTS)), "Events that run the action.")


@attrs.frozen(kw_only=True)
class UserActions(Actions):
    """Actions on changes of the users."""

    execute_on: tuple[str, ...] = key((), ListOf(choice(*USER_EVENTS)), "Events that run the action.")


@attrs.frozen(kw_only=True)
class SFTPD:
    """The SSH server."""

    bind_port: int = key(2022, rules.PORT, "TCP port of the SSH server; 0: any free port.")
    bind_address: str | tuple[str, ...] = key("", ADDRESSES, "Address to listen on, or a list of them; empty: all.")
    bindings: tuple[Binding, ...] = key(
        (), ListOf(BindingRule()), "Addresses and ports to listen on, in place of the two keys above; empty: those."
    )
    proxy_protocol: int = key(
        0, PROXY_PROTOCOL, "PROXY headers from the addresses of proxy_allowed: 0 none, 1 allowed, 2 required."
    )
    proxy_allowed: tuple[str, ...] = key((), ListOf(rules.NETWORK), "Proxies whose PROXY headers are believed.")
    idle_timeout: int = key(15, Integer(), "Minutes after which an idle connection is closed; 0: never.")
    max_auth_tries: int = key(
        0, Integer(-rules.LARGEST - 1), "Failed logins a connection may make; 0: 6, negative: no limit."
    )
    umask: str = key("0022", rules.OCTAL_MODE, "Permission bits taken from new files and directories, octal.")
    banner: str = key("", rules.SSH_BANNER, "Software version sent after SSH-2.0-; blank: SFTPGo_ and the version.")
    upload_mode: int = key(0, Integer(0, 2), "0: write in place, 1: atomic, 2: atomic, a broken upload is kept.")
    actions: TransferActions = TransferActions()
    keys: tuple[HostKey, ...] = key((), ListOf(_HostKeyRule()), "Host keys; empty: id_rsa and others are generated.")
    enable_scp: bool = key(False, Boolean(), "Old form of naming scp in enabled_ssh_commands.")
    kex_algorithms: tuple[str, ...] = key((), ListOf(rules.ALGORITHM), "Key exchanges; empty: the default ones.")
    ciphers: tuple[str, ...] = key((), ListOf(rules.ALGORITHM), "Ciphers; empty: the default ones.")
    macs: tuple[str, ...] = key((), ListOf(rules.ALGORITHM), "Message authentication codes; empty: the default ones.")
    login_banner_file: str = key("", rules.OPTIONAL_PATH, "File whose text is shown before the login; empty: none.")
    setstat_mode: int = key(0, Integer(0, 1), "1: chmod, chown and utime answer OK and do nothing.")
    enabled_ssh_commands: tuple[str, ...] = key(
        ("md5sum", "sha1sum", "cd", "pwd"),
        ListOf(choice(*SSH_COMMANDS, ALL_COMMANDS)),
        "SSH commands that clients may run; * stands for all.",
    )
    system_commands_without_confinement: bool = key(
        False, Boolean(), "Run git and rsync even where the kernel cannot confine them."
    )
    grace_time: int = key(30, Integer(), "Seconds that running transfers get to end at shutdown.")
    login_timeout: int = key(120, Integer(1), "Seconds from the accepted connection to the finished login.")
    max_unauthenticated: int = key(100, Integer(1), "Connections that may be in their login at the same time.")
    bandwidth_per_transfer: bool = key(
        False, Boolean(), "true: bandwidth limits hold for each transfer by itself, not for all of a user's together."
    )
    fsync_uploads: bool = key(False, Boolean(), "true: an upload is answered as done when it is on the disk.")
    upload_digest: bool = key(False, Boolean(), "true: the log line of an upload holds its SHA-256.")

    def __attrs_post_init__(self) -> None:
        """Refuse to wait for headers that nobody would be believed for."""
        if needs_proxies(self.proxy_protocol, self.bindings) and not self.proxy_allowed:
            text = "expected the addresses of the proxies, because proxy_protocol is not 0; found an empty list"
            raise Unfit([(".proxy_allowed", text)])

    @property
    def umask_value(self) -> int:
        """The umask as the operating system takes it."""
        return int(self.umask, 8)

    @property
    def allowed_commands(self) -> frozenset[str]:
        """The SSH commands that clients may run, with C{*} and C{enable_scp} written out."""
        if ALL_COMMANDS in self.enabled_ssh_commands:
            return frozenset(SSH_COMMANDS)
        return frozenset(self.enabled_ssh_commands) | (frozenset({"scp"}) if self.enable_scp else frozenset())


@attrs.frozen(kw_only=True)
class DataProvider:
    """Where the users are kept."""

    driver: str = key("sqlite", choice("sqlite", "postgresql", "mysql", "bolt", "memory"), "Kind of the store.")
    name: str = key("sftpgo.db", rules.LINE, "Database name; for sqlite and bolt the path of the file.")
    host: str = key("", rules.LINE, "Database host; not for sqlite, bolt and memory.")
    port: int = key(5432, rules.PORT, "Database port; not for sqlite, bolt and memory.")
    username: str = key("", rules.LINE, "Database user.")
    password: str = key("", rules.SECRET, "Password of the database user.")
    sslmode: int = key(
        0,
        Integer(0, 3),
        "TLS: 0 disable, 1 require, 2 verify-ca (mysql: skip-verify), 3 verify-full (mysql: preferred).",
    )
    connection_string: str = key("", rules.SECRET, "Replaces what is built from the keys above; empty: not used.")
    users_table: str = key("users", rules.IDENTIFIER, "Table of the users.")
    manage_users: int = key(1, Integer(0, 1), "1: users are managed over REST and the web; 0: read only.")
    track_quota: int = key(2, Integer(0, 2), "Used quota is kept: 0 never, 1 always, 2 for users with a quota.")
    pool_size: int = key(0, Integer(), "Most open connections to the database; 0: the driver's own limit.")
    users_base_dir: str = key(
        "",
        rules.OPTIONAL_ABSOLUTE_PATH,
        "Absolute path that holds the homes of users created without one; empty: none.",
    )
    actions: UserActions = UserActions()

    def __attrs_post_init__(self) -> None:
        """Refuse a file store without a file: SQLite would keep the users in a file that is lost at exit."""
        if self.driver in ("sqlite", "bolt") and not self.connection_string and not self.name.strip():
            text = f"expected the path of a file for the driver {self.driver}, found {describe(self.name)}"
            raise Unfit([(".name", text)])


@attrs.frozen(kw_only=True)
class HTTPD:
    """The HTTP server: REST, web administration, metrics."""

    bind_port: int = key(8080, rules.PORT, "TCP port of the HTTP server; 0: no HTTP server.")
    bind_address: str | tuple[str, ...] = key(
        "127.0.0.1", ADDRESSES, "Address to listen on, or a list of them; empty: all."
    )
    templates_path: str = key("templates", rules.PATH, "Directory of the pages' templates.")
    static_files_path: str = key("static", rules.PATH, "Directory of the pages' static files.")
    backups_path: str = key("backups", rules.PATH, "Directory that dumps of the users are written to.")
    auth_user_file: str = key("", rules.OPTIONAL_PATH, "File of htpasswd with who may use it; empty: anybody.")
    allow_unauthenticated: bool = key(
        False, Boolean(), "Listen on other addresses than those of this machine although anybody may use it."
    )
    allowed_hosts: tuple[str, ...] = key(
        (), ListOf(rules.HOST), "Names it may be called by, without ports; empty: localhost on a loopback address."
    )
    proxy_allowed: tuple[str, ...] = key(
        (), ListOf(rules.NETWORK), "Proxies whose X-Forwarded-For and X-Real-IP are believed."
    )
    certificate_file: str = key("", rules.OPTIONAL_PATH, "Certificate chain as PEM, for HTTPS; empty: plain HTTP.")
    certificate_key_file: str = key("", rules.OPTIONAL_PATH, "Private key of the certificate as PEM.")


@attrs.frozen(kw_only=True)
class Config:
    """The whole configuration."""

    sftpd: SFTPD = SFTPD()
    data_provider: DataProvider = DataProvider()
    httpd: HTTPD = HTTPD()
