"""Byte queues over pooled buffers: how data waits without being copied for each packet."""

from __future__ import annotations

from mmap import mmap
from typing import TypeAlias

from attrs import define, field

Buffer: TypeAlias = bytearray | mmap

Held: TypeAlias = tuple[Buffer, memoryview]
"""A buffer, and a view of it that is made once."""

_EMPTY = bytearray()
_NOTHING = memoryview(_EMPTY)


class BufferPool:
    """Buffers of one size that are used again.

    @ivar size: of each buffer, in bytes.
    """

    def __init__(self, size: int, keep: int) -> None:
        self.size = size
        self._keep = keep
        self._free: list[Held] = []

    def take(self) -> Held:
        """A buffer with anything in it.

        A new one is mapped: of that only the pages cost memory that something is put into, and when it is let go
        they are the system's again.
        """
        if self._free:
            return self._free.pop()
        buffer = mmap(-1, self.size)
        return buffer, memoryview(buffer)

    def give(self, held: Held) -> None:
        """Take a buffer back; one more than is kept is let go."""
        if len(self._free) < self._keep:
            self._free.append(held)


class ByteQueue:
    """Bytes that wait between C{head} and C{tail} of a buffer; a queue that is empty holds no buffer.

    The fields are for the hot paths of this package to use in place: they read C{data} or C{view} between C{head} and
    C{tail}, write from C{tail} on after L{reserve}, and move the two marks themselves.

    @ivar margin: bytes kept free before the first one that waits, for headers to be built in place.
    @ivar trailer: bytes kept free after the last one, for padding.
    @ivar limit: where the bytes that L{reserve} has made writable may go to at most; negative without a buffer.
    """

    __slots__ = ("_larger", "_pool", "data", "head", "limit", "margin", "tail", "trailer", "view")

    def __init__(self, pool: BufferPool, margin: int = 0, trailer: int = 0) -> None:
        self._pool = pool
        self._larger = False
        self.margin = margin
        self.trailer = trailer
        self.data: Buffer = _EMPTY
        self.view = _NOTHING
        self.limit = -1
        self.head = margin
        self.tail = margin

    def __len__(self) -> int:
        return self.tail - self.head

    def reserve(self, size: int) -> bool:
        """Make C{size} bytes from C{tail} on writable, moving what waits to the front if need be.

        @return: C{False} when the buffer is too small for that.
        """
        end = self.tail + size
        if end <= self.limit:
            return True
        if self.limit < 0:
            self.data, self.view = self._pool.take()
            self.limit = self._pool.size - self.trailer
            if end <= self.limit:
                return True
        waiting = self.tail - self.head
        if self.margin + waiting + size > self.limit:
            return False
        self.view[self.margin : self.margin + waiting] = self.view[self.head : self.tail]
        self.head = self.margin
        self.tail = self.margin + waiting
        return True

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Put bytes at the end, into a larger buffer if need be."""
        size = len(data)
        self.require(size)
        self.view[self.tail : self.tail + size] = data
        self.tail += size

    def require(self, size: int) -> None:
        """Like L{reserve}, with a larger buffer where the pool's is too small."""
        if self.reserve(size):
            return
        waiting = self.tail - self.head
        larger = bytearray(2 * (self.margin + waiting + size + self.trailer))
        larger[self.margin : self.margin + waiting] = self.view[self.head : self.tail]
        self.clear()
        self._larger = True
        self.data, self.view, self.limit = larger, memoryview(larger), len(larger) - self.trailer
        self.tail = self.margin + waiting

    def settle(self) -> None:
        """Let the buffer go if nothing waits in it."""
        if self.head == self.tail:
            self.clear()

    def clear(self) -> None:
        """Forget what waits, and let the buffer go."""
        if self.limit >= 0:
            if not self._larger:
                self._pool.give((self.data, self.view))
            self._larger = False
            self.data, self.view, self.limit = _EMPTY, _NOTHING, -1
        self.head = self.tail = self.margin

    def swap_pool(self, pool: BufferPool) -> None:
        """Take buffers of another size from now on; what waits goes along."""
        waiting = bytes(self.view[self.head : self.tail])
        self.clear()
        self._pool = pool
        if waiting:
            self.append(waiting)


@define
class Buffers:
    """The pools of one server: connections share them, since a connection holds buffers only while it is busy.

    @ivar greeting: what comes in before login: one packet of L{sftpgo.ssh.packets.LIMIT_BEFORE_LOGIN} bytes and what
        one read adds.
    @ivar inbox: what comes in after login: one packet of 257 KiB and what one read adds.
    @ivar outbox: sealed packets that go out together.
    @ivar incoming: a channel's stream as far as its handler has not taken it: a window of 2 MiB and one packet.
    @ivar outgoing: a handler's replies: the largest READ, twice.
    """

    greeting: BufferPool = field(factory=lambda: BufferPool(64 * 1024, 16))
    inbox: BufferPool = field(factory=lambda: BufferPool(512 * 1024, 8))
    outbox: BufferPool = field(factory=lambda: BufferPool(576 * 1024, 8))
    incoming: BufferPool = field(factory=lambda: BufferPool(2560 * 1024, 4))
    outgoing: BufferPool = field(factory=lambda: BufferPool(576 * 1024, 8))
