"""The byte stream of a channel, served in place: what SFTP runs on.

Data is decrypted straight into the stream's incoming queue, and replies are built straight into its outgoing queue,
with room around them for the header and the padding of the packet they will travel in.  No part of a file is ever a
Python object.

A L{StreamHandler} reads C{incoming} between C{head} and C{tail}, and says how far it got with L{ByteStream.consume}.
It writes a reply of at most so many bytes at C{outgoing.tail} after C{outgoing.reserve(size)}, and then moves C{tail}.
When C{reserve} returns C{False} it stops and returns C{True} from L{StreamHandler.serve}: it is called again when
there is room.  That is the back-pressure, both ways: what the handler does not consume is not granted again to the
client's window.

What it reads or writes for the client it takes from C{allowance}; a request that is larger than what is left of that
waits for the stream's next turn, in the same way.  So many downloads do not keep a small request waiting.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from sftpgo.ssh.buffers import Buffers, ByteQueue
from sftpgo.ssh.fields import uint32
from sftpgo.ssh.link import Link
from sftpgo.ssh.packets import MINIMAL_PADDING, PROTOCOL_ERROR, SEQUENCE_MASK, PacketError, PacketReader, unpad

MSG_WINDOW_ADJUST: Final = 93
WINDOW_ADJUST_SIZE: Final = 9
MSG_CHANNEL_DATA: Final = 94

HEADER: Final = 10
"""Bytes before a channel's data in a plain packet: padding length, message number, channel, length of the data."""

TRAILER: Final = 64
"""Bytes after a channel's data in a plain packet that padding may take."""

GATHER: Final = 128 * 1024
"""Sealed bytes that are sent together at least, if there are as many."""

DUE: Final = 192 * 1024
"""Received bytes that are served before more are decrypted: they should still be in the processor's cache."""

LARGEST_REQUEST: Final = 272 * 1024
"""Bytes that suffice for a request of any size: with less left of it a turn ends.

A request that needs more would never have its turn, so no handler may take one: L{sftpgo.ssh.sftp.MAX_PACKET}.
"""

TURN: Final = 528 * 1024
"""What a turn allows for while others wait, in bytes: two of the largest READs, which are sent together."""

ALONE: Final = 1024 * 1024
"""What it allows for while nobody else waits: larger pieces cost less."""

AT_ONCE: Final = 32 * 1024
"""What is served without a turn while others wait for theirs, in bytes."""

_AROUND_PACKET: Final = HEADER + TRAILER + 4 + 64
"""Bytes that a packet of data has at most besides the data: header, padding, length, tag."""

_TOO_MUCH: Final = "more data than the window allows"

_get_header = struct.Struct(">BBLL").unpack_from
_put_header = struct.Struct(">BBLL").pack_into


class StreamHandler(Protocol):
    """What serves a stream: one for each channel."""

    def serve(self) -> bool:
        """Take what is in C{stream.incoming}, put replies into C{stream.outgoing}.

        Called when bytes have come, when there is room again, after L{ByteStream.wake}, and when the client has sent
        its last byte (C{stream.ended}); then the handler calls L{ByteStream.finish} once it has no more to say.

        @return: C{True} when it stopped for want of room in C{stream.outgoing}, or of C{stream.allowance}, and has
            more to do.
        """

    def closed(self) -> None:
        """The channel is gone, whyever: let go of everything.  Called once; nothing is called after it."""


