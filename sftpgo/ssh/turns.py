"""Whose turn it is: how many connections share one reactor without the small requests waiting for the large.

A stream that has more to do than one turn's worth queues up here.  Between two reactor iterations only so much of the
queue is served; whoever sends a short request meanwhile is not in the queue, and is answered at once.  While several
upload each receives only so much in an iteration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

BUDGET: Final = 512 * 1024
"""Bytes served from the queue in one reactor iteration, about half a millisecond's worth."""

MUCH: Final = 32 * 1024
"""Bytes received at once that count as a part of an upload."""

SHARE: Final = 128 * 1024
"""Bytes that each may receive at once while several upload, so that a short request waits for little of each."""

IN_A_ROW: Final = 16
"""How often one has to receive much, with nobody else between, to be taken for the only one who does."""

UNBOUNDED: Final = 1 << 30
"""No bound but the buffer's."""


class Turns:
    """The queue of one server."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._waiting: deque[Callable[[], int]] = deque()
        self._called = False
        self._uploader = 0
        self._in_a_row = 0

    @property
    def busy(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def received_much(self, who: int) -> None:
        """Tell that C{who}, a number of a connection, is uploading."""
        if who == self._uploader:
            self._in_a_row += 1
        else:
            self._uploader, self._in_a_row = who, 0

    @property
    def at_once(self) -> int:
        """Bytes that a connection may receive before others have their turn."""
        return SHARE if self._waiting or self._in_a_row < IN_A_ROW else UNBOUNDED

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
