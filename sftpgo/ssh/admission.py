"""How many strangers are let in at once: connections that have not logged in, in all and from one address."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from attrs import field, frozen


@frozen
class Limits:
    """The bounds.

    @ivar total: strangers in all; more are refused.
    @ivar each: strangers from one address.
    @ivar early: strangers from which on some are refused at random, the more the fuller it is: whoever fills the
        server with strangers then shuts out friends only in part.
    @ivar least: the share that is refused at C{early}; at C{total} it is all.
    """

    total: int = 100
    each: int = 10
    early: int = 50
    least: float = 0.3


class Admission:
    """The count of strangers of one server.

    @param draw: a random number from 0 up to 1.
    """

    def __init__(self, limits: Limits, draw: Callable[[], float] = random.random) -> None:
        self._limits = limits
        self._draw = draw
        self._by_address: Counter[str] = Counter()
        self._total = 0

    @property
    def strangers(self) -> int:
        """How many are in."""
        return self._total

    def enter(self, address: str) -> Ticket | None:
        """Let a connection in, and count it until its L{Ticket.leave}; C{None} to refuse it."""
        limits = self._limits
        if self._total >= limits.total or self._by_address[address] >= limits.each:
            # Looking at a counter makes no entry: refused addresses cost nothing.
            return None
        if self._total >= limits.early:
            fullness = (self._total - limits.early) / (limits.total - limits.early)
            if self._draw() < limits.least + (1 - limits.least) * fullness:
                return None
        self._total += 1
        self._by_address[address] += 1
        return Ticket(self, address)

    def _left(self, address: str) -> None:
        self._total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


@frozen
class Ticket:
    """One stranger's place."""

    _admission: Admission
    _address: str
    _used: list[bool] = field(factory=list, init=False)

    def leave(self) -> None:
        """Give the place back; only the first call does."""
        if not self._used:
            self._used.append(True)
            self._admission._left(self._address)
