"""Which data provider the configuration asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.threads import deferToThreadPool

from sftpgo.config.load import resolve
from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.dumpfile import read_all
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.dataprovider.readonly import ReadOnlyProvider
from sftpgo.domain.user import User


def select_provider(settings: DataProvider, config_dir: str, *, reactor: Any, warn: Callable[[str], None]) -> Any:
    """The provider, not opened yet.

    What a driver needs is imported when it is asked for: the server starts without the libraries of the others.

    A store that users are not managed in, and whose quota is not tracked, is only read.

    @param warn: called in the reactor's thread with one line for whatever is wrong and yet no reason to fail.
    @raise StartupError: for a connection string that cannot be read.
    """
    provider = _of_driver(settings, config_dir, reactor, warn)
    return provider if settings.manage_users or settings.track_quota else ReadOnlyProvider(provider)


def _dump_file(settings: DataProvider) -> str:
    """The dump that the driver memory begins with: its name, unless that is the default, a database of SQLite's."""
    return settings.connection_string or ("" if settings.name == DataProvider().name else settings.name.strip())


def _loaded(path: str, reactor: Any) -> Awaitable[Sequence[User]]:
    loading: Awaitable[Sequence[User]] = deferToThreadPool(reactor, reactor.getThreadPool(), read_all, path)
    return loading


def _of_driver(settings: DataProvider, config_dir: str, reactor: Any, warn: Callable[[str], None]) -> Any:
    if settings.driver == "postgresql":
        from sftpgo.dataprovider.postgresql import PostgreSQLProvider  # noqa: PLC0415

        return PostgreSQLProvider(settings, reactor=reactor, warn=warn)
    if settings.driver == "mysql":
        from sftpgo.dataprovider.mysql import MySQLProvider  # noqa: PLC0415

        return MySQLProvider(settings, reactor=reactor, warn=warn)
    if settings.driver == "bolt":
        from sftpgo.dataprovider.bolt import BoltProvider  # noqa: PLC0415

        path = resolve(config_dir, settings.connection_string or settings.name)
        return BoltProvider(path, reactor=reactor, warn=warn)
    if settings.driver == "memory":
        dump = _dump_file(settings)
        load = partial(_loaded, resolve(config_dir, dump), reactor) if dump else None
        return MemoryProvider(load, partial(deferToThreadPool, reactor, reactor.getThreadPool()))
    from sftpgo.dataprovider.sqlite import SQLiteProvider  # noqa: PLC0415

    return SQLiteProvider(
        resolve(config_dir, settings.name),
        users_table=settings.users_table,
        connection_string=settings.connection_string,
        reactor=reactor,
        warn=warn,
    )