class ByteStream:
    """Both directions of one channel.

    @ivar incoming: what the client has sent and the handler has not taken.
    @ivar outgoing: what the handler wants to be sent.
    @ivar ended: the client will send no more.
    @ivar window: bytes that the client may still send.
    @ivar allowance: bytes of files that may be read and written before the others have their turn.
    @ivar wanted: bytes in C{incoming} below which the handler can do nothing: for the handler to set.
    """

    def __init__(self, channel: Any, buffers: Buffers, window: int, schedule: Callable[[], None]) -> None:
        self._channel = channel
        self._transport = channel.conn.transport
        self._link: Link = self._transport.link
        self._schedule = schedule
        self._local = channel.id
        self._remote = channel.conn.channelsToRemoteChannel[channel]
        self._largest = channel.remoteMaxPacket
        self.incoming = ByteQueue(buffers.incoming, HEADER)
        self.outgoing = ByteQueue(buffers.outgoing, HEADER, TRAILER)
        self.window = channel.localWindowLeft
        self._full_window = window
        self._consumed = 0
        self.ended = False
        self._exit: int | None = None
        self.allowance = 0
        self.wanted = 0
        self._turns = self._transport.settings.turns
        self._serving = False
        self._queued = False
        self._gone = False
        self._handler: StreamHandler | None = None
        self._largest = min(self._largest, buffers.outgoing.size // 2)

    def start(self, handler: StreamHandler) -> None:
        """Serve the stream by C{handler} from now on, with the whole window."""
        self._handler = handler
        grant = self._full_window - self.window
        if grant > 0:
            self._grant(grant)

    # --- from the client

    def open_packets(self, reader: PacketReader, inbox: ByteQueue) -> bytes | None:
        """Open what is complete in C{inbox} straight into the stream, as far as it is data of this channel.

        This loop is the whole cost of an upload: it has no calls that can be left out.

        @return: the payload of any other message, with which the loop ends; nothing in it when so much has come that
            it should be served before more is opened; C{None} when nothing else is complete.
        """
        incoming = self.incoming
        view, complete, decrypt, due = inbox.view, reader.complete, reader.open, max(DUE, self.wanted)
        while size := complete(view, inbox.head, inbox.tail):
            head, length, tail = inbox.head, reader.length, incoming.tail
            if tail + length > incoming.limit:
                if not incoming.reserve(length):
                    payload = reader.payload(view, head)
                    inbox.head = head + size
                    return payload
                tail = incoming.tail
            into, data, start = incoming.view, incoming.data, tail - HEADER
            # The packet's header lands on the last bytes of what waits already; they are put back.
            covered = data[start:tail]
            try:
                decrypt(view, head, into[start : start + length])
                padding, kind, channel, octets = _get_header(data, start)
                if (
                    kind != MSG_CHANNEL_DATA
                    or channel != self._local
                    or HEADER + octets + padding != length
                    or padding < MINIMAL_PADDING
                ):
                    payload = unpad(into[start : start + length])
                    inbox.head = head + size
                    if kind != MSG_WINDOW_ADJUST or channel != self._local or len(payload) != WINDOW_ADJUST_SIZE:
                        return payload
                    # What the header names the size of the data is the size of the grant.  It is made use of at the
                    # end of what has come: nothing depends on the order.
                    self._channel.widen(octets)
                    continue
            finally:
                data[start:tail] = covered
            inbox.head = head + size
            if octets > self.window:
                raise PacketError(PROTOCOL_ERROR, _TOO_MUCH)
            self.window -= octets
            incoming.tail = tail = tail + octets
            if tail - incoming.head >= due:
                return b""
        return None

    @property
    def missing(self) -> int:
        """Bytes that have to come before the handler can do anything; below 1 where it can."""
        return self.wanted - (self.incoming.tail - self.incoming.head)

    def append(self, data: bytes) -> None:
        """Take data that came by another way: a packet with padding to spare, or compressed."""
        self._count(len(data))
        self.incoming.append(data)

    def _count(self, size: int) -> None:
        if size > self.window:
            raise PacketError(PROTOCOL_ERROR, _TOO_MUCH)
        self.window -= size

    def end(self) -> None:
        """The client has sent its last byte."""
        self.ended = True
        self.run()

    def consume(self, size: int) -> None:
        """Drop so many bytes from the front of C{incoming}: they are granted to the client again."""
        incoming = self.incoming
        self._consumed += size
        incoming.head += size
        if incoming.head == incoming.tail:
            incoming.head = incoming.tail = HEADER

    # --- to the client

    def wake(self) -> None:
        """Have the handler served soon: something it waited for has come."""
        self.queue_up()

    def queue_up(self) -> None:
        """Wait for a turn; until then nothing else makes the stream be served."""
        if not self._queued and not self._gone:
            self._queued = True
            self._schedule()

    def take_turn(self) -> int:
        """The turn has come; how many bytes of files were served."""
        self._queued = False
        return self._serve(TURN if self._turns.busy else ALONE)

    def finish(self, status: int) -> None:
        """Close the channel with this exit status when all in C{outgoing} has been sent."""
        self._exit = status
        if not self._serving:
            self.run()

    def run(self, more: bool = False) -> None:
        """Serve and send until there is nothing to do, something is full, or others should have their turn.

        @param more: this is called once more before anything is waited for: short replies are sent together then.
        """
        self._serve(AT_ONCE if self._turns.busy else ALONE, GATHER if more else 0)

    def _serve(self, allowed: int, gather: int = 0) -> int:
        if self._serving or self._queued or self._gone or self._handler is None:
            return 0
        self.allowance = allowed
        self._serving = True
        try:
            self._run(self._handler, gather)
        finally:
            self._serving = False
        # Serving may have closed the channel.
        if self.is_gone():
            self._drop()
        return allowed - self.allowance

    def is_gone(self) -> bool:
        """Whether the channel is closed."""
        return self._gone

    def _run(self, handler: StreamHandler, gather: int) -> None:
        outgoing = self.outgoing
        more = True
        while more and not self._gone:
            consumed, waiting, left = self._consumed, outgoing.tail - outgoing.head, self.allowance
            more = handler.serve()
            replies = outgoing.tail - outgoing.head
            # Whatever the handler counts itself.
            self.allowance = min(self.allowance, left - (self._consumed - consumed) - (replies - waiting))
            free = replies < gather or self._pump(more)
            if more and free and self.allowance < LARGEST_REQUEST:
                self.queue_up()
                break
            stuck = self._consumed == consumed and waiting == replies == outgoing.tail - outgoing.head
            if not free or stuck:
                break
        if self._gone:
            return
        # Little is not worth a message, unless the client needs it to end the request that it is in.
        if self._consumed > self._full_window // 2 or self.missing > self.window:
            self._grant(self._consumed)
            self._consumed = 0
        if self._exit is not None and not len(self.outgoing):
            status, self._exit = self._exit, None
            self._channel.finish(status)
        else:
            self.incoming.settle()
            self.outgoing.settle()

    def _grant(self, size: int) -> None:
        # After our CLOSE there may be no such channel any more at the client's.
        if not self._channel.localClosed:
            self.window += size
            self._transport.sendPacket(MSG_WINDOW_ADJUST, uint32(self._remote) + uint32(size))

    def _pump(self, more: bool) -> bool:
        """Seal the outgoing bytes into packets.

        @param more: more will come at once: a rest that does not fill a packet is kept for it.
        @return: C{False} when the window, the transport or a key exchange is in the way.
        """
        outgoing, channel, link = self.outgoing, self._channel, self._link
        if not self._transport.sending:
            return False
        if link.compressor is not None:
            return self._pump_copies()
        rest = (outgoing.tail - outgoing.head) % self._largest if more else 0
        wanted = outgoing.tail - rest
        until: int = min(wanted, outgoing.head + channel.remoteWindowLeft)
        free = until == wanted
        room = self._largest + _AROUND_PACKET
        while outgoing.head < until:
            if not link.outbox.reserve(room) and not (link.flush() and link.outbox.reserve(room)):
                free = False
                break
            self._seal(until, link)
        if outgoing.head == outgoing.tail:
            outgoing.head = outgoing.tail = HEADER
        if free and link.outbox.tail - link.outbox.head >= GATHER:
            free = link.flush()
        elif not link.batching:
            link.send_soon()
        return free

    def _seal(self, until: int, link: Link) -> None:
        """Seal outgoing bytes up to C{until} as far as there is room in the outbox.

        This loop is the whole cost of a download: it has no calls that can be left out.
        """
        outgoing, outbox, writer, largest, remote = self.outgoing, link.outbox, link.writer, self._largest, self._remote
        seal, tag, sequence = writer.cipher.seal, writer.cipher.tag, writer.sequence
        padding_of_largest = writer.padding(HEADER - 1 + largest)
        # Encrypted, one piece of it does for all packets of a batch.
        random = writer.random(writer.cipher.block + MINIMAL_PADDING)
        data, view = outgoing.data, outgoing.view
        sealed, to, limit = outbox.view, outbox.tail, outbox.limit
        first = head = outgoing.head
        packets = 0
        while head < until:
            size = min(until - head, largest)
            padding = padding_of_largest if size == largest else writer.padding(HEADER - 1 + size)
            end = head + size
            stop = end + padding
            next_to = to + size + padding + tag + HEADER + 4
            if next_to > limit:
                break
            start = head - HEADER
            _put_header(data, start, padding, MSG_CHANNEL_DATA, remote, size)
            # The padding lands on the first bytes of the next packet.
            covered = data[end:stop]
            data[end:stop] = random[:padding]
            seal(view[start:stop], sequence, sealed[to:next_to])
            data[end:stop] = covered
            sequence = (sequence + 1) & SEQUENCE_MASK
            packets += 1
            to = next_to
            head = end
        writer.count(packets, head - first)
        outbox.tail = to
        outgoing.head = head
        self._channel.remoteWindowLeft -= head - first

    def _pump_copies(self) -> bool:
        """Send the outgoing bytes as ordinary messages, which are compressed."""
        outgoing, channel = self.outgoing, self._channel
        while len(outgoing):
            # If nothing keeps the link from sending, nothing will tell us that it has.
            if self._link.blocked or (self._link.overfull and not self._link.flush()):
                return False
            size = min(len(outgoing), self._largest, channel.remoteWindowLeft)
            if not size:
                return False
            data = bytes(outgoing.view[outgoing.head : outgoing.head + size])
            self._transport.sendPacket(MSG_CHANNEL_DATA, uint32(self._remote) + uint32(size) + data)
            channel.remoteWindowLeft -= size
            outgoing.head += size
        outgoing.head = outgoing.tail = HEADER
        return True

    def closed(self) -> None:
        """The channel is gone."""
        if self._gone:
            return
        self._gone = True
        handler, self._handler = self._handler, None
        if not self._serving:
            self._drop()
        if handler is not None:
            handler.closed()

    def _drop(self) -> None:
        self.incoming.clear()
        self.outgoing.clear()
