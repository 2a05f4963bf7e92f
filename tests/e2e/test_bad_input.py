"""What clients may send that no honest client does; and names at the edge of what a file may be called."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import paramiko
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sftpgo.ssh import codec
from tests.interop.base import ServerTestCase
from tests.rawsftp import RawSFTP, connect


class RawTestCase(ServerTestCase):
    """One raw SFTP channel a test."""

    keys = False

    def setUp(self) -> None:
        super().setUp()
        self.raw = RawSFTP(self.server.sftp_port, self.user, self.password)
        self.addCleanup(self.raw.close)

    def assertAlive(self) -> None:
        """The server still serves a new login."""
        self.assertIsNone(self.server.process.poll())
        connect(self.server.sftp_port, self.user, self.password).close()


class MalformedTests(RawTestCase):
    """Requests that are cut short, unknown, or of impossible lengths, over a real connection."""

    def test_everything_is_answered_once(self) -> None:
        kinds = [kind for kind in range(256) if kind != codec.INIT]
        bodies = [b"", b"\0", b"\xff" * 3, codec.string(b"x"), codec.string(b"x") + b"\xff" * 40]
        sent = [self.raw.packet(kind, body) for kind in kinds for body in bodies]
        answered = [self.raw.receive()[1] for _ in sent]
        self.assertEqual(sorted(answered), sorted(sent))
        self.assertAlive()

    def test_impossible_lengths(self) -> None:
        for data in (struct.pack(">L", 2**31), struct.pack(">L", 2**32 - 1), struct.pack(">LB", 0, 0), b"\0\0\0\2\3\0"):
            self.raw.open()
            self.raw.send(data + b"x" * 16)
            with self.assertRaises((EOFError, OSError)):
                self.raw.receive()
        self.assertAlive()

    def test_extended_attributes(self) -> None:
        """SETSTAT whose attributes announce more pairs than there are."""
        body = codec.string(b"/") + struct.pack(">LL", codec.ATTR_EXTENDED, 2**32 - 1)
        self.raw.packet(codec.SETSTAT, body)
        kind, _id, rest = self.raw.receive()
        self.assertEqual((kind, struct.unpack_from(">L", rest)[0]), (codec.STATUS, codec.BAD_MESSAGE))

    def test_empty_subsystem_request(self) -> None:
        channel = self.raw.ssh.open_session()
        with self.assertRaises(paramiko.SSHException):
            channel.invoke_subsystem("")
        message = paramiko.Message()
        message.add_byte(bytes([98]))
        message.add_int(self.raw.ssh.open_session().remote_chanid)
        message.add_string("subsystem")
        message.add_boolean(False)
        self.raw.ssh._send_user_message(message)
        self.assertAlive()

    def test_shell_and_commands_are_refused(self) -> None:
        for ask in (
            lambda channel: channel.invoke_shell(),
            lambda channel: channel.get_pty(),
            lambda channel: channel.exec_command("id"),
        ):
            with self.assertRaises(paramiko.SSHException):
                ask(self.raw.ssh.open_session())
        with self.assertRaises(paramiko.ChannelException):
            self.raw.ssh.open_channel("direct-tcpip", ("127.0.0.1", 80), ("127.0.0.1", 1))

    @given(st.binary(max_size=200))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    def test_any_bytes(self, data: bytes) -> None:
        """Random bytes on a fresh channel: the server lives, and so does the connection."""
        self.raw.open()
        self.raw.send(data)
        self.raw.channel.close()
        self.raw.open()
        self.assertEqual(self.raw.ask(codec.REALPATH, b".")[0], codec.NAME)

    def test_garbage_before_the_version(self) -> None:
        """A client that speaks something else is let go; the log says so without a user."""

        for garbage in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(3000), b"SSH-1.5-old\r\n", b"\0" * 100):
            with socket.create_connection(("127.0.0.1", self.server.sftp_port)) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
        self.assertAlive()


class NameTests(RawTestCase):
    """Names byte for byte."""

    names = (
        b"x" * 255,
        b"\xff\xfe not UTF-8 \x80",
        b"new\nline",
        "ünïcode-名".encode(),
        b" ",
        b"-rf",
        b"a\\b",
        b"\x1b[31m",
    )

    def test_kept_byte_exact(self) -> None:
        for name in self.names:
            answer, rest = self.raw.ask(codec.OPEN, b"/" + name, codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
            self.assertEqual(answer, codec.HANDLE, name)
            self.assertEqual(self.raw.status(codec.CLOSE, codec.Reader(rest).string()), codec.OK)
        self.assertEqual(sorted(os.listdir(os.fsencode(self.home))), sorted(self.names))
        self.assertEqual(self.raw.names(b"/"), sorted(self.names))
        for name in self.names:
            self.assertEqual(self.raw.status(codec.RENAME, b"/" + name, b"/moved"), codec.OK)
            self.assertEqual(self.raw.status(codec.REMOVE, b"/moved"), codec.OK)

    def test_impossible_names(self) -> None:
        for name in (b"x" * 256, b"a\0b", b"/".join([b"d" * 200] * 40)):
            for kind in (codec.STAT, codec.REMOVE, codec.RMDIR, codec.OPENDIR, codec.READLINK):
                self.assertIn(self.raw.status(kind, name), (codec.FAILURE, codec.NO_SUCH_FILE), (kind, name[:10]))
        self.assertAlive()

    def test_no_real_path_in_any_answer(self) -> None:
        """Every reply to every request about every kind of thing: the home's real path is in none of them."""
        os.symlink(self.home / "inside", self.home / "absolute")
        os.symlink("/etc/passwd", self.home / "outside")
        (self.home / "file").write_bytes(b"")
        (self.home / "dir").mkdir()
        for kind in [*range(codec.OPEN, codec.SYMLINK + 1), codec.EXTENDED]:
            for path in (b"/", b"/file", b"/dir", b"/absolute", b"/outside", b"/missing/x", b"/file/x"):
                body = codec.string(path) + codec.string(b"/file/y") + struct.pack(">LL", 1, 0)
                self.raw.packet(kind, body)
                reply = self.raw.receive()
                self.assertNotIn(os.fsencode(self.server.directory), reply[2], (kind, path))


