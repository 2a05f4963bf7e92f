"""A walk over all rows by name, as a conversation: it says what to ask for, and is told the rows.

Nothing waits in here, so a thread can hold the conversation as well as a coroutine.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TypeAlias

from sftpgo.dataprovider.rows import Page, is_text, users_from_rows
from sftpgo.domain.user import User

Walk: TypeAlias = Generator[Mapping[str, object], Sequence[Mapping[str, object]], Page]


def walk(after: str, limit: int) -> Walk:
    """Up to C{limit} users, fewer only when there are no more: to the caller a short page is the end.

    Yields the parameters of L{sftpgo.dataprovider.sql.Statements.after}, is sent its rows, and returns the page.
    """
    users: list[User] = []
    problems: list[str] = []
    skip = 0
    while (wanted := limit - len(users)) > 0:
        rows = yield {"name": after, "page_limit": wanted, "page_offset": skip}
        page = users_from_rows(rows)
        users += page.users
        problems += page.problems
        if len(rows) < wanted:
            break
        last = rows[-1]["username"]
        # A name that is no text cannot be asked for: count on from the last that could.
        after, skip = (last, 0) if isinstance(last, str) and is_text(last) else (after, skip + len(rows))
    return Page(users, problems)
