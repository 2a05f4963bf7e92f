"""SQL through a blocking driver, in threads: the reactor never waits for a database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from sqlalchemy import Engine
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from sftpgo.dataprovider import sql
from sftpgo.dataprovider.rows import Page, is_text, new_user, require_text
from sftpgo.dataprovider.running import NO_ROWS, fetch, fetch_page, fetch_user, insert, write
from sftpgo.dataprovider.searching import queries, searches
from sftpgo.dataprovider.threads import Lane
from sftpgo.dataprovider.walking import walk
from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, ProviderError
from sftpgo.interfaces import IDataProvider


@attrs.frozen
class Engines:
    """The ways to one database.

    @ivar records: for writing the users' records: durable when it returns.
    @ivar counters: for writing usage and times, which are many.
    @ivar reads: for everything else, several connections.
    """

    records: Engine
    counters: Engine
    reads: Engine

    def dispose(self) -> None:
        """Close all connections."""
        for engine in (self.reads, self.counters, self.records):
            engine.dispose()


@attrs.frozen
class _Lanes:
    """Threads by what must not wait for what: a login never waits for a list, nor for somebody's write."""

    lookups: Lane
    lists: Lane
    writes: Lane

    def all(self) -> tuple[Lane, Lane, Lane]:
        return self.lookups, self.lists, self.writes


