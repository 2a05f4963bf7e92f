"""Users kept in memory and lost at exit: for the portable mode, for tests, for programs with users of their own."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import MappingProxyType

import attrs
from zope.interface import implementer

from sftpgo.dataprovider.rows import COUNTED, bounded, new_user, require_text
from sftpgo.domain.search import Search, SearchResult, found_among
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, ProviderError
from sftpgo.interfaces import IDataProvider


@implementer(IDataProvider)
class MemoryProvider:
    """L{IDataProvider} over two dictionaries and one sorted list of names.

    @param load: gives the users to begin with, when it is first started; may raise L{StartupError}.
    @param run_in_thread: calls a function off the reactor; searching is done at once when it is not given.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[Iterable[User]]] | None = None,
        run_in_thread: Callable[..., Awaitable[SearchResult]] | None = None,
    ) -> None:
        self._load = load
        self._run_in_thread = run_in_thread or _at_once
        self._stopped = False
        self._by_name: dict[str, User] = {}
        self._names: dict[int, str] = {}
        self._sorted: list[str] = []

    async def start(self) -> None:
        """Answer (again); what was kept before is still there."""
        self._stopped = False
        load, self._load = self._load, None
        if load is not None:
            for user in await load():
                self._keep(user)
                self._names[user.id] = user.username
            self._sorted = sorted(self._by_name)

    async def stop(self) -> None:
        """Refuse from now on."""
        self._stopped = True

    async def check(self) -> None:
        """Raise L{ProviderError} after L{stop}."""
        if self._stopped:
            raise ProviderError("the data provider is stopped")

    async def user_by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{NotFound}."""
        await self.check()
        return self._named(username)

    async def user_by_id(self, user_id: int) -> User:
        """The user of this id; raises L{NotFound}."""
        await self.check()
        return self._by_name[self._name_of(user_id)]

    async def users(self, limit: int, offset: int, descending: bool = False, username: str = "") -> Sequence[User]:
        """A page of users by name; a negative limit gives none."""
        await self.check()
        offset = max(0, offset)
        names = self._sorted
        if username:
            names = [username] if username in self._by_name else []
        elif descending:
            names = names[::-1]
        return [self._by_name[name] for name in names[offset : offset + max(0, limit)]]

    async def search(self, search: Search) -> SearchResult:
        """A page of the users that match, and how many match."""
        await self.check()
        if search.simple:
            users = await self.users(search.limit, search.offset, search.descending)
            return SearchResult(users, len(self._sorted))
        # Records never change, and neither does this list of them.
        everybody = list(self._by_name.values())
        found: SearchResult = await self._run_in_thread(found_among, everybody, search)
        return found

    async def dump(self, after: str = "", limit: int = 1000) -> Sequence[User]:
        """Up to C{limit} users by name, those after C{after}."""
        await self.check()
        start = bisect_right(self._sorted, after)
        return [self._by_name[name] for name in self._sorted[start : start + max(0, limit)]]

    async def add(self, user: User) -> User:
        """Store a new user; its id is the highest one in use plus 1."""
        await self.check()
        require_text(user)
        if user.username in self._by_name:
            raise ProviderError(f"username {user.username} already exists")
        stored = attrs.evolve(new_user(user), id=max(self._names, default=0) + 1)
        self._keep(stored)
        self._names[stored.id] = stored.username
        insort(self._sorted, stored.username)
        return self._by_name[stored.username]

    async def update(self, user: User) -> None:
        """Replace the record of C{user.id}, except name and what is counted."""
        await self.check()
        require_text(user)
        old = self._by_name[self._name_of(user.id)]
        kept = {name: getattr(old, name) for name in ("username", *COUNTED)}
        self._keep(attrs.evolve(user, **kept))

    async def delete(self, user_id: int) -> None:
        """Remove the record; raises L{NotFound}."""
        await self.check()
        name = self._name_of(user_id)
        del self._names[user_id], self._by_name[name], self._sorted[bisect_left(self._sorted, name)]

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Add to the used quota (never below 0), or set it."""
        await self.check()
        old = self._named(username)
        self._by_name[username] = attrs.evolve(
            old,
            used_quota_files=bounded(files if reset else old.used_quota_files + files),
            used_quota_size=bounded(size if reset else old.used_quota_size + size),
            last_quota_update=now,
        )

    async def used_quota(self, username: str) -> tuple[int, int]:
        """Used quota as (files, bytes)."""
        await self.check()
        user = self._named(username)
        return user.used_quota_files, user.used_quota_size

    async def update_last_login(self, username: str, now: int) -> None:
        """Remember a login."""
        await self.check()
        self._by_name[username] = attrs.evolve(self._named(username), last_login=now)

    def _named(self, username: str) -> User:
        try:
            return self._by_name[username]
        except KeyError:
            raise NotFound(f"username {username} does not exist") from None

    def _name_of(self, user_id: int) -> str:
        try:
            return self._names[user_id]
        except KeyError:
            raise NotFound(f"user with ID {user_id} does not exist") from None

    def _keep(self, user: User) -> None:
        # A copy nobody can change: the caller's dictionary stays the caller's.
        permissions = MappingProxyType({name: tuple(listed) for name, listed in user.permissions.items()})
        self._by_name[user.username] = attrs.evolve(user, permissions=permissions)


async def _at_once(function: Callable[..., SearchResult], *arguments: object) -> SearchResult:
    return function(*arguments)
