"""Usage of the users: counted in memory as it happens, told to the data provider after each transfer.

The data provider may be slow or down: what it has to be told is added up here until it takes it, and no transfer waits
for it.  A file on the disk names the users who are not settled, so that a killed server can make up for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IDelayedCall

from sftpgo.avatars.account import Account
from sftpgo.domain.quota import Ledger, Limits
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, OutcomeUnknown, SFTPGoError
from sftpgo.interfaces import IDataProvider
from sftpgo.log import Log
from sftpgo.storage.confined import Home
from sftpgo.storage.unsettled import Unsettled
from sftpgo.storage.usage import Usage, scan

TRACK_NEVER, TRACK_ALWAYS, TRACK_LIMITED = 0, 1, 2

#: Seconds after which a data provider that failed is asked again: the first time, and at most.
RETRY_FIRST, RETRY_MOST = 1.0, 60.0

#: Seconds between two reports of one user to the data provider: a burst of small files is reported as one.
PAUSE = 0.1

#: Seconds of quiet after which a user counts as settled, so that a burst of small files is written down once.
QUIET = 5.0

#: Seconds after which a home is counted anew when nobody knew whether a change was stored.  A database that stood still
#: makes the change it was asked for before only now: it has to be done by then.
DOUBT = 10.0

#: How often a scan is repeated because the user changed something meanwhile.
_SCANS = 3


@attrs.define(eq=False)
class Entry:
    """What is kept for one user.

    @ivar busy: uploads that are open.
    @ivar lock: held while the data provider is asked or told of this user.
    @ivar stale: the data provider did not take the result of a scan.
    @ivar doubtful: a change was perhaps stored twice, until a scan says what is there.
    @ivar recount: that scan.
    @ivar retry: the next report, after one that failed or one that was a moment ago.
    """

    username: str
    tracked: bool
    ledger: Ledger = attrs.field(factory=Ledger)
    lock: DeferredLock = attrs.field(factory=DeferredLock)
    sessions: int = 0
    busy: int = 0
    delay: float = 0.0
    flushing: bool = False
    stale: bool = False
    doubtful: bool = False
    recount: IDelayedCall | None = None
    retry: IDelayedCall | None = None
    quiet: IDelayedCall | None = None

    @property
    def settled(self) -> bool:
        """Nothing is open and the data provider knows all."""
        unsure = self.stale or self.doubtful
        return not (self.busy or self.flushing or unsure or self.lock.locked or any(self.ledger.changes()))


class Ledgers:
    """The ledgers of all users, one each, whatever number of connections they have.

    @param track_quota: 0 no usage is kept and no limit holds, 1 of everybody, 2 of users with a limit.
    @param writable: whether usage is written to the data provider at all (C{manage_users}).
    @param mark_all: whether users whose usage is not tracked are written down too while they upload.
    @param scheduler: an C{IReactorTime}, for the retries.
    @param now: seconds since the epoch.
    @param unsettled: the file that survives a kill, or None.
    @param left_over: the users in it whom nobody has looked after yet.
    @param pause: seconds between two reports of one user; the first one is never held back.
    @param recount: called with the name of a user whose home is to be counted anew, for L{rescan} to be called.
    """

    def __init__(
        self,
        provider: Any,
        *,
        track_quota: int,
        writable: bool,
        mark_all: bool,
        scheduler: Any,
        now: Callable[[], float],
        run_in_thread: Callable[..., Deferred[Any]],
        log: Log,
        unsettled: Unsettled | None = None,
        left_over: Iterable[str] = (),
        pause: float = 0.0,
        recount: Callable[[str], object] = lambda _username: None,
    ) -> None:
        self._provider = IDataProvider(provider)
        self._track = track_quota
        self._writable = writable
        self._mark_all = mark_all
        self._scheduler = scheduler
        self._now = now
        self._run_in_thread = run_in_thread
        self._log = log
        self._unsettled = unsettled
        self._left_over = set(left_over)
        self._pause = pause
        self._recount = recount
        self._entries: dict[str, Entry] = {}
        self._stopped = False
        self._unwritten = False

    # Sessions.

    async def enter(self, user: User) -> Account:
        """The account of a user who logs in, with the usage the data provider knows now."""
        entry = self._entry(user)
        entry.sessions += 1
        limits = Limits()
        if self._track != TRACK_NEVER:
            limits = Limits(user.quota_files, user.quota_size)
        # Of a guest nobody else counts what the connections that are here have used.
        if user.has_quota_restrictions() and (user.id or entry.sessions == 1):
            try:
                await self._load(entry, user)
            except BaseException:
                self._left(entry)
                raise
        return Account(
            entry.ledger,
            limits,
            flush=lambda: self._flush(entry),
            began=lambda: self._began(entry),
            ended=lambda: self._ended(entry),
            left=lambda: self._left(entry),
        )

    def _entry(self, user: User) -> Entry:
        tracked = self.tracks(user)
        entry = self._entries.get(user.username)
        if entry is None:
            entry = self._entries[user.username] = Entry(user.username, tracked)
        entry.tracked = tracked
        return entry

    def tracks(self, user: User) -> bool:
        """Whether this user's usage is kept."""
        limited = self._track == TRACK_LIMITED and user.has_quota_restrictions()
        return self._writable and (self._track == TRACK_ALWAYS or limited)

    async def _load(self, entry: Entry, user: User) -> None:
        """Take the provider's word for what is used, when nothing is on its way there."""
        await entry.lock.acquire()
        try:
            files, size = await self._provider.used_quota(user.username)
        except SFTPGoError as error:
            self._log.warn(f'the usage of user "{user.username}" cannot be read, it is taken from the login: {error}')
            files, size = user.used_quota_files, user.used_quota_size
        finally:
            entry.lock.release()
        entry.ledger.loaded(files, size)

    def _left(self, entry: Entry) -> None:
        entry.sessions -= 1
        self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        if not entry.sessions and entry.settled and entry.quiet is None and entry.retry is None:
            self._entries.pop(entry.username, None)

    # From the ledger to the data provider.

    def _flush(self, entry: Entry) -> None:
        """Tell the data provider what has changed, in the background."""
        if not entry.tracked:
            entry.ledger.take_changes()
        if any(entry.ledger.changes()):
            self._mark(entry)
            if not (entry.flushing or entry.retry is not None or self._stopped):
                entry.flushing = True
                Deferred.fromCoroutine(self._write(entry)).addErrback(self._broken, entry)
        self._quiet_later(entry)

    async def _write(self, entry: Entry) -> None:
        await entry.lock.acquire()
        try:
            while any(entry.ledger.changes()):
                await self._write_once(entry)
                entry.delay = 0.0
                self._resolve_later(entry)
                if self._pause and not self._stopped:
                    entry.retry = self._scheduler.callLater(self._pause, self._again, entry)
                    break
        except SFTPGoError as error:
            self._later(entry, error)
        finally:
            entry.flushing = False
            entry.lock.release()  # whoever waits for it finds all of it told, and nothing under way
        self._quiet_later(entry)

    async def _write_once(self, entry: Entry) -> None:
        files, size = entry.ledger.take_changes()
        try:
            await self._provider.update_quota(entry.username, files, size, int(self._now() * 1000))
        except NotFound:
            self._log.warn(f'user "{entry.username}" is gone, its usage is not kept')
        except BaseException as error:
            entry.ledger.give_back(files, size)
            entry.doubtful |= isinstance(error, OutcomeUnknown)
            raise

    def _resolve_later(self, entry: Entry) -> None:
        """The data provider is back: what it made of the change it did not answer will soon be seen."""
        if entry.doubtful and entry.recount is None and not self._stopped:
            entry.recount = self._scheduler.callLater(DOUBT, self._resolve, entry)

    def _resolve(self, entry: Entry) -> None:
        entry.recount = None
        if entry.doubtful:
            self._recount(entry.username)

    def _later(self, entry: Entry, error: Exception) -> None:
        entry.delay = min(max(entry.delay * 2, RETRY_FIRST), RETRY_MOST)
        files, size = entry.ledger.changes()
        self._log.warn(
            f'the usage of user "{entry.username}" could not be stored ({files:+} files, {size:+} bytes), '
            f"next try in {entry.delay:g} s: {error}"
        )
        if not self._stopped:
            entry.retry = self._scheduler.callLater(entry.delay, self._again, entry)

    def _again(self, entry: Entry) -> None:
        entry.retry = None
        if not any(entry.ledger.changes()):
            # It came to nothing meanwhile, so that no report will show that the data provider is back.
            self._resolve_later(entry)
        self._flush(entry)

    def _broken(self, failure: Any, entry: Entry) -> None:
        # A defect of a provider; the changes were given back and the next transfer tries again.
        self._log.failure(f'the usage of user "{entry.username}" could not be stored', failure)

    # A scan in place of what was counted.

    async def rescan(self, user: User, home: Home, progress: Callable[[int, int], None] | None = None) -> Usage:
        """Count what is in the home, and set the usage to it, in memory and in the data provider.

        @param progress: called in the thread with files and bytes so far; what it raises ends the scan.
        @raise OSError: when the home cannot be read.
        @raise ProviderError: when the result cannot be stored; the usage in memory is right then.
        """
        entry = self._entry(user)
        try:
            for attempt in range(1, _SCANS + 1):
                generation = entry.ledger.generation
                usage: Usage = await self._run_in_thread(scan, home, progress, entry.ledger.open_inodes())
                await entry.lock.acquire()
                try:
                    if generation == entry.ledger.generation or attempt == _SCANS:
                        return await self._reset(entry, usage, generation)
                finally:
                    entry.lock.release()
        finally:
            self._quiet_later(entry)
        raise AssertionError("unreachable")

    async def _reset(self, entry: Entry, usage: Usage, generation: int) -> Usage:
        if generation != entry.ledger.generation:
            self._log.warn(f'user "{entry.username}" is busy, the scan of the home may be a little off')
        files, size = entry.ledger.reset(usage.files, usage.size)
        entry.stale = True
        await self._provider.update_quota(entry.username, files, size, int(self._now() * 1000), reset=True)
        entry.stale = entry.doubtful = False
        return Usage(files, size, usage.unreadable)

    def kept(self, user: User, files: int, size: int) -> None:
        """Files that a killed server left have been given their names."""
        entry = self._entry(user)
        entry.ledger.count(files, size)
        self._flush(entry)

    # The users who are not settled.

    def looked_after(self, username: str) -> None:
        """What a killed server left of this user is in order now."""
        self._left_over.discard(username)
        entry = self._entries.get(username)
        if entry is None or entry.settled:
            self._write_down(username, False)

    def forget(self, username: str) -> None:
        """There is no such user any more."""
        self._left_over.discard(username)
        self._write_down(username, False)
        entry = self._entries.get(username)
        if entry is not None:
            entry.doubtful = False
            self._quiet_later(entry)

    def _began(self, entry: Entry) -> None:
        entry.busy += 1
        if entry.tracked or self._mark_all:
            self._mark(entry)

    def _ended(self, entry: Entry) -> None:
        entry.busy -= 1
        self._flush(entry)

    def _mark(self, entry: Entry) -> None:
        if entry.quiet is not None:
            entry.quiet.cancel()
            entry.quiet = None
        self._write_down(entry.username, True)

    def _quiet_later(self, entry: Entry) -> None:
        if entry.settled and entry.quiet is None and not self._stopped:
            entry.quiet = self._scheduler.callLater(QUIET, self._settle, entry)

    def _settle(self, entry: Entry) -> None:
        entry.quiet = None
        if entry.settled:
            self._write_down(entry.username, False)
            self._forget(entry)

    def _write_down(self, username: str, unsettled: bool) -> None:
        if self._unsettled is None or (not unsettled and username in self._left_over):
            return
        try:
            (self._unsettled.add if unsettled else self._unsettled.remove)(username)
            self._unwritten = False
        except OSError as error:
            if not self._unwritten:
                self._log.warn(
                    f"{self._unsettled.path} cannot be written, after a kill usage may have to be counted anew: "
                    f"{error.strerror}"
                )
            self._unwritten = True

    # The end.

    async def stop(self) -> None:
        """Tell the data provider what it does not know yet, once; what it does not take stays written down."""
        self._stopped = True
        for entry in list(self._entries.values()):
            for call in (entry.retry, entry.quiet, entry.recount):
                if call is not None:
                    call.cancel()
            entry.retry = entry.quiet = entry.recount = None
            if entry.tracked and not entry.flushing:
                await Deferred.fromCoroutine(self._write(entry)).addErrback(self._broken, entry)
            await entry.lock.run(lambda: None)
            if entry.settled:
                self._write_down(entry.username, False)
        if self._unsettled is not None:
            self._unsettled.close()
