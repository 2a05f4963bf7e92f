"""The packets of one connection and the buffers they wait in, over whatever transport there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.interfaces import IPushProducer
from zope.interface import Attribute, Interface, implementer

from sftpgo.ssh.buffers import Buffers, ByteQueue
from sftpgo.ssh.compression import Compressor, Decompressor
from sftpgo.ssh.packets import LIMIT, PacketReader, PacketWriter

if TYPE_CHECKING:
    from sftpgo.ssh.stream import ByteStream

OVERFULL: Final = 1024 * 1024
"""Bytes that wait to be sent at which we stop reading: the client does not read our answers."""


AT_A_TIME: Final = 256 * 1024
"""What a transport with buffers of its own is told to receive at once at most, if it can be told, in bytes."""


class IDirectTransport(Interface):
    """A transport that moves bytes between its socket and its protocol's own queues.

    Its protocol provides L{IDirectProtocol}.
    """

    def receiveMore() -> bool:
        """Called in the protocol's C{received}: receive again, if the inbox was filled; whether anything came."""

    def expect(missing: int) -> None:
        """Called at the end of the protocol's C{received}: of use are so many bytes more; fewer may be left waiting.

        Not for long, since something else may be among them.  0 when anything is of use.
        """

    def sendQueued() -> bool:
        """Send from the outbox now; C{True} if all went out.  What did not goes out when the socket takes it."""

    def sendSoon() -> None:
        """Send from the outbox before the reactor waits again."""


class IDirectProtocol(Interface):
    """The protocol above an L{IDirectTransport}."""

    inbox: ByteQueue = Attribute("What was received and not yet read.")
    outbox: ByteQueue = Attribute("What waits to be sent.")
    at_once: int = Attribute("Bytes to receive before others have their turn.")

    def received() -> None:
        """There is more in the inbox."""

    def drained() -> None:
        """The outbox has been sent; there is room for more."""


class Watcher(Protocol):
    """Whoever puts packets in."""

    def drained(self) -> None:
        """There is room again."""


@implementer(IPushProducer)
class Link:
    """Both directions of one connection.

    A transport that provides L{IDirectTransport} sends from C{outbox} itself; any other is written to, and tells us by
    pausing us when it has enough.

    @ivar inbox: bytes received and not yet read.
    @ivar outbox: sealed packets.
    @ivar blocked: the transport wants no more for now.
    @ivar batching: packets gather in the outbox until L{flush}.
    @ivar compressor: once compression has started.
    @ivar decompressor: likewise.
    """

    def __init__(self, buffers: Buffers, transport: Any, watcher: Watcher) -> None:
        self.inbox = ByteQueue(buffers.greeting)
        self.outbox = ByteQueue(buffers.outbox)
        self.reader = PacketReader()
        self.writer = PacketWriter()
        self.compressor: Compressor | None = None
        self.decompressor: Decompressor | None = None
        self.blocked = False
        self.batching = False
        self._transport = transport
        self._watcher = watcher
        self._closed = False
        self._direct = IDirectTransport.providedBy(transport)
        self._is_told = False
        if not self._direct:
            transport.registerProducer(self, True)

    def widen(self, buffers: Buffers) -> None:
        """The client has logged in: take packets of any size, in large pieces."""
        self.reader.limit = LIMIT
        self.inbox.swap_pool(buffers.inbox)
        self._is_told = not self._direct and isinstance(getattr(self._transport, "bufferSize", None), int)

    def take(self, data: bytes, at_once: int) -> None:
        """What a transport with buffers of its own has received.

        @param at_once: bytes to receive the next time, if the transport can be told.
        """
        self.inbox.append(data)
        if self._is_told:
            self._transport.bufferSize = min(at_once, AT_A_TIME)

    @property
    def overfull(self) -> bool:
        """Whether so much waits to be sent that nothing more should be read."""
        return self.outbox.tail - self.outbox.head > OVERFULL

    def next_payload(self) -> bytes | None:
        """The payload of the packet that came first, once it is complete."""
        inbox, reader = self.inbox, self.reader
        size = reader.complete(inbox.view, inbox.head, inbox.tail)
        if not size:
            return None
        payload = reader.payload(inbox.view, inbox.head)
        inbox.head += size
        return payload

    def open_for(self, sink: ByteStream, flows: bool) -> bytes | None:
        """Open what has come into a stream, as far as it is for it: L{ByteStream.open_packets}.

        @param flows: data may come now.
        """
        if flows and self.decompressor is None:
            return sink.open_packets(self.reader, self.inbox)
        return self.next_payload()

    def expect(self, sink: ByteStream | None, flows: bool) -> None:
        """All that has come is served: let the transport gather what the stream needs to go on, if that can be told."""
        if self._direct:
            missing = 0
            # Outside of a stream's plain data any byte may matter.
            if sink is not None and sink.wanted and flows and self.decompressor is None:
                missing = sink.missing - len(self.inbox)
            self._transport.expect(missing)

    def send(self, kind: int, payload: bytes) -> None:
        """Seal a message, however full the outbox is, and see that it goes out."""
        if self.compressor is not None:
            packed = self.compressor.compress(bytes((kind,)) + payload)
            kind, payload = packed[0], packed[1:]
        outbox = self.outbox
        size = self.writer.size(1 + len(payload))
        outbox.require(size)
        self.writer.write(kind, payload, outbox.view[outbox.tail : outbox.tail + size])
        outbox.tail += size
        if not self.batching:
            self.send_soon()

    def send_clear(self, data: bytes) -> None:
        """Send bytes that are no packet: our version."""
        self.outbox.append(data)
        self.send_soon()

    def send_soon(self) -> None:
        """See that the outbox goes out."""
        if self._direct:
            self._transport.sendSoon()
        else:
            self.flush()

    def flush(self) -> bool:
        """Send what waits; whether the transport took all of it and wants more."""
        if self._direct:
            return bool(self._transport.sendQueued())
        outbox = self.outbox
        # A transport that has paused us is written to all the same once we are closing: there is no later.
        if outbox.tail != outbox.head and (not self.blocked or self._closed):
            data = bytes(outbox.view[outbox.head : outbox.tail])
            outbox.clear()
            self._transport.write(data)
        return not self.blocked

    def receive_more(self) -> bool:
        """Receive what has come while the inbox was full; whether there was anything."""
        return self._direct and bool(self._transport.receiveMore())

    def close(self) -> None:
        """Nothing more will be sent after what waits."""
        if self._closed:
            return
        self._closed = True
        self.flush()
        if not self._direct:
            # The transport would wait for a producer that it has paused.
            self._transport.unregisterProducer()
        self._transport.loseConnection()

    def lost(self) -> None:
        """The connection is gone: let the buffers go."""
        self._closed = True
        self.blocked = True
        self.inbox.clear()
        self.outbox.clear()

    def pauseProducing(self) -> None:
        """The transport has enough (IPushProducer)."""
        self.blocked = True

    def resumeProducing(self) -> None:
        """The transport has room again (IPushProducer)."""
        self.blocked = False
        if self.flush():
            self._watcher.drained()

    def stopProducing(self) -> None:
        """The transport is gone (IPushProducer)."""
        self.blocked = True
