"""So many bytes a second, shared fairly by those who want to pass: a token bucket with a queue for each flow.

Time is an argument, in seconds of a clock that does not jump.  Whoever wants to pass says how many bytes it is, and is
let through once these are paid for; so what has passed is never ahead of the rate by more than the burst.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

#: How many seconds' worth of bytes may pass at once after a pause; it also hides that timers come late.
BURST = 0.25


@attrs.define(eq=False)
class Flow(Generic[T]):
    """One of those who share the rate: a transfer.

    @ivar start: bytes of fair share consumed when its next item is let through; the lowest goes first.
    """

    start: float = 0.0
    waiting: deque[tuple[int, T]] = attrs.field(factory=deque)


@attrs.define(eq=False)
class Throttle(Generic[T]):
    """The queue before a line of C{rate} bytes a second.

    Start-time fair queueing: of the flows that wait, the one that has had the least goes first, and one that comes
    back after a pause does not get the pause back.
    """

    rate: float
    _free_at: float = attrs.field(init=False, default=float("-inf"))
    _served: float = attrs.field(init=False, default=0.0)
    _active: list[Flow[T]] = attrs.field(init=False, factory=list)

    def push(self, flow: Flow[T], count: int, item: T, now: float) -> None:
        """C{item} wants to pass, C{count} bytes long."""
        if not self._active:
            self._free_at = max(self._free_at, now - BURST)
        if not flow.waiting:
            flow.start = max(flow.start, self._served)
            self._active.append(flow)
        flow.waiting.append((count, item))

    def pop(self, now: float) -> list[T]:
        """All that may pass by now, in order."""
        passed: list[T] = []
        while self._active:
            flow = min(self._active, key=_start)
            paid_at = self._free_at + flow.waiting[0][0] / self.rate
            if paid_at > now:
                break
            count, item = flow.waiting.popleft()
            self._free_at = paid_at
            self._served = flow.start
            flow.start += count
            if not flow.waiting:
                self._active.remove(flow)
            passed.append(item)
        return passed

    def next_at(self) -> float | None:
        """When the next one may pass, if one waits."""
        if not self._active:
            return None
        flow = min(self._active, key=_start)
        return self._free_at + flow.waiting[0][0] / self.rate

    def drop(self, flow: Flow[T]) -> list[T]:
        """Take a flow out; returns what it had waiting."""
        dropped = [item for _, item in flow.waiting]
        if flow.waiting:
            flow.waiting.clear()
            self._active.remove(flow)
        return dropped


def _start(flow: Flow[T]) -> float:
    return flow.start
