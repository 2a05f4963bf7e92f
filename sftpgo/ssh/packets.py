"""The binary packet protocol (RFC 4253 section 6), without sockets: packets in and out of buffers.

::

    uint32   packet length, of what follows without the MAC
    byte     padding length
    byte[]   payload
    byte[]   random padding, at least 4 bytes
    byte[]   MAC
"""

from __future__ import annotations

import os
import struct
from typing import Final

from sftpgo.ssh.ciphers import TAMPERED, Clear, PacketCipher

LIMIT_BEFORE_LOGIN: Final = 35_000
"""The largest packet of somebody who has not logged in (RFC 4253 section 6.1), in bytes."""

LIMIT: Final = 257 * 1024
"""The largest packet after login: a channel's data of 256 KiB and what is around it."""

SEQUENCE_MASK: Final = 0xFFFFFFFF
MINIMAL_PADDING: Final = 4

_HEADER = struct.Struct(">BB").pack_into


class PacketError(Exception):
    """A packet that ends the connection.

    @ivar reason: the code of the disconnect message (RFC 4253 section 11.1).
    """

    def __init__(self, reason: int, text: str) -> None:
        self.reason = reason
        super().__init__(text)


PROTOCOL_ERROR: Final = 2
MAC_ERROR: Final = 5


class RandomPadding:
    """Random bytes cut from a block, so that a packet does not cost a system call."""

    _BLOCK: Final = 4096

    def __init__(self) -> None:
        self._random = b""
        self._used = 0

    def __call__(self, size: int) -> bytes:
        """C{size} bytes, at most 255."""
        used = self._used
        if used + size > len(self._random):
            self._random = os.urandom(self._BLOCK)
            used = 0
        self._used = used + size
        return self._random[used : used + size]


class PacketReader:
    """The receiving half of one connection.

    A packet is read in two steps: L{complete} until it returns a size, then one of L{open} and L{payload}.

    @ivar cipher: replaced by L{rekey}.
    @ivar sequence: the number of the next packet.
    @ivar limit: the largest packet length taken, in bytes.
    @ivar length: of the plain packet that L{complete} has found, or is waiting for.
    @ivar octets: received under the present keys.
    @ivar packets: received under the present keys.
    @ivar packets_before: received under earlier keys.
    """

    def __init__(self, limit: int = LIMIT_BEFORE_LOGIN) -> None:
        self.cipher: PacketCipher = Clear()
        self.sequence = 0
        self.limit = limit
        self.length = 0
        self.octets = 0
        self.packets = 0
        self.packets_before = 0

    @property
    def packets_ever(self) -> int:
        """Packets received, under whatever keys."""
        return self.packets_before + self.packets

    def complete(self, view: memoryview, head: int, tail: int) -> int:
        """Look at the bytes that have come so far, from C{head} to C{tail}.

        @return: the size of the packet there with its MAC, 0 when more bytes are needed.
        @raise PacketError: for a length that cannot be.
        """
        cipher = self.cipher
        length = self.length
        if not length:
            if tail - head < cipher.head:
                return 0
            length = cipher.length(view, head, self.sequence)
            counted = length if cipher.length_apart else length + 4
            # One byte of padding length, one of payload, four of padding; whole blocks.
            if length < 6 or length > self.limit or counted % cipher.block:
                raise PacketError(PROTOCOL_ERROR, "bad packet length")
            self.length = length
        size = 4 + length + cipher.tag
        return size if tail - head >= size else 0

    def open(self, view: memoryview, head: int, plain: memoryview) -> None:
        """Check and decrypt the packet that is complete at C{head} into C{plain}, of C{length} bytes.

        @raise PacketError: for a packet that was tampered with.
        """
        length = self.length
        try:
            self.cipher.open(view, head, length, self.sequence, plain)
        except TAMPERED:
            raise PacketError(MAC_ERROR, "bad MAC") from None
        self.octets += length
        self.packets += 1
        self.sequence = (self.sequence + 1) & SEQUENCE_MASK
        self.length = 0

    def payload(self, view: memoryview, head: int) -> bytes:
        """Open the packet that is complete at C{head}; the payload, of at least one byte.

        @raise PacketError: for a packet that was tampered with, or padded wrongly.
        """
        plain = bytearray(self.length)
        self.open(view, head, memoryview(plain))
        return unpad(plain)

    def rekey(self, cipher: PacketCipher, reset: bool) -> None:
        """Use new keys from the next packet on; C{reset} the sequence numbers, as strict key exchange asks."""
        self.cipher = cipher
        self.packets_before += self.packets
        self.octets = self.packets = 0
        if reset:
            self.sequence = 0


def unpad(plain: bytearray | memoryview) -> bytes:
    """The payload of a plain packet.

    @raise PacketError: for padding of less than 4 bytes, or no payload.
    """
    padding = plain[0]
    end = len(plain) - padding
    if padding < MINIMAL_PADDING or end < 2:
        raise PacketError(PROTOCOL_ERROR, "bad padding")
    return bytes(plain[1:end])


class PacketWriter:
    """The sending half of one connection.

    @ivar cipher: replaced by L{rekey}.
    @ivar sequence: the number of the next packet.
    @ivar octets: sent under the present keys.
    @ivar packets: sent under the present keys.
    @ivar random: where padding comes from.
    """

    def __init__(self) -> None:
        self.cipher: PacketCipher = Clear()
        self.sequence = 0
        self.octets = 0
        self.packets = 0
        self.random = RandomPadding()

    def padding(self, payload: int) -> int:
        """How many bytes of padding a payload of so many bytes is given."""
        cipher = self.cipher
        padding = -(payload + (1 if cipher.length_apart else 5)) % cipher.block
        return padding if padding >= MINIMAL_PADDING else padding + cipher.block

    def size(self, payload: int) -> int:
        """How many bytes the packet of a payload takes on the wire."""
        return 5 + payload + self.padding(payload) + self.cipher.tag

    def write(self, kind: int, payload: bytes, packet: memoryview) -> None:
        """Seal the message of number C{kind} into C{packet}, of L{size}(1 + len(payload)) bytes."""
        size = len(payload)
        padding = self.padding(1 + size)
        plain = bytearray(2 + size + padding)
        _HEADER(plain, 0, padding, kind)
        plain[2 : 2 + size] = payload
        plain[2 + size :] = self.random(padding)
        self.seal(memoryview(plain), packet)

    def seal(self, plain: memoryview, packet: memoryview) -> None:
        """Seal a plain packet, padded already, into C{packet}."""
        self.cipher.seal(plain, self.sequence, packet)
        self.count(1, len(plain))

    def count(self, packets: int, octets: int) -> None:
        """Remember that so many packets were sealed, by L{seal} or with C{cipher} itself."""
        self.packets += packets
        self.octets += octets
        self.sequence = (self.sequence + packets) & SEQUENCE_MASK

    def rekey(self, cipher: PacketCipher, reset: bool) -> None:
        """Use new keys from the next packet on; C{reset} the sequence numbers, as strict key exchange asks."""
        self.cipher = cipher
        self.octets = self.packets = 0
        if reset:
            self.sequence = 0
