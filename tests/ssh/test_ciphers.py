"""The packet ciphers: known bytes, round trips, and what they do with packets that were tampered with."""

from __future__ import annotations

import hashlib
import hmac as stdlib_hmac
import json
import os
import struct
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.ciphers import TAMPERED, PacketCipher
from sftpgo.ssh.suites import CIPHERS, MACS, Keys, packet_cipher


def keys(seed: bytes = b"") -> Keys:
    def cut(letter: bytes):
        return lambda size: hashlib.shake_128(seed + letter).digest(size) if size else b""

    return Keys(cut(b"iv"), cut(b"key"), cut(b"mac"))


def combinations() -> list[tuple[bytes, bytes]]:
    return [
        (cipher, mac)
        for cipher, suite in CIPHERS.items()
        for mac in (list(MACS)[:1] if suite.has_integrity else list(MACS))
    ]


def seal(cipher: PacketCipher, plain: bytes, sequence: int) -> bytes:
    packet = bytearray(4 + len(plain) + cipher.tag)
    cipher.seal(memoryview(bytearray(plain)), sequence, memoryview(packet))
    return bytes(packet)


def unseal(cipher: PacketCipher, packet: bytes, sequence: int, start: int = 0) -> bytes:
    view = memoryview(bytearray(packet))
    length = cipher.length(view, start, sequence)
    plain = bytearray(length)
    cipher.open(view, start, length, sequence, memoryview(plain))
    return bytes(plain)


class RecordedSessionTests(SynchronousTestCase):
    """What OpenSSH's client sent and took (C{record_session.py}), byte by byte."""

    def test_each_cipher_both_ways(self) -> None:
        with open(os.path.join(os.path.dirname(__file__), "vectors", "openssh.json")) as file:
            sessions = json.load(file)["sessions"]
        self.assertEqual({session["cipher"].encode() for session in sessions}, set(CIPHERS))
        self.assertEqual({session["mac"].encode() for session in sessions}, set(MACS))
        count = 0
        for session in sessions:
            for direction in ("from_client", "to_client"):
                with self.subTest(cipher=session["cipher"], mac=session["mac"], direction=direction):
                    count += self.check(session, session[direction])
        self.assertEqual(count, 2 * 6 * len(sessions))

    def check(self, session: dict[str, str], recorded: dict[str, Any]) -> int:
        def cut(name: str):
            return lambda size: bytes.fromhex(recorded[name])[:size]

        names = session["cipher"].encode(), session["mac"].encode()
        known = Keys(cut("iv"), cut("encryption"), cut("integrity"))
        sealer, opener = packet_cipher(*names, known, True), packet_cipher(*names, known, False)
        for sequence, plain, sealed in recorded["packets"]:
            self.assertEqual(seal(sealer, bytes.fromhex(plain), sequence).hex(), sealed)
            self.assertEqual(unseal(opener, bytes.fromhex(sealed), sequence).hex(), plain)
        return len(recorded["packets"])


class RoundTripTests(SynchronousTestCase):
    def test_every_cipher_with_every_mac(self) -> None:
        for cipher, mac in combinations():
            with self.subTest(cipher=cipher, mac=mac):
                sealer = packet_cipher(cipher, mac, keys(), True)
                opener = packet_cipher(cipher, mac, keys(), False)
                for sequence, blocks in ((0, 1), (1, 3), (0xFFFFFFFF, 2048), (7, 2)):
                    size = blocks * sealer.block - (0 if sealer.length_apart else 4)
                    plain = bytes(i * 7 & 255 for i in range(size))
                    packet = seal(sealer, plain, sequence)
                    self.assertNotIn(plain[:12], packet)
                    # Not at the start of the buffer: offsets are easy to get wrong.
                    self.assertEqual(unseal(opener, b"before" + packet + b"after", sequence, 6), plain)

    def test_one_bit_anywhere_is_noticed(self) -> None:
        for cipher, mac in combinations():
            with self.subTest(cipher=cipher, mac=mac):
                plain = bytes(28 if not packet_cipher(cipher, mac, keys(), True).length_apart else 32)
                packet = seal(packet_cipher(cipher, mac, keys(), True), plain, 5)
                # A changed length may be refused by its own looks; that is the framer's test.
                for position in range(4, len(packet)):
                    broken = bytearray(packet)
                    broken[position] ^= 1
                    opener = packet_cipher(cipher, mac, keys(), False)
                    view = memoryview(broken)
                    length = opener.length(view, 0, 5)
                    if length != len(plain):
                        continue
                    with self.assertRaises(TAMPERED):
                        opener.open(view, 0, length, 5, memoryview(bytearray(length)))

    def test_a_packet_does_not_open_under_another_number(self) -> None:
        for cipher, mac in combinations():
            if b"gcm" in cipher:
                continue  # counts by itself
            with self.subTest(cipher=cipher, mac=mac):
                sealer = packet_cipher(cipher, mac, keys(), True)
                plain = bytes(32 - (0 if sealer.length_apart else 4))
                packet = memoryview(bytearray(seal(sealer, plain, 5)))
                opener = packet_cipher(cipher, mac, keys(), False)
                opener.length(packet, 0, 5)
                with self.assertRaises(TAMPERED):
                    opener.open(packet, 0, len(plain), 6, memoryview(bytearray(len(plain))))

    def test_a_replayed_gcm_packet_does_not_open(self) -> None:
        packet = seal(packet_cipher(b"aes128-gcm@openssh.com", b"", keys(), True), bytes(32), 0)
        opener = packet_cipher(b"aes128-gcm@openssh.com", b"", keys(), False)
        unseal(opener, packet, 0)
        with self.assertRaises(TAMPERED):
            unseal(opener, packet, 1)

    def test_gcm_counter_wraps_without_the_fixed_part(self) -> None:
        iv = b"\xaa\xbb\xcc\xdd" + b"\xff" * 8
        fixed = Keys(lambda size: iv, bytes, lambda size: b"")
        sealer = packet_cipher(b"aes128-gcm@openssh.com", b"", fixed, True)
        seal(sealer, bytes(32), 0)
        aead = Cipher(algorithms.AES(bytes(16)), modes.GCM(iv[:4] + bytes(8))).encryptor()
        aead.authenticate_additional_data(b"\0\0\0\x20")
        self.assertEqual(seal(sealer, bytes(32), 1)[4:36], aead.update(bytes(32)))

    @settings(deadline=None, max_examples=60)
    @given(st.sampled_from(combinations()), st.binary(max_size=300), st.integers(0, 2**32 - 1))
    def test_any_payload(self, names: tuple[bytes, bytes], payload: bytes, sequence: int) -> None:
        sealer = packet_cipher(*names, keys(), True)
        plain = payload + bytes(-(len(payload) + (0 if sealer.length_apart else 4)) % sealer.block)
        plain = plain or bytes(sealer.block)
        self.assertEqual(unseal(packet_cipher(*names, keys(), False), seal(sealer, plain, sequence), sequence), plain)


