"""Whose turn it is: how many connections share one reactor without the small requests waiting for the large.

A stream that has more to do than one turn's worth queues up here.  Between two reactor iterations only so much of the
queue is served; whoever sends a short request meanwhile is not in the queue, and is answered at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

BUDGET: Final = 512 * 1024
"""Bytes served from the queue in one reactor iteration, about half a millisecond's worth."""


class Turns:
    """The queue of one server."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._waiting: deque[Callable[[], int]] = deque()
        self._called = False

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def request(self, clock: IReactorTime, work: Callable[[], int]) -> None:
        """Queue up C{work}, which returns how many bytes it has served."""
        self._waiting.append(work)
        if not self._called:
            self._called = True
            clock.callLater(0, self._serve, clock)

    def _serve(self, clock: IReactorTime) -> None:
        left = self._budget
        try:
            # Those who queue up again meanwhile have their turn in the next iteration.
            for _ in range(len(self._waiting)):
                if left <= 0:
                    break
                left -= self._waiting.popleft()()
        finally:
            # Whoever fails does so alone: the others go on.
            self._called = bool(self._waiting)
            if self._called:
                clock.callLater(0, self._serve, clock)
