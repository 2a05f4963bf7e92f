"""Users in an SQLite file: opening it, bringing its schema up to date, and the provider over it."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlencode

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.pool import QueuePool
from twisted.internet.interfaces import IReactorFromThreads

from sftpgo.dataprovider import schema
from sftpgo.dataprovider.threaded import Engines, ThreadedProvider
from sftpgo.errors import StartupError

#: How long one process waits for another that writes to the same file, in seconds.
_BUSY_TIMEOUT = 15.0


class SQLiteProvider(ThreadedProvider):
    """L{sftpgo.interfaces.IDataProvider} over one file, which other processes may use at the same time.

    The file is made when it is missing, and brought up to date when it is of an older version.
    """

    def __init__(
        self,
        path: str,
        *,
        reactor: IReactorFromThreads,
        warn: Callable[[str], None],
        users_table: str = "users",
        connection_string: str = "",
        lookup_threads: int = 2,
    ) -> None:
        """Take where the file is; nothing is opened before C{start}.

        @param warn: called in the reactor's thread with one line for whatever is wrong and yet no reason to fail.
        @param connection_string: C{file:PATH?parameters}, in place of C{path}.
        @param lookup_threads: how many lookups of one user may run at once; lists and writes have threads of their
            own.
        """
        super().__init__(
            partial(open_engines, location(path, connection_string), users_table, lookup_threads),
            reactor=reactor,
            warn=warn,
            users_table=users_table,
            lookup_threads=lookup_threads,
        )


def location(path: str, connection_string: str) -> str:
    """C{file:PATH?parameters}, from the configuration."""
    return connection_string or "file:" + quote(os.fsencode(path))


def file_of(where: str) -> str:
    """The path in C{file:PATH?parameters}; raises L{StartupError} where there is none."""
    return _parse(where)[0]


def prepare(where: str, table: str) -> list[str]:
    """Bring the schema up to date; returns the names of the scripts that were applied.  Blocks.

    @param where: C{file:PATH?parameters}.
    @raise StartupError: in one line, naming the file.
    """
    return _prepared(*_parse(where), table)[1]


def open_engines(where: str, table: str, lookup_threads: int) -> tuple[Engines, list[str]]:
    """Open the file and bring its schema up to date.  Blocks.

    @param where: C{file:PATH?parameters}.
    @return: the engines, and warnings.
    @raise StartupError: in one line, naming the file.
    """
    path, parameters = _parse(where)
    warnings, _applied = _prepared(path, parameters, table)
    uri = _uri(path, parameters)
    return (
        Engines(
            # A row that was answered for survives a power cut.  What is used and who logged in when does not need to:
            # one fsync for each upload would cost more than the upload, and a scan counts anew.
            records=_engine(partial(_connect, uri, "PRAGMA synchronous = FULL"), 1),
            counters=_engine(partial(_connect, uri, "PRAGMA synchronous = NORMAL"), 1),
            reads=_engine(partial(_connect, uri, "PRAGMA query_only = ON"), lookup_threads + 1),
        ),
        warnings,
    )


def _prepared(path: str, parameters: list[tuple[str, str]], table: str) -> tuple[list[str], list[str]]:
    """Warnings, and the names of the scripts applied."""
    try:
        _make_file(path)
        connection = _connect(_uri(path, parameters))
        try:
            return _use_wal(connection, path), _migrate(connection, table)
        finally:
            connection.close()
    except (OSError, sqlite3.Error, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StartupError(f'cannot open the SQLite database "{path}": {reason}') from error
    except StartupError as error:
        raise StartupError(f'cannot use the SQLite database "{path}": {error}') from error


def _parse(where: str) -> tuple[str, list[tuple[str, str]]]:
    """Path and parameters of a C{file:} URI or of a plain path."""
    if not where.startswith("file:"):
        return where, []
    rest, _, query = where.removeprefix("file:").partition("#")[0].partition("?")
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    path = os.fsdecode(unquote_to_bytes(rest))
    parameters = parse_qsl(query, keep_blank_values=True)
    if path in ("", ":memory:") or ("mode", "memory") in parameters:
        raise StartupError("SQLite needs a file: to keep users in memory there is the driver memory")
    # A shared cache locks tables between the connections of one process and answers "locked" without waiting; each
    # connection with a cache of its own and the write-ahead log between them does not.  The file is always opened to
    # write, and made by us, with our mode.
    return path, [(name, value) for name, value in parameters if name not in ("cache", "mode")]


def _uri(path: str, parameters: list[tuple[str, str]]) -> str:
    return "file:" + quote(os.fsencode(os.path.abspath(path))) + "?" + urlencode([*parameters, ("mode", "rw")])


def _make_file(path: str) -> None:
    """Make a missing file, empty and for nobody else; refuse what is no file.  Raises L{OSError}, L{StartupError}."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise StartupError(f"it is {kind}") from None


