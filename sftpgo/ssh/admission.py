"""How many strangers are let in at once: connections that have not logged in, in all and from one address.

Who comes when the house is full is let in all the same, and the one that has been in for longest goes: connections that
wait for their deadline never shut out those that log in at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from attrs import field, frozen


@frozen
class Limits:
    """The bounds.

    @ivar total: strangers in all; one more drives one out.
    @ivar each: strangers from one address; more are refused.
    """

    total: int = 100
    each: int = 10


class Admission:
    """The strangers of one server.

    @ivar limits: how many; others may be set, which hold for who comes then.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._by_address: Counter[str] = Counter()
        self._inside: dict[Ticket, None] = {}

    @property
    def strangers(self) -> int:
        """How many are in."""
        return len(self._inside)

    def enter(self, address: str, cut: Callable[[], object], *, alike: bool = True) -> Ticket | None:
        """Let a connection in, and count it until its L{Ticket.leave}; C{None} to refuse it.

        @param cut: ends the connection at once, should its place be needed.
        @param alike: all who come from this address are one and the same; if not, only their total is limited, and
            nobody is refused.
        """
        # Looking at a counter makes no entry: refused addresses cost nothing.
        if alike and self._by_address[address] >= self.limits.each:
            return None
        while len(self._inside) >= self.limits.total:
            self._make_room()
        ticket = Ticket(self, address, cut)
        self._inside[ticket] = None
        self._by_address[address] += 1
        return ticket

    def _make_room(self) -> None:
        """Drive out the oldest of those whose address has the most."""
        most = max(self._by_address.values())
        oldest = next(ticket for ticket in self._inside if self._by_address[ticket.address] == most)
        oldest.leave()
        oldest.cut()

    def _left(self, ticket: Ticket) -> None:
        del self._inside[ticket]
        self._by_address[ticket.address] -= 1
        if not self._by_address[ticket.address]:
            del self._by_address[ticket.address]


@frozen(eq=False)
class Ticket:
    """One stranger's place."""

    _admission: Admission
    address: str
    cut: Callable[[], object]
    _used: list[bool] = field(factory=list, init=False)

    def leave(self) -> None:
        """Give the place back; only the first call does."""
        if not self._used:
            self._used.append(True)
            self._admission._left(self)
