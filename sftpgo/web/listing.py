"""What the address of the list of users asks for, and the addresses of its other pages."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import attrs

from sftpgo.domain.search import Search, Sort, State
from sftpgo.web.parameters import Query
from sftpgo.web.respond import Refused

PATH: Final = "/web/users"

#: Rows on a page: as usual, and at most.
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
LIMITS: Final = (25, 50, 100, 250, 500)

#: Rows that can be skipped, and characters looked for.
_MAX_PAGE: Final = 10**9
_MAX_TEXT: Final = 255


@attrs.frozen
class Listing:
    """What is asked for; whatever of it makes no sense is as if it were not there.

    @ivar page: from 1.
    """

    text: str = ""
    state: State = State.ANY
    sort: Sort = Sort.USERNAME
    descending: bool = False
    page: int = 1
    limit: int = DEFAULT_LIMIT

    @classmethod
    def of(cls, query: Query) -> Listing:
        """Read the address; C{qlimit} is what the size of a page was once called."""
        state, sort = _text(query, "state"), _text(query, "sort")
        limit = _number(query, "limit", _number(query, "qlimit", DEFAULT_LIMIT))
        return cls(
            text=_text(query, "q").strip()[:_MAX_TEXT],
            state=State(state) if state in list(State) else State.ANY,
            sort=Sort(sort) if sort in list(Sort) else Sort.USERNAME,
            descending=_text(query, "order") == "desc",
            page=min(max(1, _number(query, "page", 1)), _MAX_PAGE),
            limit=min(limit, MAX_LIMIT) if limit >= 0 else DEFAULT_LIMIT,
        )

    def search(self, now: int) -> Search:
        """The same for the data provider; C{now} in unix milliseconds."""
        offset = (self.page - 1) * self.limit
        return Search(self.text, self.state, self.sort, self.descending, self.limit, offset, now)

    def address(self, **changes: object) -> str:
        """The list with something changed: C{page=2}, say."""
        other = attrs.evolve(self, **changes)  # type: ignore[arg-type]
        parts = {
            "q": other.text,
            "state": other.state.value,
            "sort": other.sort.value if other.sort is not Sort.USERNAME else "",
            "order": "desc" if other.descending else "",
            "limit": other.limit if other.limit != DEFAULT_LIMIT else "",
            "page": other.page if other.page > 1 else "",
        }
        query = urlencode({name: value for name, value in parts.items() if value != ""})
        return f"{PATH}?{query}" if query else PATH

    def sorted_by(self, sort: str) -> str:
        """The list sorted by this; the other way round when it is already."""
        chosen = Sort(sort)
        return self.address(sort=chosen, descending=chosen is self.sort and not self.descending, page=1)

    def order_of(self, sort: str) -> str:
        """As C{aria-sort} has it."""
        if self.sort != sort:
            return "none"
        return "descending" if self.descending else "ascending"


def _text(query: Query, name: str) -> str:
    try:
        return query.text(name)
    except Refused:
        return ""


def _number(query: Query, name: str, default: int) -> int:
    try:
        return query.integer(name, default)
    except Refused:
        return default
