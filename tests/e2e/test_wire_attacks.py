"""What the wire must stand, against the real process: its memory, and whether others are still served."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import struct
import time
import zlib
from typing import ClassVar

from sftpgo.ssh import codec
from sftpgo.ssh.ciphers import Clear
from sftpgo.ssh.fields import Fields, mpint, string, uint32
from sftpgo.ssh.packets import LIMIT_BEFORE_LOGIN
from sftpgo.ssh.settings import SMALL_WINDOW
from tests.e2e.attacks import AttackCase
from tests.rawsftp import RawSFTP
from tests.rawssh import RemoteClient
from tests.ssh.scripted import kexinit

ENDED = (EOFError, ConnectionError)
HANDLE = codec.string(uint32(1))


def read(number: int, size: int) -> bytes:
    """A READ at the start of the file that was opened first."""
    return codec.reply(codec.READ, number, HANDLE + struct.pack(">QL", 0, size))


def opened(path: bytes, flags: int = codec.OPEN_READ) -> bytes:
    return codec.reply(codec.OPEN, 0, codec.string(path) + struct.pack(">LL", flags, 0))


class LoginAttacks(AttackCase):
    """By strangers."""

    def test_pipelined_passwords(self) -> None:
        """K1: of two thousand passwords sent at once, no more than the limit are checked."""
        client = self.connect()
        client.request_login()
        head = string(self.user.encode()) + string(b"ssh-connection") + string(b"password") + b"\0"
        with self.growth("K1, 2,000 passwords", 128):  # checking one costs 64 MiB for a moment
            with contextlib.suppress(*ENDED):
                client.send_bytes(b"".join(client.packet(50, head + string(b"%d" % n)) for n in range(2000)))
            client.drain()
        lines = self.server.log_lines()
        tried = [line for line in lines if line.get("sender") == "connection_failed" and line["username"] == self.user]
        self.assertLessEqual(len(tried), 6)
        self.assertAlive()

    def test_compression_before_login(self) -> None:
        """K2: C{zlib} is not to be had."""
        client = self.connect()
        client.begin(compressions=(b"zlib",))
        self.assertIn(b"no common compression", client.reason()[1])

    def test_messages_before_keys(self) -> None:
        """K3: a login in the clear is none."""
        for kind, payload in ((5, string(b"ssh-userauth")), (50, string(b"u") * 3), (90, bytes(30))):
            client = self.connect()
            client.greet()
            client.take(20)
            client.send(kind, payload)
            self.assertEqual(client.reason()[0], 2)

    def test_exchanges_that_never_end(self) -> None:
        """K6: strangers that stop in mid-exchange are in nobody's way."""
        with self.growth("K6, 20 unfinished key exchanges"):
            for number in range(20):
                client = self.connect(f"127.0.0.{3 + number // 10}")
                client.begin()
            self.assertAlive()

    def test_group_exchange_is_not_to_be_had(self) -> None:
        """K12."""
        client = self.connect()
        client.begin(kex=(b"diffie-hellman-group-exchange-sha256",))
        self.assertEqual(client.reason()[0], 3)

    def test_parked_packets(self) -> None:
        """K13: a hundred strangers with an unfinished packet of the largest size each."""
        length = LIMIT_BEFORE_LOGIN - LIMIT_BEFORE_LOGIN % 16 - 4
        inside = []
        with self.growth("K13, 100 strangers with 34,900 bytes each"):
            for number in range(100):
                with contextlib.suppress(*ENDED):
                    client = self.connect(f"127.0.1.{1 + number // 10}")
                    client.greet()
                    client.send_bytes(uint32(length) + bytes(length - 100))
                    inside.append(client)
            self.wait_for(lambda: all(not _unsent(client) for client in inside))
        # From 50 on some are turned away.
        self.assertGreaterEqual(len(inside), 50)
        for client in inside:
            client.close()


def _unsent(client: RemoteClient) -> int:
    """Bytes that the server's kernel has not acknowledged (ioctl SIOCOUTQ)."""
    return int(struct.unpack("i", fcntl.ioctl(client.socket, 0x5411, bytes(4)))[0])


class GroupExchangeAttacks(AttackCase):
    """K12, where the administrator has named the method."""

    config: ClassVar[dict[str, dict[str, object]]] = {
        "sftpd": {"kex_algorithms": ["curve25519-sha256", "diffie-hellman-group-exchange-sha256"]}
    }

    def test_a_login_beside_twenty(self) -> None:
        clients = [self.connect(f"127.0.0.{3 + number // 10}") for number in range(20)]
        for client in clients:
            client.begin(kex=(b"diffie-hellman-group-exchange-sha256",))
            client.send(34, uint32(2048) + uint32(3072) + uint32(8192))
        for client in clients:
            client.take(31)
            # Nothing is said under the new keys, which this client does not work out.
            client.cipher_in = Clear()
            client.send(32, mpint(4))
        start = time.monotonic()
        self.assertAlive()
        print(f"\nK12: a login beside 20 group exchanges took {time.monotonic() - start:.2f} s")
        for client in clients:
            client.take(33)


