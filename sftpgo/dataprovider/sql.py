"""The table of users and every statement on it, written once for all SQL databases.

Nothing here connects or runs anything: these are SQLAlchemy Core values, compiled by whoever runs them.  The schema
itself is made by the scripts under C{sql/}; the L{Table} only describes it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
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
    and_,
    bindparam,
    case,
    cast,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.mysql import BINARY, CHAR, LONGTEXT

from sftpgo.dataprovider.rows import MOST, UNTOUCHED_BY_UPDATE, bounded, row_from_user
from sftpgo.domain.user import User

#: From this offset on it is cheaper to look for the first name before the rows.
FAR = 500

Rows: TypeAlias = "Select[*tuple[Any, ...]]"


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


@attrs.frozen
class Statements:
    """Every statement on one table of users, with named parameters.

    Built once: what SQLAlchemy does to build and to cache one costs more than running it.

    @ivar ping: asks for next to nothing, and only if the table is there.
    @ivar by_name: C{name}.
    @ivar by_id: C{user_id}.
    @ivar page: C{page_limit, page_offset}: rows by name.  The limit goes to the database as it is: SQLite takes a
        negative one as "all", others refuse it.
    @ivar page_descending: the same from the other end.
    @ivar page_far: the same as C{page} for a page far from the beginning: names are counted in the index alone, and
        only the page's own rows are read.
    @ivar page_far_descending: the same from the other end.
    @ivar page_of_one: C{name, page_limit, page_offset}.
    @ivar after: C{name, page_limit, page_offset}: rows by name from the first one after this name; each such page
        costs the same, however far into the table.
    @ivar add: the columns of L{inserted}; the id is the database's to give.
    @ivar replace: C{user_id} and the columns of L{replaced}.
    @ivar remove: C{user_id}.
    @ivar used_quota: C{name}: files and bytes.
    @ivar add_quota: L{quota_to_add}: adds in the database itself, so that no concurrent addition is lost.
    @ivar reset_quota: L{quota_to_set}.
    @ivar last_login: C{name, now}.
    """

    ping: Select[int]
    by_name: Rows
    by_id: Rows
    page: Rows
    page_descending: Rows
    page_far: Rows
    page_far_descending: Rows
    page_of_one: Rows
    after: Rows
    add: Insert
    replace: Update
    remove: Delete
    used_quota: Select[int, int]
    add_quota: Update
    reset_quota: Update
    last_login: Update


def statements(table: Table, *, compare_bytes: bool = False) -> Statements:
    """Build them all.

    @param compare_bytes: for MySQL, whose collations take C{Alice} for C{alice}, or C{"alice "} for C{alice}: what
        the index finds is compared byte by byte too.
    """
    columns = table.c
    this_name: ColumnElement[bool] = columns.username == bindparam("name")
    if compare_bytes:
        # Through utf8mb4, which the connection speaks: the table may have another character set.
        as_text = cast(columns.username, CHAR(charset="utf8mb4"))
        this_name = and_(this_name, cast(as_text, BINARY) == cast(bindparam("name", type_=String), BINARY))
    this_id = columns.id == bindparam("user_id")
    part = select(table).limit(bindparam("page_limit")).offset(bindparam("page_offset"))
    ascending = part.order_by(columns.username.asc())
    names = select(columns.username).limit(1).offset(bindparam("page_offset"))
    rest = select(table).limit(bindparam("page_limit"))
    first = names.order_by(columns.username.asc()).scalar_subquery()
    last = names.order_by(columns.username.desc()).scalar_subquery()
    counted_now = update(table).where(this_name).values(last_quota_update=bindparam("now"))
    return Statements(
        ping=select(literal(1)).select_from(table).limit(1),
        by_name=select(table).where(this_name),
        by_id=select(table).where(this_id),
        page=ascending,
        page_descending=part.order_by(columns.username.desc()),
        page_far=rest.where(columns.username >= first).order_by(columns.username.asc()),
        page_far_descending=rest.where(columns.username <= last).order_by(columns.username.desc()),
        page_of_one=ascending.where(this_name),
        after=ascending.where(columns.username > bindparam("name")),
        add=insert(table),
        replace=update(table).where(this_id),
        remove=delete(table).where(this_id),
        used_quota=select(columns.used_quota_files, columns.used_quota_size).where(this_name),
        add_quota=counted_now.values(
            used_quota_files=_added(columns.used_quota_files, "files"),
            used_quota_size=_added(columns.used_quota_size, "size"),
        ),
        reset_quota=counted_now.values(
            used_quota_files=bindparam("files", type_=BigInteger), used_quota_size=bindparam("size", type_=BigInteger)
        ),
        last_login=update(table).where(this_name).values(last_login=bindparam("now")),
    )


def inserted(user: User) -> dict[str, object]:
    """The values of a new row: all but the id."""
    return {name: value for name, value in row_from_user(user).items() if name != "id"}


def replaced(user: User) -> dict[str, object]:
    """The values of a changed row: all but its identity and what the server itself counts; and whose they are."""
    row = row_from_user(user)
    return {"user_id": user.id, **{name: value for name, value in row.items() if name not in UNTOUCHED_BY_UPDATE}}


def page_query(limit: int, offset: int, descending: bool, username: str) -> tuple[str, dict[str, object]]:
    """Which of L{Statements} gives this page, by name, and its parameters; a negative offset is none."""
    part: dict[str, object] = {"page_limit": limit, "page_offset": max(0, offset)}
    if username:
        return "page_of_one", {"name": username, **part}
    return ("page_far" if offset > FAR else "page") + ("_descending" if descending else ""), part


def quota_to_add(username: str, files: int, size: int, now: int) -> dict[str, object]:
    """The parameters of C{add_quota}; a negative number takes away."""
    return {
        "name": username,
        "files_up": bounded(files),
        "files_down": bounded(-files),
        "size_up": bounded(size),
        "size_down": bounded(-size),
        "now": now,
    }


def quota_to_set(username: str, files: int, size: int, now: int) -> dict[str, object]:
    """The parameters of C{reset_quota}."""
    return {"name": username, "files": bounded(files), "size": bounded(size), "now": now}


def _added(column: ColumnElement[int], name: str) -> ColumnElement[int]:
    """The column plus one parameter minus another (one of them is 0), between 0 and L{MOST}.

    Compared before it is computed: past 64 bits SQLite would go on in floating point, and others would refuse.  No
    MAX or GREATEST: each database calls that by another name.
    """
    up = bindparam(f"{name}_up", type_=BigInteger)
    down = bindparam(f"{name}_down", type_=BigInteger)
    # Below the part taken away also stands whatever is negative: the original let it become so.
    return case((column < down, up), (column > literal(MOST, BigInteger) - up, MOST), else_=column + up - down)
