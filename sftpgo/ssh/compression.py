"""zlib@openssh.com: compression that starts when the login is done, unpacked with a cap.

The form that starts before login, C{zlib}, is not offered at all: it lets anybody spend our memory.
"""

from __future__ import annotations

import zlib
from typing import Final

NONE: Final = b"none"
DELAYED_ZLIB: Final = b"zlib@openssh.com"
COMPRESSIONS: Final = (NONE, DELAYED_ZLIB)


class CompressionError(Exception):
    """A payload that does not unpack, or to more than is allowed."""


class Compressor:
    """One direction's outgoing stream; each payload is flushed, so that the peer can read it at once."""

    def __init__(self) -> None:
        # Level 1: the gain of more is small and its price is CPU that all connections share.
        self._stream = zlib.compressobj(1)

    def compress(self, payload: bytes) -> bytes:
        """What to send for a payload."""
        return self._stream.compress(payload) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)


class Decompressor:
    """One direction's incoming stream.

    @ivar limit: the largest payload, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._stream = zlib.decompressobj()

    def decompress(self, data: bytes) -> bytes:
        """The payload that was sent; raises L{CompressionError}."""
        try:
            payload = self._stream.decompress(data, self.limit + 1)
        except zlib.error as error:
            raise CompressionError(str(error)) from None
        if len(payload) > self.limit:
            raise CompressionError(f"more than {self.limit} bytes")
        if not payload or self._stream.eof:
            raise CompressionError("no payload" if not payload else "the stream ends")
        return payload
