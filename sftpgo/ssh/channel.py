"""One channel of a connection: its windows, what waits to be sent, and who serves what it receives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.conch.ssh.channel import SSHChannel
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from sftpgo.ssh.fields import string, uint32
from sftpgo.ssh.packets import PROTOCOL_ERROR, PacketError
from sftpgo.ssh.quiet import QuietLogger
from sftpgo.ssh.settings import LARGEST_DATA, SMALL_WINDOW, WINDOW
from sftpgo.ssh.stream import ByteStream, StreamHandler

_SIGNALS = frozenset(b"ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2".split())
"""The signals that have a name on the wire (RFC 4254, section 6.10); others are written as local names."""

LARGEST_WINDOW = 0xFFFFFFFF
ENOUGH = 64 * 1024
"""Bytes that may wait to be sent before whoever produces them is paused."""


@implementer(IConsumer, IPushProducer)
class Channel(SSHChannel):
    """A channel that bounds what it holds, for both ways of being served.

    Until it is served the client's window is small.  Then either L{start_stream} hands both directions to a
    L{StreamHandler}; or L{start_reading} has L{dataReceived} called, L{write} sends, and each side can pause the
    other: a producer registered here is paused while the client does not read, and L{pauseProducing} stops granting
    window to the client.
    """

    _log = QuietLogger()
    conn: Any
    stream: ByteStream | None = None
    _last_words: tuple[bytes, bytes] | None = None
    window_share = 0

    def __init__(self, *args: Any, **named: Any) -> None:
        named.setdefault("localWindow", SMALL_WINDOW)
        named.setdefault("localMaxPacket", LARGEST_DATA)
        super().__init__(*args, **named)
        self._early: list[bytes] = []
        self._ended = False
        self._reading = False
        self._paused = False
        self._received = 0
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self._waiting_size = 0
        self._producer: Any = None
        self._producer_paused = False

    # --- being served

    def start_stream(self, make: Callable[[ByteStream], StreamHandler]) -> ByteStream:
        """Have both directions served in place from now on."""
        stream: ByteStream = self.conn.make_stream(self)
        self.stream = stream
        stream.start(make(stream))
        for data in self._early:
            stream.incoming.append(data)
        self._early = []
        if self._ended:
            stream.end()
        else:
            stream.wake()
        return stream

    def start_reading(self) -> None:
        """Have L{dataReceived} called from now on, with what has come so far first."""
        self._reading = True
        self.localWindowSize = WINDOW
        self.conn.adjustWindow(self, WINDOW - self.localWindowLeft)
        early, self._early = self._early, []
        for data in early:
            self.dataReceived(data)
        if self._ended:
            self.ended()

    def ended(self) -> None:
        """The client sends no more; for who uses L{start_reading} to override."""

    # --- from the client (called by the connection)

    def receive(self, data: bytes) -> None:
        """Data has come by a message of its own."""
        if self.stream is not None:
            self.stream.append(data)
            self.stream.run()
            return
        if len(data) > self.localWindowLeft:
            raise PacketError(PROTOCOL_ERROR, "more data than the window allows")
        self.localWindowLeft -= len(data)
        if self.localClosed:
            return
        if self._reading:
            self._received += len(data)
            self.dataReceived(data)
            self._grant()
        elif data:
            self._early.append(data)

    def requestReceived(self, requestType: bytes, data: bytes) -> Any:
        """Serve a request by the method named after it; there is none for most."""
        name = requestType.replace(b"-", b"_").decode("ascii", "replace")
        serve = getattr(self, f"request_{name}", None)
        return serve(data) if serve is not None else False

    def extReceived(self, dataType: int, data: bytes) -> None:
        """A client has nothing to say on standard error: dropped, and not granted again."""

    def eofReceived(self) -> None:
        """The client sends no more."""
        self._ended = True
        if self.stream is not None:
            self.stream.end()
        elif self._reading:
            self.ended()

    def closeReceived(self) -> None:
        """The client has closed the channel: what waits for it has nobody to read it."""
        self._waiting.clear()
        self._waiting_size = 0
        if self.stream is not None:
            self.stream.closed()
        self.conn.sendClose(self)

    def closed(self) -> None:
        """Both sides have closed, or the connection is gone."""
        self._waiting.clear()
        self._early.clear()
        producer, self._producer = self._producer, None
        try:
            if self.stream is not None:
                self.stream.closed()
        finally:
            if producer is not None:
                producer.stopProducing()

    def widen(self, size: int) -> None:
        """The client takes so many bytes more; raises L{PacketError} for more than there can be."""
        if self.remoteWindowLeft + size > LARGEST_WINDOW:
            raise PacketError(PROTOCOL_ERROR, "a window over 2^32 - 1")
        self.remoteWindowLeft += size

    def addWindowBytes(self, data: int) -> None:
        """The client grants more."""
        self.widen(data)
        if self.stream is not None:
            self.stream.run()
        else:
            self._send()

    def queue_up(self) -> None:
        """A turn has been asked for: nothing is sent before it."""
        if self.stream is not None:
            self.stream.queue_up()

    def drained(self) -> int:
        """There is room in the transport, and it is our turn: go on.  How many bytes were served."""
        if self.stream is not None:
            return self.stream.take_turn()
        waiting = self._waiting_size
        self._send()
        return max(0, waiting - self._waiting_size)

    # --- to the client, without a stream

    def write(self, data: bytes) -> None:
        """Send bytes, now or when the client reads (ITransport)."""
        self.writeExtended(0, data)

    def writeExtended(self, dataType: int, data: bytes) -> None:
        """Send bytes of a type: 1 is standard error, 0 is ordinary data."""
        if data and not self.localClosed and not self.closing:
            self._waiting.append((dataType, memoryview(bytes(data))))
            self._waiting_size += len(data)
            self._send()

    def loseConnection(self) -> None:
        """Close once all has been sent."""
        self.closing = 1
        self._send()

    def finish(self, status: int) -> None:
        """Send the exit status, the end of the data and the close, in this order, after all that waits."""
        self._finish(b"exit-status", uint32(status))

    def finish_by_signal(self, name: bytes) -> None:
        """The same for a command that a signal has ended; its name without SIG (RFC 4254, section 6.10)."""
        wire_name = name if name in _SIGNALS else name + b"@sftpgo"
        self._finish(b"exit-signal", string(wire_name) + b"\0" + string(b"") + string(b""))

    def _finish(self, request: bytes, data: bytes) -> None:
        if not self.closing:
            self._last_words = request, data
            self.loseConnection()

    def _send(self) -> None:
        transport = self.conn.transport
        while self._waiting and self.remoteWindowLeft and transport.sending and not transport.link.blocked:
            if transport.link.overfull and not transport.link.flush():
                break
            kind, data = self._waiting.popleft()
            size = min(self.remoteWindowLeft, self.remoteMaxPacket, LARGEST_DATA)
            if size < len(data):
                self._waiting.appendleft((kind, data[size:]))
                data = data[:size]
            self._waiting_size -= len(data)
            self.remoteWindowLeft -= len(data)
            if kind:
                self.conn.sendExtendedData(self, kind, bytes(data))
            else:
                self.conn.sendData(self, bytes(data))
        if not self._waiting and self.closing:
            last_words, self._last_words = self._last_words, None
            if last_words is not None and not self.localClosed:
                self.conn.sendRequest(self, *last_words)
                self.conn.sendEOF(self)
            self.conn.sendClose(self)
        self._steer()

    # --- producers and consumers

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Pause C{producer} while the client does not read (IConsumer); only push producers are taken."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not streaming:
            raise RuntimeError("a push producer is needed")
        self._producer = producer
        self._producer_paused = False
        self._steer()

    def unregisterProducer(self) -> None:
        """Forget the producer (IConsumer)."""
        self._producer = None

    def _steer(self) -> None:
        producer = self._producer
        if producer is None:
            return
        enough = self._waiting_size >= ENOUGH
        if enough and not self._producer_paused:
            self._producer_paused = True
            producer.pauseProducing()
        elif not self._waiting and self._producer_paused:
            self._producer_paused = False
            producer.resumeProducing()

    def pauseProducing(self) -> None:
        """Grant the client no more window (IPushProducer)."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Grant the client what was taken meanwhile (IPushProducer)."""
        self._paused = False
        self._grant()

    def stopProducing(self) -> None:
        """Close the channel (IPushProducer)."""
        self.loseConnection()

    def _grant(self) -> None:
        if not self._paused and self._received > self.localWindowSize // 2 and not self._ended:
            received, self._received = self._received, 0
            self.conn.adjustWindow(self, received)
