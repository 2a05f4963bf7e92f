"""Running statements on an engine: plain blocking functions, called in threads.

Whatever the driver raises leaves here as L{ProviderError} with the driver's own text; as L{OutcomeUnknown} where the
connection broke.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Delete, Engine, Insert, Select, Update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sftpgo.dataprovider.rows import Page, user_from_row, users_from_rows
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, OutcomeUnknown, ProviderError, StartupError

#: What the original says of a user that is not there, with any SQL database.
NO_ROWS = "sql: no rows in result set"


def fetch(engine: Engine, statement: Select[*tuple[Any, ...]], **values: object) -> Sequence[Mapping[str, Any]]:
    """All rows, by column name."""
    with _driver_errors(), engine.connect() as connection:
        return [row._asdict() for row in connection.execute(statement, values)]


def fetch_user(engine: Engine, statement: Select[*tuple[Any, ...]], **values: object) -> User:
    """The one user; raises L{NotFound}, or L{ProviderError} if the row cannot be read."""
    rows = fetch(engine, statement, **values)
    if not rows:
        raise NotFound(NO_ROWS)
    return user_from_row(rows[0])


def fetch_page(engine: Engine, statement: Select[*tuple[Any, ...]], **values: object) -> Page:
    """All users whose rows can be read."""
    return users_from_rows(fetch(engine, statement, **values))


def insert(engine: Engine, statement: Insert, values: Mapping[str, object]) -> int:
    """Add one row in a transaction of its own; returns its id."""
    with _transaction(engine) as connection:
        key = connection.execute(statement, values).inserted_primary_key
        if key is None:
            raise ProviderError("the database gave no id to the new user")
        return int(key[0])


def write(engine: Engine, statement: Update | Delete, values: Mapping[str, object]) -> None:
    """Change one row in a transaction of its own; raises L{NotFound} if there is none."""
    with _transaction(engine) as connection:
        if connection.execute(statement, values).rowcount == 0:
            raise NotFound(NO_ROWS)


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with _driver_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def _driver_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        # From the driver's error: SQLAlchemy's own shows the statement, and its text would end up in logs.
        kind = OutcomeUnknown if error.connection_invalidated else ProviderError
        raise kind(_told(error.orig)) from error.orig
    except SQLAlchemyError as error:
        raise ProviderError(str(error.args[0]) if error.args else type(error).__name__) from error
    except StartupError as error:
        # The pool had to connect anew, and could not.
        raise ProviderError(str(error)) from error
    except (OverflowError, UnicodeError) as error:
        # What a driver says of values it cannot bind, or read, without asking the database.
        raise ProviderError(str(error)) from error


def _told(error: BaseException | None) -> str:
    """The driver's text; MySQL's comes with a number, which the original showed in this form."""
    arguments = error.args if error is not None else ()
    if len(arguments) == 2 and isinstance(arguments[0], int):
        return f"Error {arguments[0]}: {arguments[1]}"
    return str(error)
