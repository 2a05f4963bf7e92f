"""Uploads by SCP, as scripts of bytes: what a client sends, what it hears, what is on the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.avatars.fakechannel import FakeChannel, start
from tests.doubles import make_filesystem

OK = b"\0"

_PIECES = [
    b"C0644 3 f\n",
    b"abc",
    b"\0",
    b"E\n",
    b"D0755 0 d\n",
    b"\1w\n",
    b"T1 0 1 0\n",
    b"\n",
    b"C0644 3 ../x\n",
    b"\xff" * 5000,
]


class _Case(SynchronousTestCase):
    """Runs C{scp -t}."""

    permissions: dict[str, tuple[str, ...]] = {"/": ("*",)}

    def setUp(self) -> None:
        self.files = make_filesystem(self, self.permissions)
        self.home = Path(self.files.user.home_dir)

    def scp(self, line: bytes) -> FakeChannel:
        return start(self.files, line)

    def ready(self, line: bytes) -> FakeChannel:
        channel = self.scp(line)
        self.assertEqual(channel.take(), OK)
        return channel

    def file(self, channel: FakeChannel, header: bytes, data: bytes) -> None:
        channel.send(header + b"\n")
        self.assertEqual(channel.take(), OK, header)
        channel.send(data + OK)
        self.assertEqual(channel.take(), OK, header)

    def done(self, channel: FakeChannel, status: int = 0) -> None:
        channel.end()
        self.assertEqual((channel.take(), channel.errors, channel.exit), (b"", b"", status))


class SinkTests(_Case):
    """C{scp -t} of a user who may do everything."""

    def test_name_or_directory(self) -> None:
        """Onto a name, into a directory, and onto a name again: as every scp does it."""
        (self.home / "dir").mkdir()
        for target, where in (
            (b"name", "name"),
            (b"dir", "dir/f"),
            (b"dir/", "dir/f"),
            (b".", "f"),
            (b"/", "f"),
            (b"~", "f"),
            (b"dir/new", "dir/new"),
            (b"'a b'", "a b"),
            (b"-- -dash", "-dash"),
            (b"no*match", "no*match"),
            (b"di?", "dir/f"),
            (b"../../up", "up"),
        ):
            channel = self.ready(b"scp -t " + target)
            self.file(channel, b"C0644 3 f", target[:3].ljust(3))
            self.done(channel)
            self.assertEqual((self.home / where).read_bytes(), target[:3].ljust(3), target)

    def test_odd_names(self) -> None:
        channel = self.ready(b"scp -t .")
        for name in (b"a b", b"'q\"", b"*", b"-rf", b".hidden", "ünï".encode(), b"\xff\xfe", b"a\\^Jb", b" "):
            self.file(channel, b"C0644 1 " + name, b"x")
            self.assertEqual(os.stat(os.fsencode(self.home) + b"/" + name).st_size, 1)
        self.done(channel)

    def test_several_files(self) -> None:
        """Two files and an empty one, all sent at once without waiting."""
        channel = self.ready(b"scp -d -t .")
        channel.send(b"C0644 2 a\nxy\0C0755 0 b\n\0C0600 1 c\nz\0")
        self.assertEqual(channel.take(), OK * 6)
        self.done(channel)
        self.assertEqual([(self.home / n).read_bytes() for n in "abc"], [b"xy", b"", b"z"])

    def test_tree_into_existing_tree(self) -> None:
        (self.home / "t" / "sub").mkdir(parents=True)
        (self.home / "t" / "sub" / "old").write_bytes(b"longer than new")
        for _ in range(2):
            channel = self.ready(b"scp -r -t .")
            for line in (b"D0755 0 t", b"D0755 0 sub"):
                channel.send(line + b"\n")
                self.assertEqual(channel.take(), OK)
            self.file(channel, b"C0644 3 old", b"new")
            channel.send(b"E\nD0700 0 empty\nE\nE\n")
            self.assertEqual(channel.take(), OK * 4)
            self.done(channel)
        self.assertEqual((self.home / "t" / "sub" / "old").read_bytes(), b"new")
        self.assertTrue((self.home / "t" / "empty").is_dir())

    def test_tree_onto_a_new_name(self) -> None:
        """The tree gets that name; into an existing directory it keeps its own."""
        for _ in range(2):
            channel = self.ready(b"scp -rt new")
            channel.send(b"D0755 0 t\n")
            self.assertEqual(channel.take(), OK)
            self.file(channel, b"C0644 1 f", b"x")
            channel.send(b"E\n")
            self.assertEqual(channel.take(), OK)
            self.done(channel)
        self.assertEqual(sorted(p.name for p in (self.home / "new").iterdir()), ["f", "t"])

    def test_times_and_modes(self) -> None:
        """With -p they are kept, without it modes follow the umask."""
        channel = self.ready(b"scp -rpt .")
        channel.send(b"T1000000000 0 1100000000 0\nD0751 0 d\nT1200000000 0 1300000000 0\n")
        self.assertEqual(channel.take(), OK * 3)
        self.file(channel, b"C4640 1 f", b"x")
        channel.send(b"E\n")
        self.assertEqual(channel.take(), OK)
        self.done(channel)
        file, directory = (self.home / "d" / "f").stat(), (self.home / "d").stat()
        self.assertEqual((file.st_mtime, file.st_atime), (1200000000, 1300000000))
        self.assertEqual((directory.st_mtime, directory.st_atime), (1000000000, 1100000000))
        self.assertEqual((stat.S_IMODE(file.st_mode), stat.S_IMODE(directory.st_mode)), (0o640, 0o751))
        mask = os.umask(0o027)
        self.addCleanup(os.umask, mask)
        channel = self.ready(b"scp -t .")
        self.file(channel, b"C0777 1 g", b"x")
        self.done(channel)
        self.assertEqual(stat.S_IMODE((self.home / "g").stat().st_mode), 0o640)

    def test_what_cannot_be_done(self) -> None:
        """A warning for each, the rest goes on, and the status says so; no real path in any of it."""
        (self.home / "dir").mkdir()
        (self.home / "file").write_bytes(b"")
        channel = self.ready(b"scp -r -t .")
        for line, answer in (
            (b"C0644 5 dir", b"\1scp: ./dir: Is a directory\n"),
            (b"D0755 0 file", b"\1scp: ./file: File exists\n"),
            (b"C0644 1 " + b"n" * 300, b"\1scp: ./" + b"n" * 300 + b": File name too long\n"),
        ):
            channel.send(line + b"\n")
            self.assertEqual(channel.take(), answer)
        self.file(channel, b"C0644 1 fine", b"x")
        self.done(channel, 1)

    def test_target_that_is_no_directory(self) -> None:
        for line in (b"scp -d -t missing", b"scp -t -d missing/x"):
            channel = self.scp(line)
            self.assertEqual(channel.take()[:1], b"\2")
            self.assertEqual(channel.exit, 1)
        channel = self.ready(b"scp -t missing/")
        channel.send(b"C0644 1 f\n")
        self.assertEqual(channel.take(), b"\1scp: missing/f: No such file or directory\n")
        self.done(channel, 1)

    def test_a_name_is_never_trusted(self) -> None:
        outside = self.home.parent / "outside"
        for record in (b"C0644 1 ../outside/x", b"C0644 1 ..", b"C0644 1 /x", b"D0755 0 ..", b"D0755 0 ../outside"):
            channel = self.ready(b"scp -r -t .")
            channel.send(record + b"\n")
            self.assertEqual((channel.take(), channel.exit), (b"\2scp: unexpected filename\n", 1), record)
        self.assertEqual(list(outside.iterdir()), [])
        self.assertEqual(list(self.home.iterdir()), [])

    def test_no_directory_without_r(self) -> None:
        channel = self.ready(b"scp -t .")
        channel.send(b"D0755 0 d\n")
        self.assertEqual((channel.take(), channel.exit), (b"\2scp: received directory without -r\n", 1))
        self.assertEqual(list(self.home.iterdir()), [])

    def test_end_without_a_directory(self) -> None:
        channel = self.ready(b"scp -r -t .")
        channel.send(b"E\n")
        self.assertEqual((channel.take()[:1], channel.exit), (b"\2", 1))

    def test_sender_could_not_read(self) -> None:
        """The sender's word after the data that they are not right: no success, nothing claimed."""
        channel = self.ready(b"scp -t .")
        channel.send(b"C0644 3 f\n")
        self.assertEqual(channel.take(), OK)
        channel.send(b"abc\1scp: f: Input/output error\n")
        self.assertEqual(channel.take(), OK)
        self.done(channel, 1)
        events = self.files.journal.log._logger.observer
        self.assertEqual([e for e in events if e.get("sender") == "Upload"], [])

    def test_remarks(self) -> None:
        """A warning between files is no end; a fatal one is."""
        channel = self.ready(b"scp -t .")
        channel.send(b"\1scp: other: no such file\n")
        self.file(channel, b"C0644 1 f", b"x")
        self.done(channel, 1)
        channel = self.ready(b"scp -t .")
        channel.send(b"\2lost\n")
        self.assertEqual((channel.take(), channel.exit), (b"", 1))

    def test_gone_in_the_midst(self) -> None:
        """Cut off by EOF or by the channel's end: no success, no transfer left open."""
        for cut in (FakeChannel.end, FakeChannel.vanish):
            for sent in (b"C0644 9 f\nhalf", b"C0644 4 f\nhalf", b"C0644 4 f\n", b"C0644 4", b"D0755 0 d\n"):
                channel = self.ready(b"scp -r -t .")
                channel.send(sent)
                cut(channel)
                if cut is FakeChannel.end:
                    self.assertEqual(channel.exit, 1, sent)
                self.assertEqual(self.files.journal.registry.transfers(), 0)
        events = self.files.journal.log._logger.observer
        self.assertEqual([e for e in events if e.get("sender") == "Upload"], [])

    def test_log(self) -> None:
        """An upload is logged as one, with the protocol."""
        channel = self.ready(b"scp -t .")
        self.file(channel, b"C0644 3 f", b"abc")
        self.done(channel)
        events = self.files.journal.log._logger.observer
        (line,) = [e for e in events if e.get("sender") == "Upload"]
        self.assertEqual((line["protocol"], line["size_bytes"]), ("SCP", 3))
        self.assertEqual(self.files.journal.protocol, "SFTP")

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.sampled_from(_PIECES), max_size=12))
    def test_any_order(self, pieces: list[bytes]) -> None:
        """Whatever is sent in whatever order: an end, an exit status, and nothing outside."""
        channel = self.ready(b"scp -r -p -t .")
        channel.send(b"".join(pieces), piece=7)
        channel.end()
        self.assertIn(channel.exit, (0, 1))
        self.assertEqual(self.files.journal.registry.transfers(), 0)
        self.assertEqual(list((self.home.parent / "outside").iterdir()), [])
        self.assertEqual(self.flushLoggedErrors(), [])


