"""Users in PostgreSQL, asked from the reactor itself through a pool of connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy.dialects import postgresql
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider import schema, sql
from sftpgo.dataprovider.backoff import Backoff
from sftpgo.dataprovider.pgconnection import ConnectionLost, PostgreSQLConnection, Result, connect
from sftpgo.dataprovider.pgsettings import described, parameters
from sftpgo.dataprovider.pool import Pool
from sftpgo.dataprovider.rows import Page, is_text, new_user, require_text, user_from_row, users_from_rows
from sftpgo.dataprovider.running import NO_ROWS
from sftpgo.dataprovider.searching import queries, searches
from sftpgo.dataprovider.walking import walk
from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, ProviderError, StartupError
from sftpgo.interfaces import IDataProvider

_DEFAULT_POOL = 4

#: Seconds for what concerns one row, which a login waits for, and the end of the server.  A database that stood still
#: would hold them up for as long as a list may take, once for each connection there was.
_SHORT_TIMEOUT = 10.0
_SHORT = frozenset({"ping", "by_name", "by_id", "used_quota", "add_quota", "reset_quota", "last_login"})

#: Rows decoded in the reactor; decoding more of them takes long enough for others to notice.
_FEW = 20


@attrs.frozen
class _Query:
    """A statement in psycopg2's words.

    @ivar constants: the parameters SQLAlchemy made of the literals in it.
    """

    text: str
    constants: Mapping[str, object]


@implementer(IDataProvider)
class PostgreSQLProvider:
    """L{IDataProvider} over PostgreSQL.

    The schema is made by C{sftpgo initprovider}; here it is only looked at.
    """

    def __init__(self, settings: DataProvider, *, reactor: Any, warn: Callable[[str], None]) -> None:
        """Take where the database is; nothing is opened before L{start}.

        @param warn: called with one line for each row that cannot be read.
        @raise StartupError: for a connection string that cannot be read.
        """
        self._parameters = parameters(settings)
        self._table = settings.users_table
        self._size = settings.pool_size or _DEFAULT_POOL
        self._reactor = reactor
        self._warn = warn
        self._queries = _compiled(settings.users_table)
        # Lists never take all the connections: a login does not wait for them.
        self._lists = DeferredSemaphore(max(1, self._size - 1))
        self._backoff = Backoff(reactor.seconds)
        self._pool: Pool[PostgreSQLConnection] | None = None

    async def start(self) -> None:
        """Connect and look at the table; raises L{StartupError}."""
        if self._pool is not None:
            raise ProviderError("the data provider was started already")
        try:
            first = await connect(self._parameters, self._reactor)
            try:
                await _require_table(first, self._table)
            finally:
                first.close()
        except StartupError as error:
            raise type(error)(f"cannot use {described(self._parameters)}: {error}") from error
        self._pool = Pool(self._connect, self._size, seconds=self._reactor.seconds, backoff=self._backoff)

    async def stop(self) -> None:
        """Let pending work end and close the connections.  May be called twice."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()
            # Whoever waited for the last connection has it behind, but was not told yet.
            await deferLater(self._reactor, 0, lambda: None)

    async def check(self) -> None:
        """Raise L{ProviderError} unless the table answers."""
        await self._ask("ping")

    async def user_by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{NotFound}."""
        return _one((await self._ask("by_name", name=self._known(username))).rows)

    async def user_by_id(self, user_id: int) -> User:
        """The user of this id; raises L{NotFound}."""
        return _one((await self._ask("by_id", user_id=user_id)).rows)

    async def users(self, limit: int, offset: int, descending: bool = False, username: str = "") -> Sequence[User]:
        """A page of users by name, without those whose row cannot be read."""
        self._running()
        if not _askable(username):
            return []
        name, values = sql.page_query(limit, offset, descending, username)
        await self._lists.acquire()
        try:
            rows = (await self._ask(name, **values)).rows
        finally:
            self._lists.release()
        return self._told(await self._decoded(rows))

    async def search(self, search: Search) -> SearchResult:
        """A page of the users that match, without those whose row cannot be read, and how many match."""
        self._running()
        asked = queries(search)
        if asked is None:
            return SearchResult((), 0)
        await self._lists.acquire()
        try:
            rows = (await self._ask(asked.page[0], **asked.page[1])).rows
            count = (await self._ask(asked.count[0], **asked.count[1])).rows[0]["found"]
        finally:
            self._lists.release()
        page = await self._decoded(rows)
        return SearchResult(self._told(page), count, len(page.problems))

    async def dump(self, after: str = "", limit: int = 1000) -> Sequence[User]:
        """Up to C{limit} users by name, those after C{after}: fewer only when there are no more."""
        self._running()
        steps = walk(after, limit)
        await self._lists.acquire()
        try:
            wanted = await self._in_thread(next, steps)
            while isinstance(wanted, Mapping):
                rows = (await self._ask("after", **wanted)).rows
                wanted = await self._in_thread(steps.send, rows)
            return self._told(wanted)
        finally:
            self._lists.release()

    async def add(self, user: User) -> User:
        """Store a new user; returns it with its id."""
        self._running()
        require_text(user)
        stored = new_user(user)
        result = await self._change("add", sql.inserted(stored))
        return attrs.evolve(stored, id=result.rows[0]["id"])

    async def update(self, user: User) -> None:
        """Replace the record of C{user.id}, except name and what is counted."""
        self._running()
        require_text(user)
        await self._change("replace", sql.replaced(user))

    async def delete(self, user_id: int) -> None:
        """Remove the record; raises L{NotFound}."""
        await self._change("remove", {"user_id": user_id})

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Add to the used quota in one atomic step (never below 0), or set it; raises L{NotFound}."""
        name, values = ("reset_quota", sql.quota_to_set) if reset else ("add_quota", sql.quota_to_add)
        await self._change(name, values(self._known(username), files, size, now))

    async def used_quota(self, username: str) -> tuple[int, int]:
        """Used quota as (files, bytes); raises L{NotFound}."""
        rows = (await self._ask("used_quota", name=self._known(username))).rows
        if not rows:
            raise NotFound(NO_ROWS)
        return rows[0]["used_quota_files"], rows[0]["used_quota_size"]

    async def update_last_login(self, username: str, now: int) -> None:
        """Remember a login; raises L{NotFound}."""
        await self._change("last_login", {"name": self._known(username), "now": now})

    async def _connect(self) -> PostgreSQLConnection:
        try:
            return await connect(self._parameters, self._reactor)
        except StartupError as error:
            raise type(error)(f"cannot reach {described(self._parameters)}: {error}") from error

    def _running(self) -> Pool[PostgreSQLConnection]:
        if self._pool is None:
            raise ProviderError("the data provider is stopped")
        return self._pool

    async def _ask(self, query: str, /, **values: object) -> Result:
        """Run a query that changes nothing, so that it can be asked again when the connection breaks."""
        try:
            return await self._run(query, values)
        except ConnectionLost:
            return await self._run(query, values)

    async def _change(self, name: str, values: Mapping[str, object]) -> Result:
        result = await self._run(name, values)
        if result.count == 0:
            raise NotFound(NO_ROWS)
        return result

    async def _run(self, name: str, values: Mapping[str, object]) -> Result:
        query = self._queries[name]
        values = {**query.constants, **values}
        async with self._running().connection() as connection:
            if name in _SHORT:
                return await connection.run(query.text, values, _SHORT_TIMEOUT)
            return await connection.run(query.text, values)

    async def _decoded(self, rows: Sequence[Mapping[str, Any]]) -> Page:
        if len(rows) <= _FEW:
            return users_from_rows(rows)
        page: Page = await self._in_thread(users_from_rows, rows)
        return page

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), _outcome, function, arguments)

    def _told(self, page: Page) -> Sequence[User]:
        for problem in page.problems:
            self._warn(problem)
        return page.users

    def _known(self, username: str) -> str:
        self._running()
        # No store can hold it, and not every driver can even be asked.
        if not _askable(username):
            raise NotFound(NO_ROWS)
        return username


