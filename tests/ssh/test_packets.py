"""The framer as scripts of bytes: what goes in, in which pieces, and what comes out."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.compression import CompressionError, Compressor, Decompressor
from sftpgo.ssh.packets import LIMIT_BEFORE_LOGIN, PacketError, PacketReader, PacketWriter, RandomPadding
from sftpgo.ssh.suites import packet_cipher

from .test_ciphers import combinations, keys

GCM = (b"aes128-gcm@openssh.com", b"")


def write(writer: PacketWriter, kind: int, payload: bytes) -> bytes:
    packet = bytearray(writer.size(1 + len(payload)))
    writer.write(kind, payload, memoryview(packet))
    return bytes(packet)


def read(reader: PacketReader, data: bytes) -> list[bytes]:
    """The payloads of all complete packets, in a buffer that is never moved."""
    view, head, payloads = memoryview(bytearray(data)), 0, []
    while size := reader.complete(view, head, len(view)):
        payloads.append(reader.payload(view, head))
        head += size
    return payloads


class FramerTests(SynchronousTestCase):
    def test_clear_packet_is_as_the_rfc_says(self) -> None:
        packet = write(PacketWriter(), 21, b"")
        self.assertEqual(packet[:6], b"\0\0\0\x0c\x0a\x15")
        self.assertEqual(len(packet), 16)

    def test_padding_makes_whole_blocks_and_is_never_short(self) -> None:
        for names in combinations():
            writer = PacketWriter()
            writer.rekey(packet_cipher(*names, keys(), True), reset=False)
            for size in range(1, 70):
                padding = writer.padding(size)
                self.assertGreaterEqual(padding, 4)
                self.assertLessEqual(padding, 255)
                counted = 1 + size + padding + (0 if writer.cipher.length_apart else 4)
                self.assertEqual(counted % writer.cipher.block, 0)

    def test_lengths_that_cannot_be(self) -> None:
        for length in (0, 1, 5, 13, LIMIT_BEFORE_LOGIN + 1, 2**31, 2**32 - 1):
            with self.subTest(length=length), self.assertRaises(PacketError) as caught:
                read(PacketReader(), struct.pack(">L", length) + bytes(100))
            self.assertEqual(caught.exception.reason, 2)

    def test_largest_packet_before_login(self) -> None:
        writer = PacketWriter()
        payload = bytes(LIMIT_BEFORE_LOGIN - 1 - 20)
        self.assertEqual(read(PacketReader(), write(writer, 2, payload)), [b"\x02" + payload])

    def test_padding_that_cannot_be(self) -> None:
        for padding in (0, 3, 11, 12, 255):
            plain = bytes([padding]) + bytes(11)
            with self.subTest(padding=padding), self.assertRaises(PacketError):
                read(PacketReader(), struct.pack(">L", len(plain)) + plain)

    def test_tampered_packet_says_so(self) -> None:
        writer, reader = PacketWriter(), PacketReader()
        writer.rekey(packet_cipher(*GCM, keys(), True), reset=True)
        reader.rekey(packet_cipher(*GCM, keys(), False), reset=True)
        packet = write(writer, 94, b"data")[:-1] + b"\0"
        with self.assertRaises(PacketError) as caught:
            read(reader, packet)
        self.assertEqual(caught.exception.reason, 5)

    def test_sequence_numbers_wrap_or_are_reset(self) -> None:
        writer, reader = PacketWriter(), PacketReader()
        writer.sequence = reader.sequence = 0xFFFFFFFF
        read(reader, write(writer, 2, b"x"))
        self.assertEqual((writer.sequence, reader.sequence), (0, 0))
        read(reader, write(writer, 2, b"x"))
        reader.rekey(reader.cipher, reset=False)
        writer.rekey(writer.cipher, reset=True)
        self.assertEqual((writer.sequence, reader.sequence), (0, 1))
        self.assertEqual((reader.octets, reader.packets, writer.octets, writer.packets), (0, 0, 0, 0))

    @settings(deadline=None, max_examples=60)
    @given(
        st.sampled_from(combinations()),
        st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=200)), min_size=1, max_size=8),
        st.data(),
    )
    def test_any_pieces(self, names: tuple[bytes, bytes], messages: list[tuple[int, bytes]], data: st.DataObject):
        """However the stream is cut, the same packets come out: the length is decrypted once only."""
        writer, reader = PacketWriter(), PacketReader()
        writer.rekey(packet_cipher(*names, keys(), True), reset=True)
        reader.rekey(packet_cipher(*names, keys(), False), reset=True)
        stream = b"".join(write(writer, kind, payload) for kind, payload in messages)
        view, head, tail, payloads = memoryview(bytearray(stream)), 0, 0, []
        while tail < len(stream):
            tail += data.draw(st.integers(1, len(stream) - tail))
            while size := reader.complete(view, head, tail):
                payloads.append(reader.payload(view, head))
                head += size
        self.assertEqual(payloads, [bytes([kind]) + payload for kind, payload in messages])

    def test_random_padding_is_used_once(self) -> None:
        padding = RandomPadding()
        pieces = [padding(size) for size in (4, 255, 19) for _ in range(100)]
        self.assertEqual([len(piece) for piece in pieces], [size for size in (4, 255, 19) for _ in range(100)])
        self.assertEqual(len(set(pieces)), len(pieces))


class CompressionTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        out, back = Compressor(), Decompressor(1000)
        for payload in (b"a", b"b" * 1000, bytes(range(256)), b"a"):
            self.assertEqual(back.decompress(out.compress(payload)), payload)

    def test_bomb(self) -> None:
        bomb = Compressor().compress(bytes(100_000_000))
        self.assertLess(len(bomb), 500_000)
        with self.assertRaises(CompressionError):
            Decompressor(257 * 1024).decompress(bomb)

    def test_rubbish_and_nothing(self) -> None:
        for data in (b"rubbish", b"", b"\x78\x9c"):
            with self.assertRaises(CompressionError):
                Decompressor(1000).decompress(data)
