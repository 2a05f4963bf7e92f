"""Bandwidth of a user, shared by all their transfers: an answer leaves when its bytes are paid for.

Nobody waits in a thread, and nobody else waits at all: a limited transfer's answers are Deferreds that a timer fires.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sftpgo.domain import throttle
from sftpgo.domain.user import User

#: KB/s of an account are of 1000 bytes.
KB = 1000


class Gate:
    """The way of one user's bytes in one direction.

    @param rate: bytes a second.
    @param scheduler: an C{IReactorTime}; only its timers are used.
    @param seconds: a clock that does not jump.
    """

    def __init__(self, rate: float, scheduler: Any, seconds: Callable[[], float]) -> None:
        self._throttle: throttle.Throttle[Deferred[None]] = throttle.Throttle(rate)
        self._scheduler = scheduler
        self._seconds = seconds
        self._timer: IDelayedCall | None = None
        self._due = 0.0

    def change_rate(self, rate: float) -> None:
        """The account has another limit now; what waits goes on at the new rate."""
        self._throttle.rate = rate
        self._set_timer()

    def flow(self) -> Flow:
        """A transfer that will pass here."""
        return Flow(self)

    def wait(self, flow: throttle.Flow[Deferred[None]], count: int) -> Deferred[None] | None:
        """A Deferred that fires when C{count} bytes may pass, or nothing when they may now."""
        passes: Deferred[None] = Deferred()
        now = self._seconds()
        alone = self._throttle.next_at() is None
        self._throttle.push(flow, count, passes, now)
        if alone and self._throttle.pop(now):
            return None
        self._set_timer()
        return passes

    def drop(self, flow: throttle.Flow[Deferred[None]], error: BaseException) -> None:
        """A transfer is over; what it still has waiting fails."""
        dropped = self._throttle.drop(flow)
        self._set_timer()
        for passes in dropped:
            passes.errback(error)

    def _fired(self) -> None:
        self._timer = None
        passed = self._throttle.pop(self._seconds())
        self._set_timer()
        for passes in passed:
            passes.callback(None)

    def _set_timer(self) -> None:
        due = self._throttle.next_at()
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._due = due
            self._timer = self._scheduler.callLater(max(0.0, due - self._seconds()), self._fired)


class Flow:
    """One transfer's share of a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._flow: throttle.Flow[Deferred[None]] = throttle.Flow()

    def wait(self, count: int) -> Deferred[None] | None:
        """A Deferred that fires when C{count} bytes may pass, or nothing when they may now."""
        return self._gate.wait(self._flow, count) if count else None

    def end(self) -> None:
        """The transfer is over."""
        self._gate.drop(self._flow, ConnectionAbortedError("the transfer is over"))


@attrs.frozen
class Bandwidth:
    """What limits the transfers of one session.

    @ivar upload: makes the flow of an upload, or None when there is no limit; C{download} likewise.
    @ivar left: the session is over.
    """

    upload: Callable[[], Flow | None] = lambda: None
    download: Callable[[], Flow | None] = lambda: None
    left: Callable[[], None] = lambda: None


UNLIMITED = Bandwidth()


class Gates:
    """The gates of all users: one each and direction, or with C{per_transfer} one for each transfer."""

    def __init__(self, scheduler: Any, seconds: Callable[[], float], *, per_transfer: bool) -> None:
        self._scheduler = scheduler
        self._seconds = seconds
        self._per_transfer = per_transfer
        self._gates: dict[tuple[str, str], Gate] = {}
        self._sessions: Counter[str] = Counter()

    def enter(self, user: User) -> Bandwidth:
        """The limits of a user who logs in; they hold for their other sessions as well from now on."""
        if user.upload_bandwidth <= 0 and user.download_bandwidth <= 0:
            return UNLIMITED
        self._sessions[user.username] += 1
        return Bandwidth(
            self._maker(user.username, "upload", user.upload_bandwidth),
            self._maker(user.username, "download", user.download_bandwidth),
            lambda: self._left(user.username),
        )

    def _maker(self, username: str, direction: str, kilobytes: int) -> Callable[[], Flow | None]:
        if kilobytes <= 0:
            return lambda: None
        rate = float(kilobytes * KB)
        if self._per_transfer:
            return lambda: self._gate(rate).flow()
        gate = self._gates.get((username, direction))
        if gate is None:
            gate = self._gates[username, direction] = self._gate(rate)
        gate.change_rate(rate)
        return gate.flow

    def _gate(self, rate: float) -> Gate:
        return Gate(rate, self._scheduler, self._seconds)

    def _left(self, username: str) -> None:
        self._sessions[username] -= 1
        if not self._sessions[username]:
            del self._sessions[username]
            for direction in ("upload", "download"):
                self._gates.pop((username, direction), None)