class CutTests(RawTestCase):
    """A large file is cut in a thread, and what the client sent after that waits for it."""

    def test_in_order(self) -> None:
        with (self.home / "f").open("wb") as file:
            file.truncate(1 << 30)
        _kind, rest = self.raw.ask(codec.OPEN, b"/f", codec.OPEN_READ | codec.OPEN_WRITE, 0)
        handle = codec.Reader(rest).string()
        by_handle, by_path = codec.string(handle), codec.string(b"/f")

        def size(length: int) -> bytes:
            return codec.attributes({"size": length})

        def write(offset: int, data: bytes) -> bytes:
            return by_handle + struct.pack(">Q", offset) + codec.string(data)

        grow = [(codec.FSETSTAT, by_handle + size(1 << 30)), (codec.WRITE, write(4, b"late"))]
        sent = [
            (codec.FSETSTAT, by_handle + size(3)),
            (codec.WRITE, write(3, b"abc")),
            (codec.FSTAT, by_handle),
            *grow,
            (codec.SETSTAT, by_path + size(2)),
            (codec.STAT, by_path),
            (codec.WRITE, write(2, b"end")),
            (codec.READ, by_handle + struct.pack(">QL", 0, 100)),
            (codec.CLOSE, by_handle),
        ]
        ids = [self.raw.packet(kind, body) for kind, body in sent]
        got = [self.raw.receive() for _ in sent]
        self.assertEqual([replied_to for _kind, replied_to, _rest in got], ids)
        sizes = [codec.Reader(rest).attributes()["size"] for kind, _, rest in got if kind == codec.ATTRS]
        self.assertEqual(sizes, [6, 2])
        statuses = [codec.Reader(rest).uint32() for kind, _, rest in got if kind == codec.STATUS]
        self.assertEqual(statuses, [codec.OK] * 7)
        self.assertEqual((self.home / "f").read_bytes(), b"\0\0end")


class LargeListingTests(RawTestCase):
    """100,000 entries stream by without being held in memory."""

    def test_streams(self) -> None:
        directory = self.home / "many"
        directory.mkdir(parents=True)
        for number in range(100_000):
            os.close(os.open(directory / f"file-{number:06}", os.O_CREAT | os.O_WRONLY))
        # A password's hash takes 64 MiB for a moment, which is not the listing's: start the peak afresh.
        Path(f"/proc/{self.server.process.pid}/clear_refs").write_text("5")
        before = self.peak()
        found = self.raw.names(b"/many")
        self.assertEqual(len(set(found)), 100_000)
        growth = self.peak() - before
        print(f"\na listing of 100,000 entries: the server's peak RSS is {self.peak():.0f} MiB, {growth:.0f} MiB more")
        self.assertLess(self.peak(), 100)

    def peak(self) -> float:
        """The server's peak resident memory in MiB."""
        with open(f"/proc/{self.server.process.pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
        raise AssertionError("no VmHWM")
