"""The quota while a system command writes: what is on the disk is measured again and again, and afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sftpgo.avatars.account import Account
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.transfer import RunInThread
from sftpgo.domain.user import User
from sftpgo.storage.confined import Home
from sftpgo.storage.usage import Usage, scan

#: Bytes from the client after which it is time to measure again.
ENOUGH = 4 * 1024 * 1024
#: A measurement is repeated after so many times what it took: at the earliest, and at the latest (or half a second).
_SOONEST, _LATEST = 2.0, 10.0
_HALF_A_SECOND = 0.5


@attrs.frozen
class Quota:
    """How the usage of a session's user is kept.

    @ivar rescan: counts a whole home and sets the usage to it.
    """

    account: Account
    rescan: Callable[[Home], Awaitable[object]]

    def room(self) -> int | None:
        """Bytes that may still be stored; None without a limit."""
        limit = self.account.limits.size
        return max(0, limit - self.account.ledger.size) if limit > 0 else None

    def exceeded(self) -> bool:
        """Whether more is used than may be."""
        ledger, limits = self.account.ledger, self.account.limits
        return 0 < limits.size < ledger.size or 0 < limits.files < ledger.files


@attrs.frozen
class QuotaKeeper:
    """Whose usage is kept.

    @ivar track_quota: 0 nobody's, 1 everybody's, 2 that of users with a limit.
    @ivar rescan: counts a user's home and sets the usage to it.
    """

    track_quota: int
    rescan: Callable[[User, Home], Awaitable[object]]

    def of(self, files: UserFilesystem) -> Quota | None:
        """How the usage of a session's user is kept; None when it is not."""
        user = files.user
        if self.track_quota == 0 or (self.track_quota != 1 and not user.has_quota_restrictions()):
            return None
        return Quota(files.account, lambda home: self.rescan(user, home))


class UsageWatch:
    """Counts, as it happens, what a command changes in one directory.

    @param home: the user's home; owned from now on, and so is C{place}.
    @param place: the directory the command may write, as if it were a home; None when it is the home.
    @param clock: an C{IReactorTime}.
    @param stop: called when more is used than may be.
    """

    def __init__(
        self,
        quota: Quota,
        home: Home,
        place: Home | None,
        *,
        run_in_thread: RunInThread,
        clock: Any,
        stop: Callable[[], None],
    ) -> None:
        self._quota = quota
        self._home = home
        self._place = place or home
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._stop = stop
        self._last = Usage(0, 0)
        self._seen: tuple[int, int] = (0, 0)
        self._others = False
        self._received = 0
        self._earliest = 0.0
        self._timer: IDelayedCall | None = None
        self._measuring: Deferred[None] | None = None
        self._started = False
        self._ended = False

    async def start(self) -> None:
        """Measure what is there before the command starts."""
        began = self._clock.seconds()
        self._quota.account.began()
        self._last = await self._run_in_thread(scan, self._place)
        self._seen = self._ledger()
        self._started = True
        self._plan(began)

    def received(self, count: int) -> None:
        """The client sent bytes, which may be on the disk soon."""
        self._received += count
        if self._received >= ENOUGH and self._timer is not None and self._clock.seconds() >= self._earliest:
            self._timer.reset(0)

    async def end(self) -> None:
        """The command is over: bring the usage to the truth."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            if self._measuring is not None:
                await self._measuring
            by_difference = self._started and self._place is not self._home
            if by_difference:
                await self._measure()
            if self._others or not by_difference:
                await self._quota.rescan(self._home)
        finally:
            self._quota.account.ended()
            self._place.close()
            self._home.close()

    def _plan(self, began: float) -> None:
        """Measure again after a while, which is longer where it takes longer."""
        now = self._clock.seconds()
        self._earliest = now + _SOONEST * (now - began)
        self._received = 0
        self._timer = self._clock.callLater(max(_HALF_A_SECOND, _LATEST * (now - began)), self._again)

    def _again(self) -> None:
        self._timer = None
        self._measuring = Deferred.fromCoroutine(self._measure_and_judge())

    async def _measure_and_judge(self) -> None:
        began = self._clock.seconds()
        try:
            await self._measure()
        except OSError:
            self._stop()  # what cannot be measured cannot be limited
            return
        if self._quota.exceeded():
            self._stop()
        if not self._ended:
            self._plan(began)

    async def _measure(self) -> None:
        self._others = self._others or self._ledger() != self._seen
        found: Usage = await self._run_in_thread(scan, self._place)
        self._quota.account.ledger.count(found.files - self._last.files, found.size - self._last.size)
        self._last = found
        self._seen = self._ledger()

    def _ledger(self) -> tuple[int, int]:
        return self._quota.account.ledger.files, self._quota.account.ledger.size
