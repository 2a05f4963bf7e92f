"""Downloads by SCP, as scripts of bytes: what the client hears and answers."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars import scpsource
from sftpgo.avatars.transfer import OpenFile
from tests.avatars.fakechannel import FakeChannel, start
from tests.doubles import make_filesystem

OK = b"\0"


class SourceTests(SynchronousTestCase):
    """C{scp -f}."""

    def setUp(self) -> None:
        self.files = make_filesystem(
            self, {"/": ("*",), "/nodown": ("list",), "/nolist": ("download",), "/t/secret": ("list",)}
        )
        self.home = Path(self.files.user.home_dir)

    def write(self, name: str, data: bytes = b"x", mode: int = 0o644) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        os.utime(path, (1_100_000_000, 1_000_000_000))

    def scp(self, line: bytes, *answers: bytes) -> FakeChannel:
        channel = start(self.files, line)
        for answer in answers:
            channel.send(answer)
        return channel

    def all(self, line: bytes) -> tuple[bytes, object]:
        """What a client that agrees to everything gets."""
        channel = self.scp(line, OK * 500)
        return channel.output, channel.exit

    def test_file(self) -> None:
        self.write("a b", b"content", 0o4755)
        self.assertEqual(self.all(b"scp -v -p -f -- 'a b'"), (b"T1000000000 0 1100000000 0\nC4755 7 a b\ncontent\0", 0))
        self.assertEqual(self.all(b"scp -f 'a b'"), (b"C4755 7 a b\ncontent\0", 0))

    def test_turns(self) -> None:
        """Nothing is sent before the client has agreed to it."""
        self.write("f", b"data")
        channel = self.scp(b"scp -pf f")
        for expected in (b"T1000000000 0 1100000000 0\n", b"C0644 4 f\n", b"data\0"):
            self.assertEqual((channel.take(), channel.exit), (b"", None))
            channel.send(OK)
            self.assertEqual(channel.take(), expected)
        channel.send(OK)
        self.assertEqual(channel.exit, 0)

    def test_several_and_wildcards(self) -> None:
        for name in ("a.txt", "b.txt", "c.jpg", ".h.txt"):
            self.write(name)
        both = b"C0644 1 a.txt\nx\0C0644 1 b.txt\nx\0"
        for line in (b"scp -f *.txt", b"scp -f a.txt b.txt", b"scp -f ~/a.txt ./b.txt", b"scp -f [ab].*"):
            self.assertEqual(self.all(line), (both, 0), line)
        output, exit = self.all(b"scp -f a.txt '*.txt' b.txt")
        self.assertEqual(output, b"C0644 1 a.txt\nx\0\1scp: /*.txt: No such file or directory\nC0644 1 b.txt\nx\0")
        self.assertEqual(exit, 1)

    def test_tree(self) -> None:
        """Files before directories; links are followed; what is neither is left out."""
        self.write("t/f")
        self.write("t/sub/g")
        (self.home / "t").chmod(0o750)
        (self.home / "t" / "link").symlink_to("/t/f")
        os.mkfifo(self.home / "t" / "fifo")
        output, exit = self.all(b"scp -r -f t")
        self.assertEqual(exit, 0)
        head, files, rest = output.partition(b"D0755 0 sub\n")[0].partition(b"C0644")
        self.assertEqual(head, b"D0750 0 t\n")
        self.assertEqual(sorted((files + rest).split(b"C0644")[1:]), [b" 1 f\nx\0", b" 1 link\nx\0"])
        self.assertTrue(output.endswith(b"D0755 0 sub\nC0644 1 g\nx\0E\nE\n"))

    def test_whole_home(self) -> None:
        """The home has its own name; nothing of the path to it is told."""
        self.write("f")
        for path in (b"/", b".", b"~", b"../.."):
            output, exit = self.all(b"scp -rf " + path)
            self.assertEqual((output, exit), (b"D0755 0 home\nC0644 1 f\nx\0E\n", 0), path)

    def test_loops(self) -> None:
        """A link to a directory above ends there."""
        self.write("t/f")
        (self.home / "t" / "again").symlink_to(".")
        (self.home / "t" / "up").symlink_to("..")
        output, exit = self.all(b"scp -rf t")
        self.assertEqual(exit, 1)
        self.assertEqual(output.count(b"Too many levels of symbolic links"), 2)
        self.assertEqual(output.count(b"C0644 1 f\n"), 1)

    def test_outside(self) -> None:
        """Links that say a place outside lead nowhere."""
        (self.home / "t").mkdir()
        secret = self.home.parent / "outside" / "secret"
        secret.write_bytes(b"secret")
        for name, target in (("l", "/etc/passwd"), ("m", "../../../../etc/passwd"), ("n", str(secret))):
            (self.home / "t" / name).symlink_to(target)
        (self.home / "t" / "d").symlink_to("/etc")
        output, exit = self.all(b"scp -rf t")
        self.assertEqual(exit, 1)
        self.assertEqual(output.count(b"No such file or directory"), 4)
        self.assertNotIn(b"root:", output)
        self.assertNotIn(os.fsencode(self.home), output)

    def test_permissions(self) -> None:
        for name in ("nodown/f", "nolist/f", "t/secret/f", "t/ok"):
            self.write(name)
        denied = b": Permission denied\n"
        for line, expected in (
            (b"scp -f nodown/f", b"\1scp: /nodown/f" + denied),
            (b"scp -rf nodown", b"\1scp: /nodown" + denied),
            (b"scp -f nolist/f", b"C0644 1 f\nx\0"),
            (b"scp -rf nolist", b"\1scp: /nolist" + denied),
            (b"scp -rf t", b"D0755 0 t\nC0644 1 ok\nx\0\1scp: /t/secret" + denied + b"E\n"),
        ):
            self.assertEqual(self.all(line)[0], expected, line)

    def test_directory_without_r(self) -> None:
        (self.home / "d").mkdir()
        text = b"\1scp: /d: Unable to send directory for non recursive copy\n"
        self.assertEqual(self.all(b"scp -f d"), (text, 1))

    def test_name_with_newline(self) -> None:
        self.write("a\nb")
        self.assertEqual(self.all(b"scp -f 'a\nb'"), (b"C0644 1 a\\^Jb\nx\0", 0))

    def test_client_refuses(self) -> None:
        """A file or a tree that the client cannot take is passed over; a fatal word ends all."""
        self.write("a")
        self.write("t/f")
        no = b"\1no\n"
        channel = self.scp(b"scp -r -f a t a", OK, no, no, OK, OK)
        self.assertEqual((channel.output, channel.exit), (b"C0644 1 a\nD0755 0 t\nC0644 1 a\nx\0", 1))
        channel = self.scp(b"scp -f a a", OK, b"\2disk full\n")
        self.assertEqual((channel.output, channel.exit), (b"C0644 1 a\n", 1))
        channel = self.scp(b"scp -f a", OK, b"?")
        self.assertEqual((channel.take()[-2:], channel.exit), (b"s\n", 1))

    def test_shrinks_while_it_is_sent(self) -> None:
        """As many bytes as were announced, and the word that they are wrong."""
        self.patch(scpsource, "CHUNK", 4)
        self.write("f", b"0123456789")
        read = OpenFile.readChunk

        def shrink(file: OpenFile, offset: int, length: int):
            os.truncate(self.home / "f", 4)
            return read(file, offset, length)

        self.patch(OpenFile, "readChunk", shrink)
        output, exit = self.all(b"scp -f f")
        self.assertEqual(output, b"C0644 10 f\n0123" + bytes(6) + b"\1scp: /f: Input/output error\n")
        self.assertEqual(exit, 1)
        events = self.files.journal.log._logger.observer
        self.assertEqual([e for e in events if e.get("sender") == "Download"], [])

    def test_waits_for_the_client(self) -> None:
        """While the client does not read, no more than a piece is read from the disk."""
        self.patch(scpsource, "CHUNK", 1000)
        self.write("f", bytes(100_000))
        channel = self.scp(b"scp -f f")
        channel.producer.pauseProducing()
        channel.send(OK * 2)
        self.assertLess(len(channel.output), 1100)
        channel.producer.resumeProducing()
        channel.send(OK)
        self.assertEqual((len(channel.output), channel.exit), (len(b"C0644 100000 f\n") + 100_001, 0))

    def test_gone(self) -> None:
        """The client leaves at every point; no transfer stays open."""
        self.write("t/f", bytes(1000))
        before = len(os.listdir("/proc/self/fd"))
        for answers in range(6):
            for leave in (FakeChannel.vanish, FakeChannel.end):
                channel = self.scp(b"scp -r -p -f t", *[OK] * answers)
                leave(channel)
                self.assertEqual(self.files.journal.registry.transfers(), 0)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before)

    def test_log(self) -> None:
        self.write("f", b"abc")
        self.all(b"scp -f f")
        events = self.files.journal.log._logger.observer
        (line,) = [e for e in events if e.get("sender") == "Download"]
        self.assertEqual((line["protocol"], line["size_bytes"]), ("SCP", 3))
