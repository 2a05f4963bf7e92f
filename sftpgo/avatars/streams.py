"""A command's two directions as a coroutine sees them: read what the client sends, write, and wait when it must.

Memory is bounded both ways: what the client sends is granted again only when the command has taken it, and
L{CommandStream.drain} waits while the client does not read.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

#: Bytes of the client's that may wait for the command before its window is shut, and when it is opened again.
HIGH = 1024 * 1024
LOW = 256 * 1024


class ClientGone(Exception):
    """The channel is closed: there is nobody to read from or to write to."""


@attrs.frozen
class Killed:
    """How a command ended that a signal killed.

    @ivar signal: the signal's name without C{SIG}.
    """

    signal: str


Exit: TypeAlias = int | Killed


async def settle(value: Deferred[T] | T) -> T:
    """What a call gave, at once or in time."""
    return await value if isinstance(value, Deferred) else value


@implementer(IHalfCloseableProtocol, IPushProducer)
class CommandStream(Protocol):
    """The protocol of one command's channel; runs a coroutine from the channel's start to its end.

    @param run: the command; what it returns goes to the client as exit status or signal.  When the client goes away,
        whatever it waits for here raises L{ClientGone}.
    """

    _log = Logger()
    transport: Any

    def __init__(self, run: Callable[[CommandStream], Coroutine[Any, Any, Exit]]) -> None:
        self._run = run
        self._buffer = bytearray()
        self._ended = False
        self._gone = False
        self._held = False
        self._blocked = False
        self._reader: Deferred[None] | None = None
        self._writer: Deferred[None] | None = None
        self._source: Any = None
        self._leaving: list[Callable[[], object]] = []

    # Reading.

    async def read(self, limit: int) -> bytes:
        """Some bytes of the client's, up to C{limit}; none when it has sent its last."""
        while not self._buffer:
            if self._ended:
                return b""
            await self._more()
        return self._take(min(limit, len(self._buffer)))

    async def read_line(self, limit: int) -> bytes | None:
        """A line without its newline; None when the client has sent its last.

        @raise ValueError: for one longer than C{limit}, or cut off by the end.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > limit:
                raise ValueError("a line too long")
            if self._ended:
                if searched:
                    raise ValueError("a line without an end")
                return None
            await self._more()
        if end > limit:
            raise ValueError("a line too long")
        return self._take(end + 1)[:-1]

    def _take(self, size: int) -> bytes:
        data = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        if self._held and len(self._buffer) <= LOW and not self._gone:
            self._held = False
            self.transport.resumeProducing()
        return data

    async def _more(self) -> None:
        if self._gone:
            raise ClientGone
        self._reader = Deferred()
        await self._reader

    # Writing.

    @property
    def gone(self) -> bool:
        """Whether the client is gone."""
        return self._gone

    def write(self, data: bytes) -> None:
        """Send bytes to the client; what it has not read yet waits in memory, so L{drain} after it."""
        if not self._gone:
            self.transport.write(data)

    def write_error(self, text: str | bytes) -> None:
        """Send to the client's standard error."""
        if not self._gone:
            self.transport.writeError(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)

    async def drain(self) -> None:
        """Wait until the client reads."""
        if self._gone:
            raise ClientGone
        if self._blocked:
            self._writer = Deferred()
            await self._writer

    def steer(self, source: Any) -> None:
        """Have a push producer paused, too, while the client does not read; None ends that."""
        self._source = source
        if self._blocked and source is not None:
            source.pauseProducing()

    def on_leaving(self, call: Callable[[], object]) -> None:
        """Have something called when the client goes away in the midst of it."""
        self._leaving.append(call)

    # The channel below.

    def connectionMade(self) -> None:
        """Start the command."""
        self.transport.registerProducer(self, True)
        running: Deferred[Exit] = Deferred.fromCoroutine(self._run(self))
        running.addErrback(self._failed)
        running.addCallback(self._finished)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the client's."""
        self._buffer += data
        if not self._held and len(self._buffer) >= HIGH:
            self._held = True
            self.transport.pauseProducing()
        self._wake_reader()

    def readConnectionLost(self) -> None:
        """The client will send no more."""
        self._ended = True
        self._wake_reader()

    def writeConnectionLost(self) -> None:
        """The client will read no more; the channel's end follows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the command, wherever it waits."""
        if self._gone:
            return
        self._gone = self._ended = True
        self._buffer.clear()
        leaving, self._leaving = self._leaving, []
        for call in leaving:
            call()
        for waiting in (self._reader, self._writer):
            if waiting is not None and not waiting.called:
                waiting.errback(ClientGone())

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._blocked = True
        if self._source is not None:
            self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._blocked = False
        if self._source is not None:
            self._source.resumeProducing()
        waiting, self._writer = self._writer, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """Nobody will read any more; L{connectionLost} follows."""
        self._blocked = True

    def _wake_reader(self) -> None:
        waiting, self._reader = self._reader, None
        if waiting is not None:
            waiting.callback(None)

    def _failed(self, failure: Failure) -> Exit:
        if not failure.check(ClientGone):
            self._log.failure("A command failed unexpectedly", failure=failure)
            self.write_error("internal error\n")
        return 1

    def _finished(self, exit: Exit) -> None:
        if self._gone:
            return
        self._leaving.clear()
        self.transport.unregisterProducer()
        if isinstance(exit, Killed):
            self.transport.loseConnectionBySignal(exit.signal.encode("ascii"))
        else:
            self.transport.loseConnection(exit_status=exit)
