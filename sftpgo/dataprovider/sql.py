"""The table of users and every statement on it, written once for all SQL databases.

Nothing here connects or runs anything: these are SQLAlchemy Core values, compiled by whoever runs them.  The schema
itself is made by the scripts under C{sql/}; the L{Table} only describes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    Update,
    case,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.mysql import LONGTEXT

from sftpgo.dataprovider.rows import MOST, UNTOUCHED_BY_UPDATE, bounded


def users_table(name: str) -> Table:
    """Describe the table of users under the name the configuration gives it."""
    json = Text().with_variant(LONGTEXT(), "mysql")
    return Table(
        name,
        MetaData(),
        # The order is that of a table made by all scripts.
        Column("id", Integer, primary_key=True),
        Column("username", String(255), nullable=False, unique=True),
        Column("password", String(255)),
        Column("public_keys", json),
        Column("home_dir", String(255), nullable=False),
        Column("uid", Integer, nullable=False),
        Column("gid", Integer, nullable=False),
        Column("max_sessions", Integer, nullable=False),
        Column("quota_size", BigInteger, nullable=False),
        Column("quota_files", Integer, nullable=False),
        Column("permissions", json, nullable=False),
        Column("used_quota_size", BigInteger, nullable=False),
        Column("used_quota_files", Integer, nullable=False),
        Column("last_quota_update", BigInteger, nullable=False),
        Column("upload_bandwidth", Integer, nullable=False),
        Column("download_bandwidth", Integer, nullable=False),
        Column("expiration_date", BigInteger, nullable=False),
        Column("last_login", BigInteger, nullable=False),
        Column("status", Integer, nullable=False),
        Column("filters", json),
    )


def ping(table: Table) -> Select[int]:
    """Ask for next to nothing, and only if the table is there."""
    return select(literal(1)).select_from(table).limit(1)


def by_name(table: Table, username: str) -> Select[*tuple[Any, ...]]:
    """The row of exactly this name."""
    return select(table).where(table.c.username == username)


def by_id(table: Table, user_id: int) -> Select[*tuple[Any, ...]]:
    """The row of this id."""
    return select(table).where(table.c.id == user_id)


def page(
    table: Table, limit: int, offset: int, *, descending: bool = False, username: str = ""
) -> Select[*tuple[Any, ...]]:
    """Rows by name; with C{username} only the one of exactly that name.

    @param limit: handed to the database as it is: SQLite takes a negative one as "all", others refuse it.
    """
    column = table.c.username
    statement = select(table).order_by(column.desc() if descending else column.asc()).limit(limit).offset(offset)
    return statement.where(column == username) if username else statement


def names_after(table: Table, after: str, limit: int, offset: int = 0) -> Select[*tuple[Any, ...]]:
    """Rows by name from the first one after C{after}: each page costs the same, however far into the table."""
    column = table.c.username
    return select(table).where(column > after).order_by(column.asc()).limit(limit).offset(offset)


def add(table: Table, row: Mapping[str, object]) -> Insert:
    """A new row; the id is the database's to give."""
    return insert(table).values({name: value for name, value in row.items() if name != "id"})


def replace(table: Table, user_id: int, row: Mapping[str, object]) -> Update:
    """Everything of a row but its identity and what the server itself counts."""
    values = {name: value for name, value in row.items() if name not in UNTOUCHED_BY_UPDATE}
    return update(table).where(table.c.id == user_id).values(values)


def remove(table: Table, user_id: int) -> Delete:
    """The row of this id."""
    return delete(table).where(table.c.id == user_id)


def used_quota(table: Table, username: str) -> Select[int, int]:
    """Used files and bytes."""
    return select(table.c.used_quota_files, table.c.used_quota_size).where(table.c.username == username)


def add_quota(table: Table, username: str, files: int, size: int, now: int) -> Update:
    """Add to what is used, in the database itself, so that no concurrent addition is lost."""
    return (
        update(table)
        .where(table.c.username == username)
        .values(
            used_quota_files=_added(table.c.used_quota_files, files),
            used_quota_size=_added(table.c.used_quota_size, size),
            last_quota_update=now,
        )
    )


def reset_quota(table: Table, username: str, files: int, size: int, now: int) -> Update:
    """Set what is used to what was counted."""
    return (
        update(table)
        .where(table.c.username == username)
        .values(used_quota_files=bounded(files), used_quota_size=bounded(size), last_quota_update=now)
    )


def last_login(table: Table, username: str, now: int) -> Update:
    """Remember a login."""
    return update(table).where(table.c.username == username).values(last_login=now)


def _added(column: ColumnElement[int], delta: int) -> ColumnElement[int]:
    # Not MAX and MIN, GREATEST and LEAST: each database calls them by other names.
    if delta > 0:
        # Compared without adding first: SQLite would go on in floating point, others would refuse.
        room = MOST - bounded(delta)
        return case((column > room, MOST), (column + bounded(delta) < 0, 0), else_=column + bounded(delta))
    taken = bounded(-delta)
    return case((column < taken, 0), else_=column - taken)
