"""Encryption and integrity of packets (RFC 4253 section 6), one class for each way of combining the two.

A I{plain packet} is what a cipher works on: the packet without its length field::

    byte     padding length
    byte[]   payload
    byte[]   padding

All work is done from one buffer into another: nothing is allocated for the data of a packet.  A cipher has one
direction and a state (a counter, a nonce): L{PacketCipher.open} and L{PacketCipher.seal} are called once for each
packet, in order.
"""

from __future__ import annotations

import struct
from typing import Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.poly1305 import Poly1305

TAMPERED = (InvalidTag, InvalidSignature)
"""What L{PacketCipher.open} raises for a packet that is not as it was sent."""

_get_uint32 = struct.Struct(">L").unpack_from
_put_uint32 = struct.Struct(">L").pack_into
_uint32 = struct.Struct(">L").pack
_put_uint64 = struct.Struct(">Q").pack_into
_uint64 = struct.Struct(">Q").pack


class PacketCipher(Protocol):
    """One direction's cipher and MAC.

    @cvar head: how many bytes of a packet L{length} must see.
    @ivar tag: how many bytes of authentication follow the packet.
    @ivar block: the size that packets are padded to a multiple of, in bytes.
    @cvar length_apart: the length field does not count for that multiple.
    """

    head: int
    tag: int
    block: int
    length_apart: bool

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """The size of the plain packet that starts at C{start}: called once, with C{head} bytes there."""

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """Check and decrypt into C{plain}, of C{length} bytes; raises one of L{TAMPERED}."""

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """Encrypt into C{packet}, of 4 + len(plain) + tag bytes."""


class Clear:
    """No cipher and no MAC: the packets before the first key exchange is done."""

    head: int = 4
    tag: int = 0
    block: int = 8
    length_apart: bool = False

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """See L{PacketCipher.length}."""
        length: int = _get_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """See L{PacketCipher.open}."""
        plain[:] = view[start + 4 : start + 4 + length]

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """See L{PacketCipher.seal}."""
        _put_uint32(packet, 0, len(plain))
        packet[4:] = plain


class Gcm:
    """AES-GCM: the length is sent in clear and authenticated (RFC 5647, as OpenSSH's PROTOCOL section 1.6 has it)."""

    head: int = 4
    tag: int = 16
    block: int = 16
    length_apart: bool = True

    def __init__(self, key: bytes, iv: bytes) -> None:
        aead = AESGCM(key)
        self._encrypt_into = aead.encrypt_into
        self._decrypt_into = aead.decrypt_into
        # 4 fixed bytes, then a counter of 8 that goes up by one for each packet (RFC 5647 section 7.1).
        self._nonce = bytearray(iv)
        self._counter = int.from_bytes(iv[4:], "big")

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """See L{PacketCipher.length}."""
        length: int = _get_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """See L{PacketCipher.open}."""
        self._decrypt_into(self._nonce, view[start + 4 : start + 20 + length], view[start : start + 4], plain)
        self._counter = counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        _put_uint64(self._nonce, 4, counter)

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """See L{PacketCipher.seal}."""
        _put_uint32(packet, 0, len(plain))
        self._encrypt_into(self._nonce, plain, packet[:4], packet[4:])
        self._counter = counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        _put_uint64(self._nonce, 4, counter)


class ChaChaPoly:
    """chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305).

    Two keys: the first 32 bytes for the data, the others for the length.  The nonce is the packet's sequence number;
    the first block of the data's key stream is the key of Poly1305.
    """

    head: int = 4
    tag: int = 16
    block: int = 8
    length_apart: bool = True

    _FIRST_BLOCK: bytes = bytes(64)
    _COUNTER: bytes = bytes(8)

    def __init__(self, key: bytes) -> None:
        self._data = Cipher(algorithms.ChaCha20(key[:32], bytes(16)), None).encryptor()
        self._length = Cipher(algorithms.ChaCha20(key[32:], bytes(16)), None).encryptor()

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """See L{PacketCipher.length}."""
        self._length.reset_nonce(self._COUNTER + _uint64(sequence))
        length: int = _get_uint32(self._length.update(view[start : start + 4]))[0]
        return length

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """See L{PacketCipher.open}."""
        data = self._data
        data.reset_nonce(self._COUNTER + _uint64(sequence))
        end = start + 4 + length
        Poly1305.verify_tag(data.update(self._FIRST_BLOCK)[:32], view[start:end], bytes(view[end : end + 16]))
        data.update_into(view[start + 4 : end], plain)

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """See L{PacketCipher.seal}."""
        nonce = self._COUNTER + _uint64(sequence)
        end = 4 + len(plain)
        self._length.reset_nonce(nonce)
        packet[:4] = self._length.update(_uint32(len(plain)))
        data = self._data
        data.reset_nonce(nonce)
        key = data.update(self._FIRST_BLOCK)[:32]
        data.update_into(plain, packet[4:end])
        packet[end:] = Poly1305.generate_tag(key, packet[:end])


