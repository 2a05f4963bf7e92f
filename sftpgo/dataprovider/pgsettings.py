"""How to reach PostgreSQL, from the configuration."""

from __future__ import annotations

import psycopg2
from psycopg2.extensions import parse_dsn

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.backoff import DatabaseDown
from sftpgo.errors import StartupError

SSLMODES = ("disable", "require", "verify-ca", "verify-full")

#: What a server says that is there and yet does not serve now.
_PASSING = ("starting up", "shutting down", "recovery mode", "too many clients", "remaining connection slots")

#: A server whose machine vanished is noticed within a minute, whatever the kernel's own patience.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "fallback_application_name": "sftpgo",
}


def parameters(settings: DataProvider) -> dict[str, str]:
    """The parameters of libpq by name.

    @raise StartupError: the connection string cannot be read; its text, which may hold a password, is not told.
    """
    if settings.connection_string:
        try:
            given = parse_dsn(settings.connection_string)
        except (psycopg2.Error, UnicodeError):
            raise StartupError(
                'data_provider.connection_string: expected "host=... dbname=..." or "postgresql://...", '
                "found neither, or a value or parameter in it that libpq does not know"
            ) from None
    else:
        given = {
            "host": settings.host,
            "port": str(settings.port or ""),
            "dbname": settings.name,
            "user": settings.username,
            "password": settings.password,
            "sslmode": SSLMODES[settings.sslmode],
        }
    return {**_DEFAULTS, **{name: value for name, value in given.items() if value}, "client_encoding": "UTF8"}


def described(parameters: dict[str, str]) -> str:
    """The database in words, for errors: never with the password."""
    where = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = f":{parameters['port']}" if "port" in parameters else ""
    name = parameters.get("dbname") or parameters.get("user", "")
    return f'the PostgreSQL database "{name}" at {where}{port}'


def startup_error(error: psycopg2.Error) -> StartupError:
    """Why no connection could be had: an outage, or a refusal that waiting does not change."""
    text = told(error)
    away = isinstance(error, psycopg2.OperationalError) and "FATAL" not in text
    return (DatabaseDown if away or any(words in text for words in _PASSING) else StartupError)(text)


def told(error: psycopg2.Error) -> str:
    """The server's text in one line, without details: they may hold values."""
    primary = error.diag.message_primary if error.diag is not None else None
    return primary or " ".join(str(error).split()) or type(error).__name__
