"""Where the users are kept: whether it answers, and whether its schema is current.  Nothing in it is changed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import quote

import attrs

from sftpgo.config.load import Loaded
from sftpgo.dataprovider import schema
from sftpgo.dataprovider.backoff import DatabaseDown
from sftpgo.dataprovider.select import select_provider
from sftpgo.doctor.files import database_file
from sftpgo.doctor.finding import Finding, fail, ok, warn
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError, StartupError

_PAGE = 500
_INITIALISE = "sftpgo initprovider"


@attrs.frozen
class Seen:
    """What was found, and the users that were read.

    @ivar more: there are users beyond those.
    """

    findings: tuple[Finding, ...]
    users: tuple[User, ...] = ()
    more: bool = False


def unopened(loaded: Loaded) -> Finding | None:
    """What keeps the store's file from being opened as it is: the server would change it, the doctor must not."""
    path = database_file(loaded.config, loaded.config_dir)
    settings = loaded.config.data_provider
    if path and not os.path.exists(path):
        return ok("provider", f"{settings.driver}: {path} is not there yet: it is made at the first start")
    return _sqlite(path, settings.users_table) if path and settings.driver == "sqlite" else None


def _sqlite(path: str, table: str) -> Finding | None:
    try:
        uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as connection:
            rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        missing = schema.pending(schema.load_scripts("sqlite"), {str(name).lower() for (name,) in rows})
    except sqlite3.Error as error:
        return fail("provider", f"sqlite: {path}: {error}", "restore it from a backup, or give it to the server's user")
    except StartupError as error:
        return fail("provider", f'sqlite: {path}: the table "{table}" is {error}', "mend data_provider.users_table")
    if not missing:
        return None
    names = ", ".join(script.name for script in missing)
    text = f'sqlite: {path}: the table "{table}" is not current, it lacks {names}'
    return warn("schema", text, f"back it up, then {_INITIALISE}; the server does so at its next start")


async def ask(loaded: Loaded, reactor: Any, limit: int) -> Seen:
    """Open the store and read up to C{limit} users, by name."""
    warnings: list[Finding] = []
    settings = loaded.config.data_provider

    def warned(text: str) -> None:
        warnings.append(warn("provider", text, "see the documentation of the driver"))

    try:
        provider = select_provider(settings, loaded.config_dir, reactor=reactor, warn=warned)
        await provider.start()
    except DatabaseDown as error:
        do = "start the database, mend data_provider.host and port, or wait for it with serve --wait"
        return Seen((fail("provider", f"{settings.driver}: {error}", do),))
    except StartupError as error:
        old = _INITIALISE in str(error)
        do = f"{_INITIALISE}, once, with the server's configuration" if old else "mend the section data_provider"
        return Seen((fail("schema" if old else "provider", f"{settings.driver}: {error}", do),))
    try:
        await provider.check()
        users = await _users(provider, limit)
    except ProviderError as error:
        found = fail("provider", f"{settings.driver}: the users cannot be read: {error}", "look at the database's log")
        return Seen((*warnings, found))
    finally:
        await provider.stop()
    more = len(users) > limit
    count = f"more than {limit}" if more else str(len(users))
    found = ok("provider", f"{settings.driver}: it answers, its schema is current, users: {count}")
    return Seen((*warnings, found), tuple(users[:limit]), more)


async def _users(provider: Any, limit: int) -> list[User]:
    """One more than the limit, if there are so many."""
    users: list[User] = []
    while len(users) <= limit:
        page = await provider.dump(users[-1].username if users else "", min(_PAGE, limit + 1 - len(users)))
        if not page:
            break
        users.extend(page)
    return users
