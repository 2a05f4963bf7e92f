"""How to reach MySQL or MariaDB, from the configuration or from a connection string in either of its two forms."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from sftpgo.config.model import DataProvider
from sftpgo.errors import StartupError

#: What C{tls=} may be, by C{data_provider.sslmode}.
TLS_MODES: Final = ("false", "true", "skip-verify", "preferred")

_PORT = 3306
_HIGHEST_PORT = 65535

#: C{user:password@tcp(host:port)/name?parameters}: the password may hold anything, so the last C{@} counts.
_DSN = re.compile(
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>.*))?@)?(?:(?P<net>tcp|unix)?(?:\((?P<address>[^()]*)\))?)?/"
    r"(?P<name>[^/?]*)(?:\?(?P<query>.*))?",
    re.DOTALL,
)
#: By its scheme: in the other form too a password may hold C{://}.
_URL = re.compile(r"(?:mysql|mariadb)(?:\+\w+)?://", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>\d{1,5}))?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FORMS = '"user:password@tcp(host:port)/name?tls=..." or "mysql://user:password@host:port/name?tls=..."'


@attrs.frozen
class Target:
    """One database and how to get there.

    @ivar tls: one of L{TLS_MODES}.
    @ivar authorities: file of certificates to judge the server's by; empty for the system's.
    @ivar connect_timeout: seconds, as the others.
    """

    host: str = "127.0.0.1"
    port: int = _PORT
    socket: str = ""
    user: str = ""
    password: str = attrs.field(default="", repr=False)
    name: str = ""
    tls: str = "false"
    authorities: str = ""
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    write_timeout: float = 30.0

    def described(self) -> str:
        """The database in words, for errors: never with the password."""
        return f'the MySQL database "{self.name}" at {self.socket or f"{self.host}:{self.port}"}'

    def tls_arguments(self) -> dict[str, object]:
        """What PyMySQL is given for the mode.

        @raise StartupError: the file of certificates cannot be read.
        """
        if self.tls == "false":
            return {"ssl_disabled": True}
        if self.tls == "preferred":
            return {}
        try:
            context = ssl.create_default_context(cafile=self.authorities or None)
        except OSError as error:
            raise StartupError(f'the certificates in "{self.authorities}" cannot be read: {error.strerror}') from error
        if self.tls == "skip-verify":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}


def target(settings: DataProvider) -> Target:
    """Where the configuration points.

    @raise StartupError: the connection string cannot be read; its text, which holds a password, is not told.
    """
    text = settings.connection_string
    if not text:
        host, socket = (settings.host, "") if not settings.host.startswith("/") else ("", settings.host)
        return Target(
            host=host or "127.0.0.1",
            port=settings.port or _PORT,
            socket=socket,
            user=settings.username,
            password=settings.password,
            name=settings.name,
            tls=TLS_MODES[settings.sslmode],
        )
    return _from_url(text) if _URL.match(text) else _from_dsn(text)


def _from_url(text: str) -> Target:
    try:
        url = urlsplit(text)
        port = url.port or _PORT
    except ValueError:
        raise _unreadable("the host or the port cannot be read") from None
    found = Target(
        host=url.hostname or "127.0.0.1",
        port=port,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        name=unquote(url.path.removeprefix("/")),
    )
    return _with_parameters(found, dict(parse_qsl(url.query, keep_blank_values=True)))


def _from_dsn(text: str) -> Target:
    match = _DSN.fullmatch(text)
    if match is None:
        raise _unreadable("it is of another form")
    net, address = match["net"] or "tcp", match["address"] or ""
    found = Target(user=match["user"] or "", password=match["password"] or "", name=unquote(match["name"]))
    if net == "unix":
        found = attrs.evolve(found, socket=address or "/run/mysqld/mysqld.sock")
    else:
        where = _ADDRESS.fullmatch(address)
        if where is None or int(where["port"] or 0) > _HIGHEST_PORT:
            raise _unreadable("the address is not host:port")
        host = where["six"] or where["host"] or "127.0.0.1"
        found = attrs.evolve(found, host=host, port=int(where["port"] or _PORT))
    return _with_parameters(found, dict(parse_qsl(match["query"] or "", keep_blank_values=True)))


def _with_parameters(found: Target, parameters: Mapping[str, str]) -> Target:
    """Those that mean something here; others tune the original's driver and are read over."""
    changes: dict[str, Any] = {}
    if "tls" in parameters:
        if (mode := parameters["tls"].lower()) not in TLS_MODES:
            raise _unreadable("tls is none of " + ", ".join(TLS_MODES))
        changes["tls"] = mode
    if "ssl_ca" in parameters:
        changes["authorities"] = parameters["ssl_ca"]
    if "unix_socket" in parameters:
        changes["socket"] = parameters["unix_socket"]
    for name, field in (("timeout", "connect"), ("readTimeout", "read"), ("writeTimeout", "write")):
        if name in parameters:
            changes[field + "_timeout"] = _seconds(name, parameters[name])
    return attrs.evolve(found, **changes)


def _seconds(name: str, text: str) -> float:
    parts = _DURATION.findall(text)
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or not 0 < seconds <= 3600:
        raise _unreadable(f"{name} is no duration as 10s or 1m30s")
    return seconds


def _unreadable(why: str) -> StartupError:
    return StartupError(f"data_provider.connection_string: expected {_FORMS}, found another: {why}")