class SinkPermissionTests(_Case):
    """What each thing needs, with a directory for each that is missing."""

    permissions = {
        "/": ("*",),
        "/noup": ("list", "download", "overwrite", "create_dirs"),
        "/noover": ("list", "upload", "create_dirs"),
        "/nodirs": ("list", "upload", "overwrite"),
        "/blind": ("upload",),
        "/notimes": ("upload", "overwrite", "create_dirs"),
    }

    def test_permissions(self) -> None:
        for name in ("noup", "noover", "nodirs", "blind", "notimes"):
            (self.home / name).mkdir()
        for name in ("noup", "noover"):
            (self.home / name / "old").write_bytes(b"old")
        denied = ": Permission denied\n"
        for directory, record, allowed in (
            ("noup", b"C0644 1 new", False),
            ("noup", b"C0644 1 old", True),
            ("noup", b"D0755 0 d", True),
            ("noover", b"C0644 1 old", False),
            ("noover", b"C0644 1 new", True),
            ("nodirs", b"D0755 0 d", False),
            ("blind", b"C0644 1 new", True),
        ):
            channel = self.ready(f"scp -r -t {directory}".encode())
            channel.send(record + b"\n")
            answer = channel.take().decode()
            name = record.split()[-1].decode()
            self.assertEqual(answer, "\0" if allowed else f"\1scp: {directory}/{name}{denied}", (directory, record))
            channel.vanish()
        channel = self.ready(b"scp -p -t notimes")
        channel.send(b"T1 0 1 0\nC0600 1 f\nx\0")
        self.assertEqual(channel.take(), OK * 2 + b"\1scp: notimes/f" + denied.encode())
        self.done(channel, 1)
        self.assertEqual((self.home / "notimes" / "f").read_bytes(), b"x")
        self.assertEqual((self.home / "noover" / "old").read_bytes(), b"old")
