"""A client that says something else in the middle of a long WRITE, while the server gathers the rest of it."""

from __future__ import annotations

import os
import struct

from sftpgo.ssh import codec
from sftpgo.ssh.fields import string, uint32
from tests.e2e.attacks import AttackCase
from tests.ssh.scripted import kexinit

WHOLE = 250_000
LAST = 4
CLOSING = 77


class HalfWriteTests(AttackCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.log_in()
        self.channel = self.client.open_sftp()
        flags = codec.OPEN_WRITE | codec.OPEN_CREAT
        self.client.data(self.channel, codec.reply(codec.OPEN, 1, codec.string(b"file") + struct.pack(">LL", flags, 0)))
        self.handle = codec.Reader(self.answer()[5:]).string()
        self.content = os.urandom((LAST + 1) * WHOLE)

    def answer(self) -> bytes:
        """The next SFTP packet, without its length."""
        return self.client.take(94)[12:]

    def write(self, number: int) -> bytes:
        """The WRITE of one of the pieces."""
        offset = number * WHOLE
        body = codec.string(self.handle) + struct.pack(">Q", offset) + codec.string(self.content[offset:][:WHOLE])
        return codec.reply(codec.WRITE, number, body)

    def put(self, data: bytes) -> None:
        """Send channel data at once: the server's socket has all of it before it is read."""
        pieces = [data[start : start + 30_000] for start in range(0, len(data), 30_000)]
        packets = [self.client.packet(94, uint32(self.channel) + string(piece)) for piece in pieces]
        self.client.send_bytes(b"".join(packets))

    def begin(self) -> bytes:
        """Four WRITEs and half of a fifth; the rest of that."""
        for number in range(LAST):
            self.put(self.write(number))
        last = self.write(LAST)
        self.put(last[:120_000])
        return last[120_000:]

    def end(self, rest: bytes) -> None:
        """Send the rest: all is written."""
        self.put(rest)
        self.put(codec.reply(codec.CLOSE, CLOSING, codec.string(self.handle)))
        closed = codec.status(CLOSING, codec.OK, b"")
        while closed not in self.client.take(94):
            pass
        self.assertEqual((self.home / "file").read_bytes(), self.content)

    def test_another_message(self) -> None:
        rest = self.begin()
        self.assertAnswers(self.client)
        self.put(rest[:80_000])
        self.assertAnswers(self.client)
        self.end(rest[80_000:])

    def test_a_key_exchange(self) -> None:
        rest = self.begin()
        self.client.offer(kexinit(self.client.strict))
        self.client.rekey_again()
        self.end(rest)

    def test_a_long_pause_ends_with_the_connection(self) -> None:
        """What arrived stays, the server lets go of it, and of the connection."""
        before = self.descriptors()
        self.begin()
        self.wait_for(lambda: (self.home / "file").stat().st_size == LAST * WHOLE)
        self.client.close()
        self.wait_for(lambda: self.descriptors() < before)
        self.assertEqual((self.home / "file").read_bytes(), self.content[: LAST * WHOLE])
        self.assertAlive()

    def test_the_end_of_the_channel(self) -> None:
        """Half a request is none: the session ends."""
        self.begin()
        self.client.send(96, uint32(self.channel))
        self.client.take(97)
        self.assertAnswers(self.client)