def _compiled(table_name: str) -> dict[str, _Query]:
    """Every statement by its name."""
    # The dialect of psycopg 2: the plain one is another driver's, and writes casts.
    dialect: Any = postgresql.psycopg2.dialect()
    table = sql.users_table(table_name)
    statements = sql.statements(table)
    keys = {"add": list(sql.inserted(User())), "replace": [k for k in sql.replaced(User()) if k != "user_id"]}
    compiled = {}
    for name, statement in [*attrs.asdict(statements, recurse=False).items(), *searches(table).items()]:
        returning = statement.returning(table.c.id) if name == "add" else statement
        text = returning.compile(dialect=dialect, column_keys=keys.get(name))
        compiled[name] = _Query(str(text), {k: v for k, v in text.params.items() if v is not None})
    return compiled


async def _require_table(connection: PostgreSQLConnection, table: str) -> None:
    quoted = '"' + table + '"'
    relation = (await connection.run("SELECT to_regclass(%(name)s) IS NOT NULL AS there", {"name": quoted})).rows[0]
    present: tuple[str, ...] = ()
    if relation["there"]:
        present = (await connection.run(f"SELECT * FROM {quoted} LIMIT 0")).columns  # noqa: S608 -- an identifier
    schema.require_current("postgresql", table, present)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """The result, or what a generator ends with: a StopIteration cannot go through a coroutine."""
    try:
        return function(*arguments)
    except StopIteration as end:
        return end.value


def _one(rows: Sequence[Mapping[str, Any]]) -> User:
    if not rows:
        raise NotFound(NO_ROWS)
    return user_from_row(rows[0])


def _askable(username: str) -> bool:
    return is_text(username) and "\0" not in username
