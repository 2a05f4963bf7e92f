"""C{sftpgo initprovider}: bring a database's schema up to date, and say what was done.

Blocking, for a command of its own: a server never changes a shared database by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import psycopg2

from sftpgo.config.load import resolve
from sftpgo.config.model import DataProvider
from sftpgo.dataprovider import keyvalue, mysettings, mysql, pgsettings, schema, sqlite
from sftpgo.dataprovider.schema import Script
from sftpgo.errors import StartupError

#: Any number, the same for every sftpgo: who else applies scripts waits.
_ADVISORY_LOCK = 0x53465450


def initialise(settings: DataProvider, config_dir: str) -> Sequence[str]:
    """Apply the scripts a database lacks, each as a whole; returns lines that tell what was done.

    @raise StartupError: in one line; L{DatabaseDown} when waiting may help.
    """
    if settings.driver == "postgresql":
        return _postgresql(settings)
    if settings.driver == "mysql":
        return _mysql(settings)
    if settings.driver == "sqlite":
        location = sqlite.location(resolve(config_dir, settings.name), settings.connection_string)
        applied = sqlite.prepare(location, settings.users_table)
        return _report(f"SQLite, {location.removeprefix('file:')}", settings.users_table, applied)
    if settings.driver == "bolt":
        path = resolve(config_dir, settings.connection_string or settings.name)
        keyvalue.open_environment(path).close()
        return [f'the key/value file "{path}" is ready']
    return ["the driver memory keeps nothing: there is nothing to prepare"]


def _postgresql(settings: DataProvider) -> Sequence[str]:
    parameters = pgsettings.parameters(settings)
    where = pgsettings.described(parameters)
    try:
        with closing(psycopg2.connect(**parameters)) as connection:
            connection.autocommit = True
            cursor = connection.cursor()

            def columns() -> list[str]:
                cursor.execute(
                    "SELECT attname FROM pg_attribute"
                    " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
                    (f'"{settings.users_table}"',),
                )
                return [name for (name,) in cursor.fetchall()]

            def apply(script: Script) -> None:
                for statement in schema.statements(script, settings.users_table):
                    cursor.execute(statement)

            def one() -> Script | None:
                cursor.execute("BEGIN")
                try:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_ADVISORY_LOCK,))
                    done = _next(columns(), "postgresql", apply)
                except BaseException:
                    if not connection.closed:
                        cursor.execute("ROLLBACK")
                    raise
                cursor.execute("COMMIT")
                return done

            return _report(where, settings.users_table, _all(one))
    except psycopg2.Error as error:
        reason = pgsettings.startup_error(error)
        raise type(reason)(f"cannot prepare {where}: {reason}") from error
    except StartupError as error:
        raise type(error)(f"cannot prepare {where}: {error}") from error


def _mysql(settings: DataProvider) -> Sequence[str]:
    target = mysettings.target(settings)
    where = target.described()
    try:
        with closing(mysql.open_connection(target)) as connection, connection.cursor() as cursor:
            mysql.lock(cursor, "sftpgo initprovider")

            def apply(script: Script) -> None:
                for statement in schema.statements(script, settings.users_table):
                    cursor.execute(statement)

            def one() -> Script | None:
                return _next(mysql.columns_of(cursor, settings.users_table), "mysql", apply)

            return _report(where, settings.users_table, _all(one))
    except mysql.DRIVER_ERRORS as error:
        raise mysql.startup_error(f"cannot prepare {where}", error) from error
    except StartupError as error:
        raise type(error)(f"cannot prepare {where}: {error}") from error


def _next(columns: Sequence[str], dialect: str, apply: Callable[[Script], None]) -> Script | None:
    """Apply the first script that is missing; returns it."""
    missing = schema.pending(schema.load_scripts(dialect), {name.lower() for name in columns}, rebuilds=False)
    if not missing:
        return None
    apply(missing[0])
    return missing[0]


def _all(one: Callable[[], Any]) -> list[str]:
    done = []
    while (script := one()) is not None:
        done.append(script.name)
    return done


def _report(where: str, table: str, applied: Sequence[str]) -> list[str]:
    if not applied:
        return [f'{where}: the table "{table}" is up to date, nothing was changed']
    return [f'{where}: applied {name}.sql to the table "{table}"' for name in applied]