@implementer(IDataProvider)
class ThreadedProvider:
    """L{IDataProvider} over SQLAlchemy engines of a blocking driver."""

    def __init__(
        self,
        open_engines: Callable[[], tuple[Engines, Sequence[str]]],
        *,
        reactor: IReactorFromThreads,
        warn: Callable[[str], None],
        users_table: str,
        lookup_threads: int,
        compare_bytes: bool = False,
    ) -> None:
        """Take what is needed; nothing is opened before L{start}.

        @param open_engines: called in a thread; returns the engines and warnings, or raises
            L{sftpgo.errors.StartupError}.
        @param warn: called in the reactor's thread with one line for each row that cannot be read, and the like.
        @param compare_bytes: the database may take one name for another when it compares them.
        """
        self._open = open_engines
        self._reactor = reactor
        self._warn = warn
        table = sql.users_table(users_table)
        self._sql = sql.statements(table, compare_bytes=compare_bytes)
        self._searches = searches(table, convert=compare_bytes)
        self._lookup_threads = lookup_threads
        self._lanes: _Lanes | None = None
        self._engines: Engines | None = None

    async def start(self) -> None:
        """Open the database and bring its schema up to date; raises L{sftpgo.errors.StartupError}."""
        if self._lanes is not None:
            raise ProviderError("the data provider was started already")
        sizes = {"lookups": self._lookup_threads, "lists": 1, "writes": 1}
        lanes = _Lanes(**{name: Lane(self._reactor, size, f"users-{name}") for name, size in sizes.items()})
        for lane in lanes.all():
            lane.start()
        self._lanes = lanes
        try:
            engines, warnings = await lanes.writes.call(self._open)
        except Exception:
            if self._lanes is lanes:
                self._lanes = None
            await _end(lanes)
            raise
        if self._lanes is not lanes:
            await lanes.writes.call(engines.dispose)
            raise ProviderError("the data provider was stopped while it started")
        self._engines = engines
        self._warn_all(warnings)

    async def stop(self) -> None:
        """Refuse new calls, let the pending ones end, close the database."""
        lanes, engines = self._lanes, self._engines
        self._lanes = self._engines = None
        if lanes is None:
            return
        for lane in lanes.all():
            await lane.idle()
        if engines is not None:
            # In a thread: whoever closes a database last may have to write its log back.
            await lanes.writes.call(engines.dispose)
        await _end(lanes)

    async def check(self) -> None:
        """Raise L{ProviderError} unless the table answers."""
        lanes, engines = self._running()
        await lanes.lookups.call(fetch, engines.reads, self._sql.ping)

    async def user_by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{NotFound}."""
        lanes, engines = self._running()
        return await lanes.lookups.call(fetch_user, engines.reads, self._sql.by_name, name=_known(username))

    async def user_by_id(self, user_id: int) -> User:
        """The user of this id; raises L{NotFound}."""
        lanes, engines = self._running()
        return await lanes.lookups.call(fetch_user, engines.reads, self._sql.by_id, user_id=user_id)

    async def users(self, limit: int, offset: int, descending: bool = False, username: str = "") -> Sequence[User]:
        """A page of users by name, without those whose row cannot be read."""
        lanes, engines = self._running()
        if not is_text(username):
            return []
        name, values = sql.page_query(limit, offset, descending, username)
        page = await lanes.lists.call(fetch_page, engines.reads, getattr(self._sql, name), **values)
        self._warn_all(page.problems)
        return page.users

    async def search(self, search: Search) -> SearchResult:
        """A page of the users that match, without those whose row cannot be read, and how many match."""
        lanes, engines = self._running()
        asked = queries(search)
        if asked is None:
            return SearchResult((), 0)
        name, values = asked.page
        page = await lanes.lists.call(fetch_page, engines.reads, self._statement(name), **values)
        name, values = asked.count
        rows = await lanes.lists.call(fetch, engines.reads, self._statement(name), **values)
        self._warn_all(page.problems)
        return SearchResult(page.users, rows[0]["found"], len(page.problems))

    async def dump(self, after: str = "", limit: int = 1000) -> Sequence[User]:
        """Up to C{limit} users by name, those after C{after}: fewer only when there are no more."""
        lanes, engines = self._running()
        page = await lanes.lists.call(self._dump, engines.reads, after, limit)
        self._warn_all(page.problems)
        return page.users

    async def add(self, user: User) -> User:
        """Store a new user; returns it with its id."""
        lanes, engines = self._running()
        require_text(user)
        stored = new_user(user)
        user_id = await lanes.writes.call(insert, engines.records, self._sql.add, sql.inserted(stored))
        return attrs.evolve(stored, id=user_id)

    async def update(self, user: User) -> None:
        """Replace the record of C{user.id}, except name and what is counted."""
        lanes, engines = self._running()
        require_text(user)
        await lanes.writes.call(write, engines.records, self._sql.replace, sql.replaced(user))

    async def delete(self, user_id: int) -> None:
        """Remove the record; raises L{NotFound}."""
        lanes, engines = self._running()
        await lanes.writes.call(write, engines.records, self._sql.remove, {"user_id": user_id})

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Add to the used quota in one atomic step (never below 0), or set it; raises L{NotFound}."""
        lanes, engines = self._running()
        statement, values = (
            (self._sql.reset_quota, sql.quota_to_set) if reset else (self._sql.add_quota, sql.quota_to_add)
        )
        await lanes.writes.call(write, engines.counters, statement, values(_known(username), files, size, now))

    async def used_quota(self, username: str) -> tuple[int, int]:
        """Used quota as (files, bytes); raises L{NotFound}."""
        lanes, engines = self._running()
        rows = await lanes.lookups.call(fetch, engines.reads, self._sql.used_quota, name=_known(username))
        if not rows:
            raise NotFound(NO_ROWS)
        return rows[0]["used_quota_files"], rows[0]["used_quota_size"]

    async def update_last_login(self, username: str, now: int) -> None:
        """Remember a login; raises L{NotFound}."""
        lanes, engines = self._running()
        values = {"name": _known(username), "now": now}
        await lanes.writes.call(write, engines.counters, self._sql.last_login, values)

    def _statement(self, name: str) -> Any:
        return self._searches[name] if name in self._searches else getattr(self._sql, name)

    def _running(self) -> tuple[_Lanes, Engines]:
        if self._lanes is None or self._engines is None:
            raise ProviderError("the data provider is stopped")
        return self._lanes, self._engines

    def _warn_all(self, problems: Sequence[str]) -> None:
        for problem in problems:
            self._warn(problem)

    def _dump(self, engine: Engine, after: str, limit: int) -> Page:
        steps = walk(after, limit)
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(fetch(engine, self._sql.after, **wanted))
        except StopIteration as end:
            page: Page = end.value
            return page


def _known(username: str) -> str:
    # No store can hold it, and not every driver can even be asked.
    if not is_text(username):
        raise NotFound(NO_ROWS)
    return username


async def _end(lanes: _Lanes) -> None:
    for lane in lanes.all():
        await lane.stop()
