"""The data types of the SSH protocol (RFC 4251 section 5), read strictly and written.

Conch's own helpers take a string that is shorter than its length field as it is; here that is an error, since every
byte comes from somebody who has not logged in yet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

_UINT32 = struct.Struct(">L")


class MalformedMessage(ValueError):
    """The message of a peer that ends too early, goes on too long, or holds a field of the wrong form."""


def uint32(value: int) -> bytes:
    """Four bytes, the most significant first."""
    return _UINT32.pack(value)


def string(value: bytes) -> bytes:
    """A length and that many bytes."""
    return _UINT32.pack(len(value)) + value


def mpint(value: int) -> bytes:
    """A number of at least 0 as a string in two's complement, as short as can be."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big") if value else b"")


def name_list(names: Iterable[bytes]) -> bytes:
    """Names with commas between them, as a string."""
    return string(b",".join(names))


class Fields:
    """A cursor over the fields of one message.  Every method raises L{MalformedMessage}.

    @ivar position: how many bytes have been read.
    """

    __slots__ = ("_data", "position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """The next C{size} bytes."""
        start = self.position
        end = start + size
        if end > len(self._data):
            raise MalformedMessage(f"{size} bytes wanted at {start}, the message has {len(self._data)}")
        self.position = end
        return self._data[start:end]

    def boolean(self) -> bool:
        """One byte; everything but 0 is true."""
        return self.take(1) != b"\0"

    def uint32(self) -> int:
        """A number of four bytes."""
        value: int = _UINT32.unpack(self.take(4))[0]
        return value

    def string(self) -> bytes:
        """A string, without its length."""
        return self.take(self.uint32())

    def mpint(self) -> int:
        """A number of any size; one below 0 is refused, since nothing in SSH needs it."""
        value = int.from_bytes(self.string(), "big", signed=True)
        if value < 0:
            raise MalformedMessage("a number below 0")
        return value

    def name_list(self) -> tuple[bytes, ...]:
        """The names of a list; an empty list has none."""
        names = self.string()
        return tuple(names.split(b",")) if names else ()

    def rest(self) -> bytes:
        """All that has not been read."""
        return self.take(len(self._data) - self.position)

    def end(self) -> None:
        """Raise unless all has been read."""
        if self.position != len(self._data):
            raise MalformedMessage(f"{len(self._data) - self.position} bytes too many")