class Mac:
    """An HMAC over a packet's sequence number and its bytes (RFC 4253 section 6.4, RFC 6668)."""

    def __init__(self, key: bytes, digest: hashes.HashAlgorithm, size: int) -> None:
        # Copying a keyed context is half the price of keying one.
        self._keyed = hmac.HMAC(key, digest)
        self.size = size

    def sign(self, head: bytes | bytearray, data: memoryview) -> bytes:
        """The MAC of C{head} and C{data}."""
        context = self._keyed.copy()
        context.update(head)
        context.update(data)
        return context.finalize()[: self.size]

    def verify(self, head: bytes | bytearray, data: memoryview, given: memoryview) -> None:
        """Raise one of L{TAMPERED} unless the MAC is the one given."""
        if not bytes_eq(self.sign(head, data), bytes(given)):
            raise InvalidSignature


def _context(key: bytes, iv: bytes, mode: str, encrypting: bool) -> CipherContext:
    """A context of AES in C{mode}, "ctr" or "cbc", or of triple DES for the mode "3des-cbc"."""
    if mode == "ctr":
        return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    if mode == "3des-cbc":
        # Loaded by who names it only: it may be gone from the library one day.
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES  # noqa: PLC0415

        cipher = Cipher(TripleDES(key), modes.CBC(iv))
    else:
        cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
    return cipher.encryptor() if encrypting else cipher.decryptor()


class EncryptThenMac:
    """The C{-etm@openssh.com} MACs: the length in clear, the MAC over what is sent (OpenSSH's PROTOCOL, 1.5)."""

    head: int = 4
    length_apart: bool = True

    def __init__(self, key: bytes, iv: bytes, mode: str, mac: Mac, encrypting: bool) -> None:
        self._update = _updater(_context(key, iv, mode, encrypting), mode)
        self._mac = mac
        self.tag = mac.size
        self.block = len(iv)

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """See L{PacketCipher.length}."""
        length: int = _get_uint32(view, start)[0]
        return length

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """See L{PacketCipher.open}."""
        end = start + 4 + length
        self._mac.verify(_uint32(sequence), view[start:end], view[end : end + self.tag])
        self._update(view[start + 4 : end], plain)

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """See L{PacketCipher.seal}."""
        end = 4 + len(plain)
        _put_uint32(packet, 0, len(plain))
        self._update(plain, packet[4:end])
        packet[end:] = self._mac.sign(_uint32(sequence), packet[:end])


class EncryptAndMac:
    """The MACs of RFC 4253: the length is encrypted with the rest, the MAC is over the packet before encryption."""

    length_apart: bool = False

    def __init__(self, key: bytes, iv: bytes, mode: str, mac: Mac, encrypting: bool) -> None:
        self._update = _updater(_context(key, iv, mode, encrypting), mode)
        self._mac = mac
        self.tag = mac.size
        self.head = self.block = len(iv)
        # The first block, decrypted to learn the length: bytes 4.. are the start of the plain packet.
        self._first = memoryview(bytearray(self.block))
        self._signed = bytearray(8)  # sequence number, length

    def length(self, view: memoryview, start: int, sequence: int) -> int:
        """See L{PacketCipher.length}."""
        self._update(view[start : start + self.block], self._first)
        length: int = _get_uint32(self._first)[0]
        return length

    def open(self, view: memoryview, start: int, length: int, sequence: int, plain: memoryview) -> None:
        """See L{PacketCipher.open}."""
        end = start + 4 + length
        plain[: self.block - 4] = self._first[4:]
        self._update(view[start + self.block : end], plain[self.block - 4 :])
        _put_uint32(self._signed, 0, sequence)
        _put_uint32(self._signed, 4, length)
        self._mac.verify(self._signed, plain, view[end : end + self.tag])

    def seal(self, plain: memoryview, sequence: int, packet: memoryview) -> None:
        """See L{PacketCipher.seal}."""
        end = 4 + len(plain)
        _put_uint32(self._signed, 0, sequence)
        _put_uint32(self._signed, 4, len(plain))
        packet[end:] = self._mac.sign(self._signed, plain)
        self._seal_blocks(plain, packet[:end])

    def _seal_blocks(self, plain: memoryview, packet: memoryview) -> None:
        """Encrypt length and packet; the first block straddles the two."""
        rest = self.block - 4
        self._first[:4] = self._signed[4:]
        self._first[4:] = plain[:rest]
        self._update(self._first, packet[: self.block])
        self._update(plain[rest:], packet[self.block :])


class _Updater(Protocol):
    def __call__(self, data: memoryview, out: memoryview, /) -> object: ...


def _updater(context: CipherContext, mode: str) -> _Updater:
    """A function that encrypts or decrypts whole blocks from one buffer to another of the same size."""
    if mode == "ctr":
        return context.update_into

    def update(data: memoryview, out: memoryview) -> None:
        # The block modes' update_into wants a buffer longer than what it writes.
        out[:] = context.update(bytes(data))

    return update
