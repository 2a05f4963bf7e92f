"""Searches as SQL, written once for all databases; compiled by whoever runs them."""

from __future__ import annotations

from typing import Any, TypeAlias

import attrs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.mysql import CHAR

from sftpgo.dataprovider.rows import is_text
from sftpgo.dataprovider.sql import page_query
from sftpgo.domain.search import Search, Sort, State
from sftpgo.domain.user import STATUS_ENABLED

#: Stands before a character that the pattern means as it is; not the backslash, which some databases take for theirs.
_ESCAPE = "|"

_STATES = list(State)

Statement: TypeAlias = "Select[*tuple[Any, ...]]"

#: The name of a statement and its parameters.
Query: TypeAlias = "tuple[str, dict[str, object]]"


@attrs.frozen
class Queries:
    """What answers a search.

    @ivar page: one of the statements, here or of L{sftpgo.dataprovider.sql.Statements}.
    @ivar count: one of those here, which gives C{found}.
    """

    page: Query
    count: Query


def searches(table: Table, *, convert: bool = False) -> dict[str, Statement]:
    """Every statement by its name.

    @param convert: for MySQL, whose table may have a character set that knows less than what is looked for.
    """
    condition = _condition(table, convert)
    statements: dict[str, Statement] = {
        "count_all": select(func.count().label("found")).select_from(table),
        "count": select(func.count().label("found")).select_from(table).where(condition),
    }
    for sort in Sort:
        for descending in (False, True):
            statements[_name(sort, descending)] = _page(table, condition, sort, descending)
    return statements


def queries(search: Search) -> Queries | None:
    """What to ask, or C{None} for what no database can hold."""
    if not is_text(search.text) or "\0" in search.text:
        return None
    matching: dict[str, object] = {
        "pattern": f"%{_escaped(search.text)}%",
        "state": _STATES.index(search.state),
        "now": search.now,
    }
    limit, offset = max(0, search.limit), max(0, search.offset)
    page: Query = (
        _name(search.sort, search.descending),
        {**matching, "page_limit": limit, "page_offset": offset},
    )
    if search.simple:
        page = page_query(limit, offset, search.descending, "")
    return Queries(page, ("count_all", {}) if search.everybody else ("count", matching))


def _page(table: Table, condition: ColumnElement[bool], sort: Sort, descending: bool) -> Statement:
    """Only the ids are sorted, and only the page's own rows are read whole."""
    column = table.c[sort.value]
    order = [column.desc() if descending else column.asc(), table.c.username.asc()]
    ids = (
        select(table.c.id)
        .where(condition)
        .order_by(*order)
        .limit(bindparam("page_limit"))
        .offset(bindparam("page_offset"))
        .subquery()
    )
    return select(table).join(ids, ids.c.id == table.c.id).order_by(*order)


def _condition(table: Table, convert: bool) -> ColumnElement[bool]:
    columns = table.c
    pattern = func.lower(bindparam("pattern", type_=String))

    def contains(column: ColumnElement[str]) -> ColumnElement[bool]:
        text: ColumnElement[str] = cast(column, CHAR(charset="utf8mb4")) if convert else column
        return func.lower(text).like(pattern, escape=_ESCAPE)

    state = bindparam("state", type_=Integer)
    enabled = columns.status == literal(STATUS_ENABLED)
    expired = and_(columns.expiration_date > literal(0), columns.expiration_date < bindparam("now", type_=BigInteger))
    full = or_(
        and_(columns.quota_files > literal(0), columns.used_quota_files >= columns.quota_files),
        and_(columns.quota_size > literal(0), columns.used_quota_size >= columns.quota_size),
    )
    standing = {
        State.ACTIVE: and_(enabled, ~expired),
        State.DISABLED: ~enabled,
        State.EXPIRED: expired,
        State.FULL: full,
    }
    return and_(
        or_(
            state == literal(_STATES.index(State.ANY)),
            *(and_(state == literal(_STATES.index(name)), fits) for name, fits in standing.items()),
        ),
        or_(contains(columns.username), contains(columns.home_dir)),
    )


def _escaped(text: str) -> str:
    for character in (_ESCAPE, "%", "_"):
        text = text.replace(character, _ESCAPE + character)
    return text


def _name(sort: Sort, descending: bool) -> str:
    return f"search_{sort.value}{'_descending' if descending else ''}"