class SessionAttacks(AttackCase):
    """By users."""

    def setUp(self) -> None:
        super().setUp()
        with open(self.home / "large", "wb") as file:
            file.truncate(1 << 30)

    def test_bomb(self) -> None:
        """K2: a packet that unpacks to 200 MB ends the connection."""
        client = self.log_in(compressions=(b"zlib@openssh.com",))
        bomb = zlib.compress(bytes(200_000_000), 9)
        with self.growth("K2, a packet that unpacks to 200 MB"):
            client.send(bomb[0], bomb[1:])
            client.drain()
            self.assertAlive()

    def test_login_asked_for_again(self) -> None:
        """K4."""
        self.user += "-once"
        self.server.add_user(self.user, public_keys=[self.line], max_sessions=1)
        for _ in range(3):
            client = self.log_in()
            client.send(5, string(b"ssh-userauth"))
            self.assertEqual(client.reason()[0], 2)
            client.drain()
        # Whoever was not logged out would be in the way now.
        self.assertAlive()

    def test_answers_without_window(self) -> None:
        """K5: 3,000 READs of 256 KiB, no window."""
        client = self.log_in()
        channel = client.open_sftp(window=0)
        with self.growth("K5, 3,000 READs and no window"):
            client.data(channel, opened(b"/large") + b"".join(read(n, 256 * 1024) for n in range(3000)))
            self.assertAnswers(client)
            self.assertAlive()

    def test_answers_without_window_on_ten_channels(self) -> None:
        """K5 on as many channels as there may be."""
        client = self.log_in()
        channels = [client.open_sftp(window=0) for _ in range(10)]
        with self.growth("K5 on ten channels"):
            for channel in channels:
                client.data(channel, opened(b"/large") + b"".join(read(n, 256 * 1024) for n in range(3000)))
            self.assertAnswers(client)
            self.assertAlive()

    def test_windows_filled_on_ten_channels(self) -> None:
        """K5 with each channel's window used up behind answers that cannot leave."""
        client = self.log_in()
        channels = []
        for _ in range(10):
            number = client.open_channel(window=0)
            client.send(98, uint32(number) + string(b"subsystem") + b"\1" + string(b"sftp"))
            granted = Fields(client.take(93)[4:]).uint32()
            client.take(99)
            channels.append((number, SMALL_WINDOW + granted))
        asked = opened(b"/large") + b"".join(read(n, 256 * 1024) for n in range(4))
        with self.growth("K5, ten channels with their windows full"):
            for number, window in channels:
                rest = window - len(asked)
                client.data(number, asked + codec.reply(codec.WRITE, 5, bytes(200_000)) * (rest // 200_009))
                client.data(number, bytes(rest % 200_009))
            self.assertAnswers(client)
            self.assertAlive()

    def test_unfinished_requests_on_ten_channels(self) -> None:
        """K7 within what is allowed: WRITEs of 256 KiB that lack their last byte."""
        client = self.log_in()
        channels = [client.open_sftp() for _ in range(10)]
        write = codec.reply(codec.WRITE, 1, HANDLE + struct.pack(">Q", 0) + codec.string(bytes(255 * 1024)))
        with self.growth("K7, ten unfinished requests of 255 KiB"):
            for channel in channels:
                client.data(channel, write[:-1])
            self.assertAnswers(client)
            self.assertAlive()

    def test_answers_that_nobody_receives(self) -> None:
        """K5 with all the window there can be, and a socket that is not read."""
        client = self.log_in()
        channel = client.open_sftp(window=0xFFFFFFFF)
        with self.growth("K5, 3,000 READs and no reader"):
            client.data(channel, opened(b"/large") + b"".join(read(n, 256 * 1024) for n in range(3000)))
            self.wait_for(lambda: not _unsent(client))
            self.assertAlive()

    def test_flood_during_an_exchange(self) -> None:
        """K6: a client that asks for new keys and then goes on asking for other things is sent away."""
        client = self.log_in()
        channel = client.open_sftp()
        with self.growth("K6, requests during a key exchange"):
            client.offer(kexinit())
            with contextlib.suppress(*ENDED):
                for _ in range(200):
                    client.send(98, uint32(channel) + string(b"env") + b"\1" + bytes(30_000))
            client.drain()
            self.assertAlive()

    def test_an_exchange_that_does_not_end(self) -> None:
        """K6: what the server wants to say meanwhile is not let grow."""
        client = self.log_in()
        channel = client.open_sftp()
        with self.growth("K6, READs and then a key exchange that stops"):
            client.data(channel, opened(b"/large") + b"".join(read(n, 256 * 1024) for n in range(3000)))
            client.offer(kexinit())
            self.assertAlive()

    def test_request_of_two_gibibytes(self) -> None:
        """K7: the channel is closed, the connection stays."""
        client = self.log_in()
        channel = client.open_sftp()
        with self.growth("K7, a request of 2 GiB"):
            client.data(channel, struct.pack(">LB", 1 << 31, codec.WRITE) + bytes(2_000_000))
            client.take(97)
            self.assertAnswers(client)
            self.assertAlive()

    def test_packets_that_hold_nothing(self) -> None:
        """K8."""
        client = self.log_in()
        with self.growth("K8, 1,000 channels with packets of 0 bytes"):
            for _ in range(1000):
                client.send(90, string(b"session") + uint32(7) + uint32(1 << 20) + uint32(0))
            for _ in range(1000):
                client.take(92)
            self.assertAnswers(client)

    def test_channels(self) -> None:
        """K9: of 5,000 channels ten are opened."""
        client = self.log_in()
        with self.growth("K9, 5,000 channels"):
            opening = string(b"session") + uint32(7) + uint32(1 << 30) + uint32(32768)
            client.send_bytes(b"".join(client.packet(90, opening) for _ in range(5000)))
            self.assertAnswers(client)
        self.assertAlive()

    def test_channels_are_counted(self) -> None:
        """K9: ten, and no more."""
        client = self.log_in()
        for _ in range(10):
            client.open_channel()
        client.send(90, string(b"session") + uint32(7) + uint32(1 << 30) + uint32(32768))
        client.take(92)

    def test_byte_by_byte(self) -> None:
        """K14: the cost of a byte does not grow with what waits already."""
        client = self.log_in()
        channel = client.open_sftp()
        packet = client.packet(94, uint32(channel) + string(bytes(30_000 - 1)))
        costs = []
        with self.growth("K14, a packet byte by byte"):
            for start in range(0, len(packet), 10_000):
                before = self.processor()
                for position in range(start, min(start + 10_000, len(packet))):
                    client.send_bytes(packet[position : position + 1])
                self.wait_for(lambda: not _unsent(client))
                costs.append(self.processor() - before)
        print(f"K14: {', '.join(f'{cost * 100:.0f} µs' for cost in costs)} of processor a byte")

    def processor(self) -> float:
        """Seconds of processor the server has used."""
        fields = (self.process / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_read_of_a_gibibyte(self) -> None:
        """K15: the answer is short."""
        client = self.log_in()
        channel = client.open_sftp()
        with self.growth("K15, a READ of 1 GiB"):
            client.data(channel, opened(b"/large") + read(1, 1 << 30))
            received = b""
            while len(received) < 4 or len(received) < self.expected(received):
                received += Fields(client.take(94)[4:]).string()
            self.assertAlive()
        handle = 4 + struct.unpack_from(">L", received)[0]
        size = struct.unpack_from(">L", received, handle + 9)[0]
        self.assertEqual((received[handle + 4], size), (codec.DATA, 255 * 1024))

    def expected(self, received: bytes) -> int:
        """The length of the two replies, as far as it is known."""
        first = 4 + struct.unpack_from(">L", received)[0]
        if len(received) < first + 4:
            return first + 4
        second: int = struct.unpack_from(">L", received, first)[0]
        return first + 4 + second

    def test_a_file_from_before_the_epoch(self) -> None:
        """K11: times that the protocol cannot say are clamped, and the listing is whole."""
        for name, when in (("before", -1), ("after", 1 << 33)):
            (self.home / name).touch()
            os.utime(self.home / name, (when, when))
        raw = RawSFTP(self.server.sftp_port, self.user, f"{self.user}-secret")
        self.addCleanup(raw.close)
        self.assertEqual(raw.names(b"/"), [b"after", b"before", b"large"])
        times = [struct.unpack(">LL", raw.ask(codec.STAT, name)[1][-8:]) for name in (b"/before", b"/after")]
        self.assertEqual(times, [(0, 0), (0xFFFFFFFF, 0xFFFFFFFF)])

    def test_data_for_nobody(self) -> None:
        """K16: what comes before a subsystem is bounded by a small window, and beyond it the connection ends."""
        client = self.log_in()
        channel = client.open_channel()
        with self.growth("K16, 30 MiB before a subsystem"):
            with contextlib.suppress(*ENDED):
                client.data(channel, bytes(30 << 20))
            client.drain()
            self.assertAlive()


class SlowLorisTests(AttackCase):
    """A thousand connections that say half of what they should."""

    def setUp(self) -> None:
        super().setUp()
        # The thousand are this process's own descriptors too.
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def test_a_login_beside_a_thousand(self) -> None:
        before = self.descriptors()
        loris = []
        for number in range(1000):
            with contextlib.suppress(*ENDED):
                client = RemoteClient(self.server.sftp_port, f"127.0.{2 + number // 200}.{1 + number % 200 // 2}")
                self.addCleanup(client.close)
                client.send_bytes(b"SSH-2.0-slow")
                loris.append(client)
        # No more are let in than may be.
        self.wait_for(lambda: self.descriptors() < before + 110)
        tries = 0
        while True:
            tries += 1
            try:
                self.assertAlive()
                break
            except ENDED:
                self.assertLess(tries, 20)
        print(f"\nslow loris: {len(loris)} of 1,000 were greeted; a login took {tries} tries")
        for client in loris:
            client.close()
        self.wait_for(lambda: self.descriptors() <= before)
