"""Users in one key/value file: the provider over L{sftpgo.dataprovider.keyvalue}."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import lmdb
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.dataprovider import keyvalue, kvsearch
from sftpgo.dataprovider.keyvalue import Store
from sftpgo.dataprovider.rows import Page, is_text, require_text
from sftpgo.dataprovider.threads import Lane
from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, ProviderError, SFTPGoError
from sftpgo.interfaces import IDataProvider

_T = TypeVar("_T")

#: How many writes may share one commit, so that the first of them does not wait for ever.
_BATCH = 256

_Write = tuple[Callable[..., Any], tuple[Any, ...], "Deferred[Any]"]


@implementer(IDataProvider)
class BoltProvider:
    """L{IDataProvider} over an LMDB file, which other processes may read and write at the same time.

    One thread writes.  What came while it waited for the disk goes into its next transaction together: the disk is
    waited for once, and everybody is answered after that.
    """

    def __init__(self, path: str, *, reactor: IReactorFromThreads, warn: Callable[[str], None]) -> None:
        """Take where the file is; nothing is opened before L{start}.

        @param warn: called in the reactor's thread with one line for each record that cannot be read.
        """
        self._path = path
        self._reactor = reactor
        self._warn = warn
        self._store: Store | None = None
        self._reads: Lane | None = None
        self._writes: Lane | None = None
        self._queue: deque[_Write] = deque()
        self._writing = False

    async def start(self) -> None:
        """Open the file, or make it; raises L{sftpgo.errors.StartupError}."""
        if self._reads is not None:
            raise ProviderError("the data provider was started already")
        reads, writes = Lane(self._reactor, 2, "users-reads"), Lane(self._reactor, 1, "users-writes")
        self._reads, self._writes = reads, writes
        reads.start()
        writes.start()
        try:
            store = await writes.call(keyvalue.open_environment, self._path)
        except BaseException:
            if self._reads is reads:
                self._reads = self._writes = None
            await _end(reads, writes)
            raise
        if self._reads is not reads:
            await writes.call(store.close)
            raise ProviderError("the data provider was stopped while it started")
        self._store = store

    async def stop(self) -> None:
        """Refuse new calls, let the pending ones end, close the file."""
        reads, writes, store = self._reads, self._writes, self._store
        self._reads = self._writes = self._store = None
        if reads is None or writes is None:
            return
        await reads.idle()
        await writes.idle()
        if store is not None:
            await writes.call(store.close)
        await _end(reads, writes)

    async def check(self) -> None:
        """Raise L{ProviderError} unless the file answers."""
        await self._read(keyvalue.page, 1, 0, False)

    async def user_by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{NotFound}."""
        return await self._read(keyvalue.by_name, _known(username))

    async def user_by_id(self, user_id: int) -> User:
        """The user of this id; raises L{NotFound}."""
        return await self._read(keyvalue.by_id, user_id)

    async def users(self, limit: int, offset: int, descending: bool = False, username: str = "") -> Sequence[User]:
        """A page of users by name, without those whose record cannot be read; a negative limit gives none."""
        if not username:
            return self._told(await self._read(keyvalue.page, limit, max(0, offset), descending))
        self._running()
        try:
            found = [await self._read(keyvalue.by_name, _known(username))]
        except NotFound:
            return []
        return found[max(0, offset) : max(0, offset) + max(0, limit)]

    async def search(self, search: Search) -> SearchResult:
        """A page of the users that match, without those whose record cannot be read, and how many match."""
        self._running()
        if not is_text(search.text):
            return SearchResult((), 0)
        page, count = await self._read(kvsearch.search, search)
        return SearchResult(self._told(page), count, len(page.problems))

    async def dump(self, after: str = "", limit: int = 1000) -> Sequence[User]:
        """Up to C{limit} users by name, those after C{after}: fewer only when there are no more."""
        return self._told(await self._read(keyvalue.after, after, limit))

    async def add(self, user: User) -> User:
        """Store a new user; returns it with its id."""
        self._running()
        require_text(user)
        added: User = await self._write(keyvalue.add, user)
        return added

    async def update(self, user: User) -> None:
        """Replace the record of C{user.id}, except name and what is counted."""
        self._running()
        require_text(user)
        await self._write(keyvalue.update, user)

    async def delete(self, user_id: int) -> None:
        """Remove the record; raises L{NotFound}."""
        await self._write(keyvalue.delete, user_id)

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Add to the used quota in one atomic step (never below 0), or set it; raises L{NotFound}."""
        self._running()
        await self._write(keyvalue.update_quota, _known(username), files, size, now, reset)

    async def used_quota(self, username: str) -> tuple[int, int]:
        """Used quota as (files, bytes); raises L{NotFound}."""
        user = await self.user_by_name(username)
        return user.used_quota_files, user.used_quota_size

    async def update_last_login(self, username: str, now: int) -> None:
        """Remember a login; raises L{NotFound}."""
        self._running()
        await self._write(keyvalue.update_last_login, _known(username), now)

    def _running(self) -> tuple[Store, Lane, Lane]:
        if self._store is None or self._reads is None or self._writes is None:
            raise ProviderError("the data provider is stopped")
        return self._store, self._reads, self._writes

    async def _read(self, function: Callable[..., _T], *arguments: Any) -> _T:
        store, reads, _ = self._running()
        return await reads.call(_in_transaction, store, function, arguments)

    def _write(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        store, _, writes = self._running()
        result: Deferred[Any] = Deferred()
        self._queue.append((function, arguments, result))
        if not self._writing:
            self._start_writing(store, writes)
        return result

    def _start_writing(self, store: Store, writes: Lane) -> None:
        batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        self._writing = True

        def written(outcomes: list[Any]) -> None:
            # The next batch first: whoever is answered here may stop the provider.
            if self._queue:
                self._start_writing(store, writes)
            else:
                self._writing = False
            for (_, _, result), outcome in zip(batch, outcomes, strict=True):
                result.callback(outcome)

        writes.call(_commit, store, [(function, arguments) for function, arguments, _ in batch]).addCallback(written)

    def _told(self, page: Page) -> Sequence[User]:
        for problem in page.problems:
            self._warn(problem)
        return page.users


def _in_transaction(store: Store, function: Callable[..., _T], arguments: tuple[Any, ...]) -> _T:
    """Call a function that reads.

    The file has a table of readers, and one's place in it is free when nobody refers to the transaction any more: so an
    error must not keep it, by the frames in its traceback, until the garbage is collected.
    """
    try:
        transaction = store.environment.begin()
    except lmdb.Error as error:
        raise ProviderError(str(error)) from error
    try:
        return function(store, transaction, *arguments)
    except SFTPGoError as error:
        raise error.with_traceback(None) from None
    except lmdb.Error as error:
        raise ProviderError(str(error)) from None
    finally:
        transaction.abort()
        del transaction


def _commit(store: Store, calls: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
    """Make all the calls in one transaction; returns what each gave, or its failure."""
    try:
        with store.environment.begin(write=True) as transaction:
            return [_outcome(store, transaction, function, arguments) for function, arguments in calls]
    except Exception as error:
        # The file is full, say: then none of them is stored, and each is told so.
        failed = error if isinstance(error, SFTPGoError) else ProviderError(str(error))
        return [Failure(failed) for _ in calls]


def _outcome(store: Store, transaction: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(store, transaction, *arguments)
    except SFTPGoError:
        # Raised before anything was written: the others' writes stand.
        return Failure()


def _known(username: str) -> str:
    if not is_text(username) or "\0" in username:
        raise NotFound(f"username {username} does not exist")
    return username


async def _end(*lanes: Lane) -> None:
    for lane in lanes:
        await lane.stop()
