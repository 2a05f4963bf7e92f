"""A child process and a command's channel: bytes both ways at the pace of the slower side, and the end of both."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ProcessExitedAlready
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.bandwidth import Flow
from sftpgo.avatars.pipes import Output
from sftpgo.avatars.streams import ClientGone, CommandStream, Exit, Killed
from sftpgo.domain.connection import Transfer

#: Bytes handed to the child at once.
CHUNK = 64 * 1024
#: Seconds from the polite signal to the other one.
PATIENCE = 5.0


@attrs.frozen
class Direction:
    """What is counted and limited on the way to or from a child.

    @ivar transfer: the registry's counters.
    @ivar flow: the user's bandwidth, if it is limited.
    @ivar clock: seconds since the epoch.
    @ivar heard: told of every count as well.
    """

    transfer: Transfer
    flow: Flow | None
    clock: Callable[[], float]
    heard: Callable[[int], None] | None = None

    def moved(self, count: int) -> Deferred[None] | None:
        """Count bytes; a Deferred where they have to be paid for first."""
        self.transfer.size += count
        self.transfer.last_activity = int(self.clock() * 1000)
        if self.heard is not None:
            self.heard(count)
        return None if self.flow is None else self.flow.wait(count)

    def end(self) -> None:
        """Nothing more will pass."""
        if self.flow is not None:
            self.flow.end()


@implementer(IPushProducer)
class Child(ProcessProtocol):
    """A running child, which has its own process group.  Its standard output is L{output}'s C{child_end}.

    @param reactor: for the timers.
    @ivar ended: fires with how it ended, once all it wrote has been handed on.
    """

    _log = Logger()
    transport: Any

    def __init__(self, reactor: Any, stream: CommandStream, upload: Direction, download: Direction) -> None:
        self.ended: Deferred[Exit] = Deferred()
        self._reactor = reactor
        self._stream = stream
        self._upload = upload
        self._download = download
        self._waiting_for: set[str] = set()
        self._stdin_full: Deferred[None] | None = None
        self._killing: Any = None
        self._exited = False
        self._group = 0
        self._exit: Exit | None = None
        self.output = Output(reactor, self.outReceived, self._perhaps_ended)

    # From the client to the child.

    async def feed(self) -> None:
        """Hand on what the client sends, no faster than the child takes it, up to its end."""
        try:
            while data := await self._stream.read(CHUNK):
                paid = self._upload.moved(len(data))
                if paid is not None:
                    await paid
                if self._exited:
                    return
                self.transport.write(data)
                if self._stdin_full is not None:
                    await self._stdin_full
        except (ClientGone, ConnectionAbortedError):
            return
        if not self._exited:
            self.transport.closeStdin()

    def broken(self, failure: Failure) -> None:
        """Handing on has failed in a way nobody expected: without its input the child cannot go on."""
        self._log.failure("A command's input failed unexpectedly", failure=failure)
        self.terminate()

    def stdin_full(self) -> None:
        """The child does not read."""
        if self._stdin_full is None:
            self._stdin_full = Deferred()

    def stdin_free(self) -> None:
        """The child reads again, or never will."""
        full, self._stdin_full = self._stdin_full, None
        if full is not None:
            full.callback(None)

    # From the child to the client.

    def connectionMade(self) -> None:
        """The child runs."""
        self._group = self.transport.pid
        self.output.close_child_end()
        if not self._waiting_for:
            self.output.startReading()
        self.transport.registerProducer(_Stdin(self), True)
        self._stream.steer(self)
        self._stream.on_leaving(self.terminate)

    def outReceived(self, data: bytes) -> None:
        """Standard output."""
        if self._stream.gone:
            return
        self._stream.write(data)
        paid = self._download.moved(len(data))
        if paid is not None:
            self._hold("bandwidth")
            paid.addCallbacks(lambda _: self._release("bandwidth"), lambda _failure: None)

    def errReceived(self, data: bytes) -> None:
        """Standard error."""
        self._stream.write_error(data)

    def pauseProducing(self) -> None:
        """The client does not read."""
        self._hold("client")

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._release("client")

    def stopProducing(self) -> None:
        """Nobody will read any more."""
        self.terminate()

    def _hold(self, reason: str) -> None:
        self._waiting_for.add(reason)
        self.output.stopReading()
        self.transport.pauseProducing()

    def _release(self, reason: str) -> None:
        self._waiting_for.discard(reason)
        if not self._waiting_for:
            self._resume()

    def _resume(self) -> None:
        if self.output.connected:
            self.output.startReading()
        self.transport.resumeProducing()

    # The end.

    def terminate(self) -> None:
        """End it and all it has started: politely, then at once."""
        if self._exited or self._killing is not None:
            return
        self._killing = self._reactor.callLater(PATIENCE, self._kill)
        # What waits in the pipes has no reader; the child must not hang on it.
        self._waiting_for.clear()
        self._resume()
        self._signal(signal.SIGTERM)

    def _kill(self) -> None:
        self._killing = None
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            with contextlib.suppress(ProcessLookupError, ProcessExitedAlready):
                self.transport.signalProcess(number)  # so young that it has no group yet

    def processExited(self, reason: Failure) -> None:
        """The child is gone; what it started must not outlive it."""
        if self._killing is not None:
            self._killing.cancel()
            self._killing = None
        self._exited = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)

    def processEnded(self, reason: Failure) -> None:
        """The child is gone, and all of its standard error was handed on."""
        self.stdin_free()
        self._exit = _exit(reason)
        self._perhaps_ended()

    def _perhaps_ended(self) -> None:
        """Its standard output may end before or after it."""
        if self._exit is not None and not self.output.connected and not self.ended.called:
            self._stream.steer(None)
            self.ended.callback(self._exit)

    def failed_to_start(self) -> None:
        """There is no child."""
        self.output.close_child_end()
        self.output.connectionLost(Failure(ConnectionDone()))


def _exit(reason: Failure) -> Exit:
    number = getattr(reason.value, "signal", None)
    if number is not None:
        known = number in signal.Signals.__members__.values()
        return Killed(signal.Signals(number).name.removeprefix("SIG") if known else str(number))
    return getattr(reason.value, "exitCode", None) or 0


@implementer(IPushProducer)
class _Stdin:
    """Hears from the child's standard input whether there is room."""

    def __init__(self, child: Child) -> None:
        self._child = child

    def pauseProducing(self) -> None:
        self._child.stdin_full()

    def resumeProducing(self) -> None:
        self._child.stdin_free()

    def stopProducing(self) -> None:
        self._child.stdin_free()
