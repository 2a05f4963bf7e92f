"""What the original keeps users in: its dump, and its SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import quote

from sftpgo.dataprovider.dumpfile import entries
from sftpgo.dataprovider.rows import user_from_row
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError
from sftpgo.importing.found import Found, Options, Source, SourceError, opened

#: What rows hold that are older than these columns.
_BEFORE = {"expiration_date": 0, "last_login": 0, "status": 1, "filters": None}


@contextmanager
def open_dump(path: str, _options: Options) -> Iterator[Source]:
    """The users of a dump; raises L{SourceError}."""
    with opened(path) as (file, size):

        def accounts() -> Iterator[Found]:
            try:
                for entry in entries(file):
                    yield Found(f"user {entry.index}", entry.user, refusal=entry.problem)
            except (OSError, ValueError) as error:
                raise SourceError(f'"{path}" is no dump of users: {error}') from error

        yield Source(accounts(), lambda: min(1.0, file.tell() / size))


@contextmanager
def open_sqlite(path: str, options: Options) -> Iterator[Source]:
    """The users of an SQLite file, which may be in use; raises L{SourceError}."""
    try:
        connection = sqlite3.connect(f"file:{quote(os.fsencode(path))}?mode=ro", uri=True, check_same_thread=False)
        with closing(connection):
            connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
            connection.row_factory = sqlite3.Row
            total, cursor = _select(connection, options.table)
            read = 0

            def accounts() -> Iterator[Found]:
                nonlocal read
                try:
                    for row in cursor:
                        read += 1
                        yield _found(row)
                except sqlite3.Error as error:
                    raise SourceError(f'cannot read "{path}": {error}') from error

            yield Source(accounts(), lambda: min(1.0, read / max(1, total)))
    except sqlite3.Error as error:
        raise SourceError(f'cannot read "{path}": {error}') from error


def _select(connection: sqlite3.Connection, table: str) -> tuple[int, sqlite3.Cursor]:
    present = [row["name"] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    if missing := {"id", "username", "home_dir", "permissions"} - {name.lower() for name in present}:
        what = f"lacks {', '.join(sorted(missing))}" if present else "is not there"
        raise sqlite3.DatabaseError(f'the table "{table}" {what}')
    # The name is that of a table of the file.
    quoted = '"' + table.replace('"', '""') + '"'
    (total,) = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608
    return total, connection.execute(f"SELECT * FROM {quoted} ORDER BY username")  # noqa: S608


def _found(row: sqlite3.Row) -> Found:
    values = _BEFORE | {name.lower(): row[name] for name in row.keys()}  # noqa: SIM118 -- a Row iterates its values
    where = f"row {values['id']}"
    try:
        return Found(where, user_from_row(values))
    except KeyError as error:
        return Found(where, _named(values), refusal=f"there is no column {error.args[0]}")
    except ProviderError as error:
        return Found(where, _named(values), refusal=str(error))


def _named(values: dict[str, object]) -> User:
    return User(username=str(values["username"]).encode(errors="replace").decode())
