"""Users in MySQL or MariaDB, through PyMySQL in threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool
from twisted.internet.interfaces import IReactorFromThreads

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider import schema
from sftpgo.dataprovider.backoff import Backoff, DatabaseDown
from sftpgo.dataprovider.mysettings import Target, target
from sftpgo.dataprovider.threaded import Engines, ThreadedProvider
from sftpgo.errors import StartupError

_DEFAULT_POOL = 4
_STATEMENT_TIMEOUT = 20
_CONNECTION_LIFE = 1800

#: What PyMySQL raises, and what passes through it.
DRIVER_ERRORS = (pymysql.Error, OSError, RuntimeError, UnicodeError)

#: Too many connections, shutting down, cannot connect (socket, TCP, unknown host), gone away, lost.
_PASSING = frozenset({1040, 1053, 2002, 2003, 2005, 2006, 2013})
_NO_SUCH_TABLE = 1146


class MySQLProvider(ThreadedProvider):
    """L{sftpgo.interfaces.IDataProvider} over MySQL or MariaDB.

    The schema is made by C{sftpgo initprovider}; here it is only looked at.
    """

    def __init__(self, settings: DataProvider, *, reactor: IReactorFromThreads, warn: Callable[[str], None]) -> None:
        """Take where the database is; nothing is opened before C{start}.

        @param warn: called in the reactor's thread with one line for each row that cannot be read.
        @raise StartupError: for a connection string that cannot be read.
        """
        size = settings.pool_size or _DEFAULT_POOL
        super().__init__(
            partial(open_engines, target(settings), settings.users_table, size),
            reactor=reactor,
            warn=warn,
            users_table=settings.users_table,
            # One connection is the lists', one the writers'.
            lookup_threads=max(1, size - 2),
            compare_bytes=True,
        )


def open_engines(where: Target, table: str, size: int) -> tuple[Engines, list[str]]:
    """Connect and look at the table.  Blocks.

    @raise StartupError: in one line, naming the database.
    """
    try:
        first = open_connection(where)
        try:
            with first.cursor() as cursor:
                schema.require_current("mysql", table, columns_of(cursor, table))
        finally:
            first.close()
    except DRIVER_ERRORS as error:
        raise startup_error(f"cannot use {where.described()}", error) from error
    except StartupError as error:
        raise type(error)(f"cannot use {where.described()}: {error}") from error
    engine = create_engine(
        "mysql+pymysql://",
        creator=partial(_connect_again, where, Backoff(time.monotonic)),
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        # Asked before each use: after a restart of the database nobody gets an error for it.
        pool_pre_ping=True,
        pool_recycle=_CONNECTION_LIFE,
        # Each call of ours is one statement and, with autocommit, a transaction by itself.
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        # No hash of a password in the text of an error.
        hide_parameters=True,
    )
    return Engines(records=engine, counters=engine, reads=engine), []


def open_connection(where: Target) -> Any:
    """A connection that commits each statement, refuses what it would have to cut short, and gives up in time."""
    arguments: dict[str, Any] = {"unix_socket": where.socket} if where.socket else {"host": where.host}
    connection = pymysql.connect(
        **arguments,
        **where.tls_arguments(),
        port=where.port,
        user=where.user,
        password=where.password,
        database=where.name,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=where.connect_timeout,
        read_timeout=where.read_timeout,
        write_timeout=where.write_timeout,
        # An update that changes nothing has still found its row.
        client_flag=CLIENT.FOUND_ROWS,
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES')")
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {_STATEMENT_TIMEOUT}")
            if "mariadb" in connection.get_server_info().lower():
                cursor.execute(f"SET SESSION max_statement_time = {_STATEMENT_TIMEOUT}")
            else:
                cursor.execute(f"SET SESSION max_execution_time = {_STATEMENT_TIMEOUT * 1000}")
    except BaseException:
        connection.close()
        raise
    return connection


def columns_of(cursor: Any, table: str) -> Sequence[str]:
    """The names of a table's or view's columns; none when there is no such table."""
    try:
        cursor.execute(f"SELECT * FROM `{table}` LIMIT 0")  # noqa: S608 -- the configuration takes identifiers only
    except pymysql.ProgrammingError as error:
        if error.args and error.args[0] == _NO_SUCH_TABLE:
            return ()
        raise
    return [column[0] for column in cursor.description]


def lock(cursor: Any, name: str) -> None:
    """Wait until nobody else holds this lock; it ends with the connection."""
    cursor.execute("SELECT GET_LOCK(%s, 15)", (name,))
    if cursor.fetchone() != (1,):
        raise StartupError(f"another {name} is at work on it")


def startup_error(what: str, error: BaseException) -> StartupError:
    """The driver's error in one line."""
    code = error.args[0] if error.args else None
    told = str(error.args[1]) if isinstance(error, pymysql.Error) and len(error.args) > 1 else str(error)
    kind = DatabaseDown if code in _PASSING or isinstance(error, OSError) else StartupError
    return kind(f"{what}: {' '.join(told.split())}")


def _connect_again(where: Target, backoff: Backoff) -> Any:
    backoff.check()
    try:
        connection = open_connection(where)
    except DRIVER_ERRORS as error:
        failure = startup_error(f"cannot reach {where.described()}", error)
        backoff.failed(failure)
        raise failure from error
    backoff.succeeded()
    return connection
