"""Quota scans: how much homes really hold, counted in threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from zope.interface import implementer

from sftpgo.domain.scans import ScanInfo
from sftpgo.domain.user import User
from sftpgo.errors import MethodDisabled, NotFound
from sftpgo.interfaces import IScans
from sftpgo.log import Log
from sftpgo.storage.confined import Home
from sftpgo.storage.usage import Usage

#: Scans that run at once; the others wait.  Each keeps a thread and a disk busy.
AT_ONCE = 2

#: Called with the files and bytes counted so far; what it raises ends the scan.
Progress = Callable[[int, int], None]

#: Counts what is in a user's home and sets the used quota to it.
Rescan = Callable[[User, Home, Progress], Awaitable[Usage]]


class Cancelled(Exception):
    """The scan was ended before it was done."""


@attrs.define(eq=False)
class _Scan:
    """One user's scan; the counts are written by its thread and read by the reactor's."""

    user: User
    start_time: int
    files: int = 0
    size: int = 0
    cancelled: bool = False
    done: Deferred[None] = attrs.field(factory=Deferred)

    def progress(self, files: int, size: int) -> None:
        self.files, self.size = files, size
        if self.cancelled:
            raise Cancelled


@implementer(IScans)
class Scans:
    """L{IScans} over the storage.

    @param rescan: does the work.
    @param run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    @param clock: seconds since the epoch.
    @param enabled: C{False} when used quota is not kept at all.
    """

    def __init__(
        self,
        rescan: Rescan,
        run_in_thread: Callable[..., Any],
        clock: Callable[[], float],
        log: Log,
        *,
        enabled: bool = True,
    ) -> None:
        self._rescan = rescan
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._log = log
        self._enabled = enabled
        self._places = DeferredSemaphore(AT_ONCE)
        self._scans: dict[str, _Scan] = {}

    def running(self) -> tuple[ScanInfo, ...]:
        """The scans under way and those that wait, oldest first."""
        return tuple(ScanInfo(name, scan.start_time, scan.files, scan.size) for name, scan in self._scans.items())

    def start(self, user: User) -> bool:
        """Begin to scan a home; C{False} when that is being done already.

        @raise MethodDisabled: when used quota is not kept.
        """
        if not self._enabled:
            raise MethodDisabled("quota scans are disabled: data_provider.track_quota is 0")
        if user.username in self._scans:
            return False
        entry = _Scan(user, int(self._clock() * 1000))
        self._scans[user.username] = entry
        Deferred.fromCoroutine(self._run(entry)).addErrback(
            lambda failure: self._log.failure(f'the quota scan of user "{user.username}" failed', failure)
        )
        return True

    def cancel(self, username: str) -> bool:
        """End a scan without a result; C{False} when none of this user runs."""
        entry = self._scans.get(username)
        if entry is None:
            return False
        entry.cancelled = True
        return True

    async def stop(self) -> None:
        """Cancel all, and wait until their threads have ended."""
        pending = list(self._scans.values())
        for entry in pending:
            entry.cancelled = True
        await DeferredList([entry.done for entry in pending])

    async def _run(self, entry: _Scan) -> None:
        try:
            await self._places.acquire()
            try:
                await self._scan(entry)
            finally:
                self._places.release()
        finally:
            del self._scans[entry.user.username]
            entry.done.callback(None)

    async def _scan(self, entry: _Scan) -> None:
        name = entry.user.username
        try:
            usage = await self._rescanned(entry)
        except Cancelled:
            self._log.info(f'the quota scan of user "{name}" was cancelled')
        except OSError as error:
            self._log.warn(f'the home of user "{name}" cannot be scanned, the used quota stays: {error.strerror}')
        except NotFound:
            self._log.info(f'user "{name}" was removed during the quota scan')
        else:
            missing = f", {usage.unreadable} entries could not be read" if usage.unreadable else ""
            self._log.info(f'quota scanned for user "{name}": {usage.files} files, {usage.size} bytes{missing}')

    async def _rescanned(self, entry: _Scan) -> Usage:
        entry.progress(0, 0)  # it may have been cancelled while it waited
        home: Home = await self._run_in_thread(Home.open, entry.user.home_dir)
        try:
            return await self._rescan(entry.user, home, entry.progress)
        finally:
            home.close()
