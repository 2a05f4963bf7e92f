"""Statuses asked for in one go: the same answers as one by one, and nothing kept for the next go."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.glances import HELD, Glances
from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.errors import PermissionDenied
from sftpgo.ssh import codec
from sftpgo.storage.upload import temporary_name
from tests.doubles import make_filesystem
from tests.ssh.test_sftp import SlowFiles, request, session
from tests.storage.world import open_descriptors

TEMPORARY = temporary_name(b"f", b"0" * 20)


class GlanceTests(SynchronousTestCase):
    def setUp(self):
        self.files = make_filesystem(self, {"/": ("*",), "/denied": ("upload",)})
        self.home = Path(self.files.user.home_dir)
        for name in ("a", "denied", "a/deep", os.fsdecode(TEMPORARY)):
            (self.home / name).mkdir()
            (self.home / name / "file").write_bytes(name.encode())
        (self.home / "a" / os.fsdecode(TEMPORARY)).write_bytes(b"half")
        os.symlink("a", self.home / "link")
        os.symlink("a/file", self.home / "to-file")
        os.symlink("../outside", self.home / "out")
        os.symlink("nowhere", self.home / "dangling")
        self.touched = []
        self.glances = Glances(self.files.places, lambda: self.touched.append(1))
        self.addCleanup(self.glances.forget)

    def long_way(self, path, follow):
        try:
            return self.files.stat(path, follow=follow)
        except (PermissionDenied, OSError) as error:
            return type(error), getattr(error, "errno", None)

    def test_same_answers(self):
        """What a glance tells is what the long way tells; what it leaves open is for the long way."""
        told = set()
        directories = (
            b"",
            b"a",
            b"a/deep",
            b"denied",
            b"link",
            b"to-file",
            b"out",
            b"nowhere",
            TEMPORARY,
            b"a/./deep/..",
        )
        names = (b"", b"file", b"nothing", b"link", b"to-file", b"out", b"dangling", b"denied", TEMPORARY, b"..", b".x")
        for directory in directories:
            for name in names:
                for follow in (True, False):
                    path = b"/" + directory + b"/" + name
                    try:
                        found = self.glances.status(path, follow)
                    except OSError as error:
                        found = type(error), error.errno
                    if found is not None:
                        told.add(path)
                        self.assertEqual(found, self.long_way(path, follow), path)
        for path in (b"/a/file", b"/a/nothing", b"//to-file", b"/a/deep/file", b"/a/./deep/../file"):
            self.assertIn(path, told)
        for path in (b"/link/file", b"/denied/file", b"/" + TEMPORARY + b"/file", b"/a/" + TEMPORARY, b"//"):
            self.assertNotIn(path, told)

    def test_link_itself(self):
        self.assertIsNone(self.glances.status(b"/to-file", True))
        self.assertEqual(self.glances.status(b"/to-file", False), self.files.stat(b"/to-file", follow=False))

    def test_nothing_kept(self):
        """The next go looks anew, and no descriptor is left."""
        before = open_descriptors()
        self.assertEqual(self.glances.status(b"/a/file", True).st_size, 1)
        self.glances.status(b"/a/deep/file", True)
        self.assertEqual(len(self.touched), 1)
        self.glances.forget()
        self.assertEqual(open_descriptors(), before)
        (self.home / "a").rename(self.home / "b")
        os.symlink("denied", self.home / "a")
        self.assertIsNone(self.glances.status(b"/a/file", True))
        self.glances.forget()
        self.assertEqual(len(self.touched), 2)

    def test_bounded(self):
        """However many directories are asked about, few descriptors are held."""
        before = len(open_descriptors())
        for number in range(5 * HELD):
            (self.home / f"d{number}").mkdir()
            with self.assertRaises(FileNotFoundError):
                self.glances.status(b"/d%d/x" % number, True)
            self.assertLessEqual(len(open_descriptors()), before + HELD)

    def test_order(self):
        """In one go with its STATs, a RENAME counts for those behind it and not for those before it."""
        stream, _ = session(UserSFTPServer(self.files))
        stream.put(
            request(codec.STAT, 1, b"/a/file")
            + request(codec.LSTAT, 2, b"a/nothing")
            + request(codec.RENAME, 3, b"/a", b"/b")
            + request(codec.STAT, 4, b"/a/file")
            + request(codec.STAT, 5, b"/b/file")
            + request(codec.STAT, 6, b"/link/file")
            + request(codec.STAT, 7, b"/denied/file")
        )
        answers = [(kind, number, rest[:4]) for kind, number, rest in stream.take()]
        missing = codec.NO_SUCH_FILE.to_bytes(4)
        self.assertEqual([number for _, number, _ in answers], list(range(1, 8)))
        self.assertEqual(
            [kind for kind, _, _ in answers], [codec.ATTRS, *[codec.STATUS] * 3, codec.ATTRS, *[codec.STATUS] * 2]
        )
        self.assertEqual([answers[n][2] for n in (1, 3, 5)], [missing] * 3)
        self.assertEqual(answers[2][2], bytes(4))
        self.assertEqual(answers[6][2], codec.PERMISSION_DENIED.to_bytes(4))

    def test_same_bytes(self):
        """The two ways say the same in the same bytes, of odd times too."""
        os.utime(self.home / "a" / "file", (-5, 2**33))
        stream, _ = session(UserSFTPServer(self.files))
        stream.put(request(codec.STAT, 1, b"/a/file") + request(codec.STAT, 2, b"/link/file"))
        short, long = stream.take()
        self.assertEqual(short[2], long[2])

    def test_malformed(self):
        """A path that is longer or shorter than its packet, and one with a NUL, get one answer each."""
        stream, _ = session(UserSFTPServer(self.files))
        body = codec.string(b"/a/file")
        stream.put(
            codec.reply(codec.STAT, 1, body + b"more")
            + codec.reply(codec.STAT, 2, body[:-1])
            + codec.reply(codec.STAT, 3, b"\0\0")
            + request(codec.STAT, 4, b"/a/\0")
            + request(codec.STAT, 5, b"/a/" + b"x" * 300)
        )
        kinds = [(kind, number, rest[:4]) for kind, number, rest in stream.take()]
        bad, failure = codec.BAD_MESSAGE.to_bytes(4), codec.FAILURE.to_bytes(4)
        self.assertEqual(kinds[0][:2], (codec.ATTRS, 1))
        self.assertEqual([rest for _, _, rest in kinds[1:]], [bad, bad, failure, failure])


class OpenFileTests(SynchronousTestCase):
    """FSTAT in place: the same bytes as the long way gives, in its turn."""

    def test_same_bytes(self):
        files = make_filesystem(self)
        path = Path(files.user.home_dir) / "f"
        path.write_bytes(b"content")
        os.utime(path, (-5, 2**33))
        stream, server = session(UserSFTPServer(files))
        stream.put(request(codec.OPEN, 1, b"/f", codec.OPEN_READ, 0))
        ((_kind, _id, rest),) = stream.take()
        handle = codec.Reader(rest).string()
        longer = codec.reply(codec.FSTAT, 3, codec.string(handle) + b"more")
        stream.put(request(codec.FSTAT, 2, handle) + longer + request(codec.STAT, 4, b"/f"))
        answers = stream.take()
        self.assertEqual([(kind, number) for kind, number, _ in answers], [(codec.ATTRS, n) for n in (2, 3, 4)])
        self.assertEqual(len({rest for _, _, rest in answers}), 1)
        stream.put(
            request(codec.CLOSE, 5, handle) + request(codec.FSTAT, 6, handle) + request(codec.FSTAT, 7, b"12345")
        )
        self.assertEqual([rest[:4] for _, _, rest in stream.take()], [bytes(4), *[codec.FAILURE.to_bytes(4)] * 2])
        self.assertEqual(server._handles, {})

    def test_waits_its_turn(self):
        """An FSTAT that could be served at once waits for the READ before it."""
        files = SlowFiles()
        files.file.statNow = lambda: os.stat_result((0o100644, 1, 2, 3, 1000, 0, 5, 9, 9, 9))
        stream, _ = session(files)
        stream.put(request(codec.OPEN, 1, b"f", codec.OPEN_READ, 0))
        ((_kind, _id, rest),) = stream.take()
        handle = codec.Reader(rest).string()
        read = codec.reply(codec.READ, 2, codec.string(handle) + bytes(8) + (5).to_bytes(4))
        stream.put(read + request(codec.FSTAT, 3, handle))
        self.assertEqual(stream.take(), [])
        files.file.pending.pop().callback(b"bytes")
        self.assertEqual([(kind, number) for kind, number, _ in stream.take()], [(codec.DATA, 2), (codec.ATTRS, 3)])