class KnownBytesTests(SynchronousTestCase):
    """The bytes on the wire, computed by the words of the specifications with other tools."""

    PLAIN = b"\x04\x5ehello, world" + b"\1\2\3\4" + bytes(12)
    KEY = bytes(range(64))
    IV = bytes(range(100, 116))

    def keys(self) -> Keys:
        return Keys(lambda n: self.IV[:n], lambda n: self.KEY[:n], lambda n: self.KEY[-n:])

    def test_ctr_with_a_mac_of_the_plain_packet(self) -> None:
        plain = self.PLAIN[:28]
        clear = struct.pack(">L", 28) + plain
        encrypted = Cipher(algorithms.AES(self.KEY[:32]), modes.CTR(self.IV)).encryptor().update(clear)
        mac = stdlib_hmac.digest(self.KEY[-32:], struct.pack(">L", 9) + clear, "sha256")
        sealer = packet_cipher(b"aes256-ctr", b"hmac-sha2-256", self.keys(), True)
        self.assertEqual(seal(sealer, plain, 9), encrypted + mac)

    def test_ctr_with_a_mac_of_the_encrypted_packet(self) -> None:
        plain = self.PLAIN[:16]
        length = struct.pack(">L", 16)
        encrypted = length + Cipher(algorithms.AES(self.KEY[:16]), modes.CTR(self.IV)).encryptor().update(plain)
        mac = stdlib_hmac.digest(self.KEY, struct.pack(">L", 9) + encrypted, "sha512")
        sealer = packet_cipher(b"aes128-ctr", b"hmac-sha2-512-etm@openssh.com", self.keys(), True)
        self.assertEqual(seal(sealer, plain, 9), encrypted + mac)

    def test_cbc_with_a_short_mac(self) -> None:
        plain = self.PLAIN[:28]
        clear = struct.pack(">L", 28) + plain
        encrypted = Cipher(algorithms.AES(self.KEY[:16]), modes.CBC(self.IV)).encryptor().update(clear)
        mac = stdlib_hmac.digest(self.KEY[-20:], struct.pack(">L", 9) + clear, "sha1")[:12]
        sealer = packet_cipher(b"aes128-cbc", b"hmac-sha1-96", self.keys(), True)
        self.assertEqual(seal(sealer, plain, 9), encrypted + mac)

    def test_chacha20_poly1305_of_rfc_8439(self) -> None:
        """RFC 8439 2.3.2, 2.5.2: the primitives that the combination is made of, put together by hand."""
        plain = self.PLAIN[:24]

        def stream(key: bytes, counter: int, size: int) -> bytes:
            nonce = struct.pack("<Q", counter) + struct.pack(">Q", 9)
            return Cipher(algorithms.ChaCha20(key, nonce), None).encryptor().update(bytes(size))

        def xor(a: bytes, b: bytes) -> bytes:
            return bytes(x ^ y for x, y in zip(a, b, strict=True))

        head = xor(struct.pack(">L", 24), stream(self.KEY[32:], 0, 4))
        body = xor(plain, stream(self.KEY[:32], 1, 24))
        one_time = stream(self.KEY[:32], 0, 32)
        r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
        s = int.from_bytes(one_time[16:], "little")
        total = 0
        signed = head + body
        for start in range(0, len(signed), 16):
            total = (total + int.from_bytes(signed[start : start + 16] + b"\1", "little")) * r % (2**130 - 5)
        tag = ((total + s) & (2**128 - 1)).to_bytes(16, "little")
        sealer = packet_cipher(b"chacha20-poly1305@openssh.com", b"", self.keys(), True)
        self.assertEqual(seal(sealer, plain, 9), head + body + tag)
