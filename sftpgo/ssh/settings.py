"""What an operator may set about the wire, and the limits that are the same for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred

from sftpgo.ssh.algorithms import Algorithms
from sftpgo.ssh.buffers import Buffers
from sftpgo.ssh.turns import Turns

T = TypeVar("T")

WINDOW: Final = 2 * 1024 * 1024
"""The window of a channel whose stream is served, in bytes."""

SMALL_WINDOW: Final = 32 * 1024
"""The window of a channel that nobody serves yet, in bytes."""

LARGEST_DATA: Final = 256 * 1024
"""The most data in one packet of a channel, in bytes."""

SMALLEST_PACKET: Final = 256
"""The least that a client must let us put into one packet; less would only be asked for to cost us time."""


def at_once(work: Callable[[], T]) -> Deferred[T]:
    """Run slow work where we are: for tests."""
    return maybeDeferred(work)


class OneAtATime:
    """Run slow work in a thread, and never two at once.

    Big arithmetic holds the interpreter for its whole duration; with one such thread the reactor gets its turn
    after each piece, with many it would wait for all of them.

    @param in_thread: L{twisted.internet.threads.deferToThread}, or like it.
    """

    def __init__(self, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]) -> None:
        self._in_thread = in_thread
        self._lock = DeferredLock()

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        """Run it when its turn has come."""
        return self._lock.run(self._in_thread, work)


@frozen
class Settings:
    """How one server speaks SSH.

    @ivar version: the first line, without its end: C{SSH-2.0-...} (RFC 4253 section 4.2).
    @ivar buffers: the pools that all connections of this server share.
    @ivar turns: the queue that they share too.
    @ivar run_slow: runs a function off the reactor: L{OneAtATime}.
    @ivar login_timeout: seconds from accept to the end of the login.
    @ivar kex_timeout: seconds that the first key exchange may take.
    @ivar renewal_timeout: seconds that a later one may take: what waits to be sent goes before it, on a line that may
        be slow.
    @ivar close_timeout: seconds that a client is given to take our last bytes.
    @ivar rekey_octets: bytes, both ways together, after which we ask for new keys.
    @ivar rekey_packets: packets of one direction, likewise.
    @ivar rekey_interval: seconds, likewise.
    @ivar keepalive_interval: seconds of silence after which the client is asked whether it lives; 0 for never.
    @ivar keepalive_count: unanswered questions after which it does not.
    @ivar max_channels: channels that one connection may have open.
    """

    version: bytes = b"SSH-2.0-SFTPGo"
    algorithms: Algorithms = field(factory=Algorithms)
    buffers: Buffers = field(factory=Buffers)
    turns: Turns = field(factory=Turns)
    run_slow: Callable[[Callable[[], Any]], Deferred[Any]] = at_once
    login_timeout: float = 120
    kex_timeout: float = 30
    renewal_timeout: float = 300
    close_timeout: float = 10
    rekey_octets: int = 1 << 30
    rekey_packets: int = 1 << 31
    rekey_interval: float = 3600
    keepalive_interval: float = 60
    keepalive_count: int = 3
    max_channels: int = 10
