"""The schema's scripts: which there are, which a database still lacks, and their statements one by one.

There is no table of versions, so that a database of the original opens as it is: the columns that are there say
which scripts it has seen.  Each script therefore names the columns it brings, in a comment at its top.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import attrs

from sftpgo.errors import StartupError

_NAME = re.compile(r"\d{8}\.sql")
_COLUMNS = re.compile(r"^-- Columns: (.*(?:\n-- .*)*)", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE = re.compile(r"""(["'`])(new__)?users\1""")
_LEADING_COMMENTS = re.compile(r"\A(?:\s+|--[^\n]*\n)+")


@attrs.frozen
class Script:
    """One step of the schema.

    @ivar name: the day it was written, YYYYMMDD: scripts are applied in this order.
    @ivar columns: the columns the table has after this script and had not before.
    @ivar text: all of it, from C{BEGIN;} to C{COMMIT;} so that it can be applied by hand too.
    """

    name: str
    columns: frozenset[str]
    text: str


def load_scripts(dialect: str) -> list[Script]:
    """All scripts for C{sqlite}, C{postgresql} or C{mysql}, oldest first; raises L{StartupError} if there are none."""
    package = files("sftpgo")
    # Inside the package when it was installed, beside it in a checkout.
    for folder in (package / "sql" / dialect, Path(str(package)).parent / "sql" / dialect):
        if folder.is_dir():
            found = sorted((entry for entry in folder.iterdir() if _NAME.fullmatch(entry.name)), key=lambda e: e.name)
            if found:
                return [parse_script(entry.name.removesuffix(".sql"), entry.read_text("utf-8")) for entry in found]
    raise StartupError(f"the schema's scripts for {dialect} are missing from this installation")


def parse_script(name: str, text: str) -> Script:
    """Read what a script says of itself; raises L{ValueError}."""
    match = _COLUMNS.search(text)
    if match is None:
        raise ValueError(f'the script {name} has no comment "-- Columns: ..."')
    listed = match[1].replace("\n-- ", " ").split(",")
    return Script(name, frozenset(column.strip() for column in listed), text)


def pending(scripts: Sequence[Script], present: Collection[str], *, rebuilds: bool = True) -> Sequence[Script]:
    """The scripts still to be applied to a table with these columns (none of them: there is no table yet).

    @param rebuilds: the scripts build the table anew, as they must in SQLite; else they only add columns.
    @raise StartupError: the table is at none of the stages the scripts go through, or has columns of its own that
        building it anew would lose.
    """
    here = set(present)
    seen: set[str] = set()
    for index, script in enumerate(scripts):
        if script.columns <= here:
            seen |= script.columns
            continue
        if strays := here & set().union(*(later.columns for later in scripts[index:])):
            raise StartupError(f"of unknown layout: {_list(strays)} without {_list(script.columns - here)}")
        if (foreign := here - seen) and not seen:
            raise StartupError(f"not a table of users: it has {_list(foreign)} without {_list(script.columns - here)}")
        if foreign and rebuilds:
            raise StartupError(f"of an older layout, and bringing it up to date would lose {_list(foreign)}")
        return scripts[index:]
    return ()


def require_current(dialect: str, table: str, present: Collection[str]) -> None:
    """Refuse a table that lacks columns, for databases whose schema is somebody's to administer.

    @param present: its columns; none if there is no such table.
    @raise StartupError: naming what is missing and the command that adds it.
    """
    needed = set().union(*(script.columns for script in load_scripts(dialect)))
    here = {name.lower() for name in present}
    if missing := needed - here:
        what = f'the table "{table}" lacks {_list(missing)}' if here else f'there is no table "{table}"'
        raise StartupError(f'{what}: "sftpgo initprovider" brings the schema up to date')


def statements(script: Script, table: str) -> Iterator[str]:
    """The script's statements for the table of this name, without the C{BEGIN} and C{COMMIT} around them.

    @raise ValueError: the name is not a plain identifier, or the script is not one whole transaction.
    """
    if not _IDENTIFIER.fullmatch(table):
        raise ValueError(f"{table!r} is not the name of a table")
    found = list(split(_TABLE.sub(lambda match: f"{match[1]}{match[2] or ''}{table}{match[1]}", script.text)))
    if len(found) < 3 or (found[0], found[-1]) != ("BEGIN;", "COMMIT;"):
        raise ValueError(f"the script {script.name} does not go from BEGIN; to COMMIT;")
    yield from found[1:-1]


def split(text: str) -> Iterator[str]:
    """The statements of a text, each with its semicolon: one inside a string, comment or trigger ends nothing."""
    start = 0
    for match in re.finditer(";", text):
        candidate = text[start : match.end()]
        if sqlite3.complete_statement(candidate):
            start = match.end()
            yield _LEADING_COMMENTS.sub("", candidate)
    if rest := _LEADING_COMMENTS.sub("", text[start:] + "\n"):
        raise ValueError(f"unfinished statement: {rest[:40]}")


def _list(columns: Collection[str]) -> str:
    return ("the columns " if len(columns) > 1 else "the column ") + ", ".join(sorted(columns))
