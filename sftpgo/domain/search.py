"""What somebody looks for among the users, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import attrs

from sftpgo.domain.user import STATUS_ENABLED, User


class State(StrEnum):
    """How an account stands."""

    ANY = ""
    ACTIVE = "active"
    DISABLED = "disabled"
    EXPIRED = "expired"
    FULL = "full"


class Sort(StrEnum):
    """By what the found ones are sorted; those alike in that are sorted by name."""

    USERNAME = "username"
    STATUS = "status"
    EXPIRATION = "expiration_date"
    QUOTA = "used_quota_size"
    LAST_LOGIN = "last_login"
    ID = "id"


@attrs.frozen
class Search:
    """A page of what is looked for.

    @ivar text: stands in the name or the home, whatever the case of its ASCII letters; empty for all.
    @ivar now: unix milliseconds, for what is expired.
    """

    text: str = ""
    state: State = State.ANY
    sort: Sort = Sort.USERNAME
    descending: bool = False
    limit: int = 50
    offset: int = 0
    now: int = 0

    @property
    def everybody(self) -> bool:
        """Whether nobody is left out."""
        return not self.text and self.state is State.ANY

    @property
    def simple(self) -> bool:
        """Whether it is a part of the list by name."""
        return self.everybody and self.sort is Sort.USERNAME


@attrs.frozen
class SearchResult:
    """What was found.

    @ivar count: of all that match, on whatever page; C{users} are those of one page.
    @ivar unreadable: of the page, missing in C{users}: the log says which.
    """

    users: Sequence[User]
    count: int
    unreadable: int = 0


def expired(expiration_date: int, now: int) -> bool:
    """Whether an account of this date may not log in any more."""
    return 0 < expiration_date < now


def full(user: User) -> bool:
    """Whether one of the quotas is used up."""
    files = 0 < user.quota_files <= user.used_quota_files
    return files or 0 < user.quota_size <= user.used_quota_size


def has_state(user: User, state: State, now: int) -> bool:
    """Whether an account stands so: an active one may log in, and a full one may be active."""
    enabled = user.status == STATUS_ENABLED
    if state is State.ACTIVE:
        return enabled and not expired(user.expiration_date, now)
    if state is State.DISABLED:
        return not enabled
    if state is State.EXPIRED:
        return expired(user.expiration_date, now)
    return state is State.ANY or full(user)


def found_among(everybody: Iterable[User], search: Search) -> SearchResult:
    """The answer of a store that has all of its users at hand."""
    text = lowered(search.text)
    found = [
        user
        for user in everybody
        if has_state(user, search.state, search.now)
        and (text in lowered(user.username) or text in lowered(user.home_dir))
    ]
    found.sort(key=lambda user: user.username, reverse=search.descending and search.sort is Sort.USERNAME)
    if search.sort is not Sort.USERNAME:
        # The order by name stays among those that are alike.
        found.sort(key=lambda user: int(getattr(user, search.sort.value)), reverse=search.descending)
    offset = max(0, search.offset)
    return SearchResult(found[offset : offset + max(0, search.limit)], len(found))


def lowered(text: str) -> str:
    """The text with its ASCII letters in lower case, as every store can do it."""
    return text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