def _connect(uri: str, *pragmas: str) -> sqlite3.Connection:
    """A connection that begins no transaction by itself and may be used by one thread after another."""
    connection = sqlite3.connect(
        uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    # One row that is not UTF-8 must not make a whole list fail: it is told apart when the row is read.
    connection.text_factory = _decode
    for pragma in pragmas:
        connection.execute(pragma)
    return connection


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _engine(connect: Callable[[], sqlite3.Connection], connections: int) -> Engine:
    # Each call of ours is one statement, and SQLite makes one a transaction by itself: no BEGIN, no COMMIT.
    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        # No hash of a password in the text of an error.
        hide_parameters=True,
    )
    event.listen(engine, "handle_error", _let_go_of_what_cannot_be_read)
    return engine


def _let_go_of_what_cannot_be_read(context: ExceptionContext) -> None:
    """Connect anew after an error that a connection would go on to give when the file has been put in order.

    It keeps the pages it has read as long as nobody writes through SQLite, and the file that it opened when another
    has come in its place.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_IOERR):
        context.is_disconnect = True


def _use_wal(connection: sqlite3.Connection, path: str) -> list[str]:
    """Switch the file to the write-ahead log: then those who read never wait for the one who writes."""
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            # In some states SQLite waits for this lock by itself, in others it answers at once.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    if mode == "wal":
        return []
    return [f'the SQLite database "{path}" cannot have a write-ahead log (mode {mode}): reading waits for writing']


def _migrate(connection: sqlite3.Connection, table: str) -> list[str]:
    """Apply the missing scripts, each as one transaction; returns their names."""
    applied = []
    scripts = schema.load_scripts("sqlite")
    # Somebody's view of the table stays as it is while the table is built anew under the same name.
    connection.execute("PRAGMA legacy_alter_table = ON")
    while _pending(connection, scripts, table):
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Asked again under the lock: another process may have been at it.
            missing = _pending(connection, scripts, table)
            for statement in schema.statements(missing[0], table) if missing else ():
                connection.execute(statement)
            connection.execute("COMMIT")
            applied += [script.name for script in missing[:1]]
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return applied


def _pending(connection: sqlite3.Connection, scripts: list[schema.Script], table: str) -> list[schema.Script]:
    columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
    try:
        missing = list(schema.pending(scripts, {name.lower() for (name,) in columns}))
    except StartupError as error:
        raise StartupError(f'the table "{table}" is {error}') from error
    if missing:
        _refuse_to_lose(connection, table)
    return missing


def _refuse_to_lose(connection: sqlite3.Connection, table: str) -> None:
    """An index or trigger somebody added goes with the old table: that is theirs to decide."""
    query = "SELECT type, name FROM sqlite_master WHERE lower(tbl_name) = lower(?) AND type != 'table' AND sql NOT NULL"
    for kind, name in connection.execute(query, (table,)).fetchall():
        if kind in ("index", "trigger"):
            raise StartupError(f'bringing the table "{table}" up to date would lose the {kind} "{name}": drop it first')
