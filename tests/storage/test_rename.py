"""Renaming and hard links: what is there is replaced only when asked, and nothing is lost."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Home, link, rename
from sftpgo.storage.rename import rename_by_reservation
from sftpgo.storage.syscalls import RENAME_NOREPLACE, renameat2
from tests.storage.world import World, read, write


class RenameCase(SynchronousTestCase):
    """Files and directories to move."""

    def setUp(self):
        self.world = World(self.mktemp())
        self.root = self.world.home
        self.home = Home.open(self.root)
        self.addCleanup(self.home.close)
        write(self.root + b"/file", b"file")
        write(self.root + b"/other", b"other")
        os.makedirs(self.root + b"/full/inner")
        os.mkdir(self.root + b"/empty")
        os.symlink(b"file", self.root + b"/link")

    def move(self, call, src, dst, **options):
        with self.home.locate(src, follow=False) as one, self.home.locate(dst, follow=False) as two:
            call(one, two, **options)

    def tree(self):
        found = {}
        for directory, directories, files in os.walk(self.root):
            for name in directories + files:
                path = directory + b"/" + name
                if os.path.islink(path):
                    found[path[len(self.root) :]] = os.readlink(path)
                else:
                    found[path[len(self.root) :]] = None if os.path.isdir(path) else (read(path), os.stat(path).st_ino)
        return found

    def assert_moved(self, call, src, dst, **options):
        before = self.tree()
        self.move(call, src, dst, **options)
        expected = {
            (dst + path[len(src) :] if path == src or path.startswith(src + b"/") else path): content
            for path, content in before.items()
            if path != dst
        }
        self.assertEqual(self.tree(), expected)

    def assert_refused(self, codes, call, src, dst, **options):
        before = self.tree()
        with self.assertRaises(OSError) as caught:
            self.move(call, src, dst, **options)
        self.assertIn(caught.exception.errno, codes)
        self.assertEqual(self.tree(), before)


class ReplaceTests(RenameCase):
    """posix-rename."""

    def test_replaces(self):
        self.assert_moved(rename, b"/file", b"/other", replace=True)
        self.assert_moved(rename, b"/full", b"/empty", replace=True)
        self.assert_moved(rename, b"/other", b"/link", replace=True)

    def test_link_is_moved_itself(self):
        self.assert_moved(rename, b"/link", b"/full/link", replace=True)

    def test_refused(self):
        for src, dst, *codes in (
            (b"/empty", b"/full", errno.ENOTEMPTY, errno.EEXIST),
            (b"/file", b"/full", errno.EISDIR),
            (b"/full", b"/file", errno.ENOTDIR),
            (b"/full", b"/full/inner/x", errno.EINVAL),
            (b"/nothing", b"/x", errno.ENOENT),
            (b"/", b"/x", errno.EBUSY, errno.EINVAL),
            (b"/file", b"/", errno.EBUSY, errno.EINVAL),
        ):
            self.assert_refused(codes, rename, src, dst, replace=True)


class NoReplaceMixin:
    """Plain rename, whichever way it is done."""

    def test_moves(self):
        for src, dst in (
            (b"/file", b"/full/file"),
            (b"/full", b"/moved"),
            (b"/empty", b"/moved/e"),
            (b"/link", b"/\xff"),
        ):
            self.assert_moved(self.call, src, dst)

    def test_what_is_there_stays(self):
        for src in (b"/file", b"/full", b"/empty", b"/link"):
            for dst in (b"/file", b"/other", b"/full", b"/empty", b"/link"):
                if not dst.startswith(src):
                    self.assert_refused([errno.EEXIST], self.call, src, dst)

    def test_onto_itself(self):
        self.assert_refused([errno.EEXIST], self.call, b"/file", b"/file")

    def test_refused(self):
        self.assert_refused([errno.EINVAL], self.call, b"/full", b"/full/x")
        self.assert_refused([errno.EINVAL], self.call, b"/full", b"/full/inner/x")
        self.assert_refused([errno.ENOENT], self.call, b"/nothing", b"/x")
        self.assert_refused([errno.EBUSY, errno.EINVAL], self.call, b"/", b"/x")


class RenameNoReplaceTests(NoReplaceMixin, RenameCase):
    """The system's way."""

    def call(self, src, dst):
        rename(src, dst, replace=False)


class ReservationTests(NoReplaceMixin, RenameCase):
    """The way for systems that have no other."""

    def call(self, src, dst):
        rename_by_reservation(src, dst)

    def test_reservation_is_withdrawn(self):
        other = "/dev/shm"
        if not os.path.isdir(other) or os.stat(other).st_dev == os.stat(self.root).st_dev:
            self.skipTest("no second file system here")
        elsewhere = Home.open(other)
        self.addCleanup(elsewhere.close)
        name = b"/sftpgo-test-%d" % os.getpid()
        for src in (b"/file", b"/full"):
            for call in (rename_by_reservation, lambda src, dst: rename(src, dst, replace=False)):
                with self.home.locate(src, follow=False) as one, elsewhere.locate(name, follow=False) as two:
                    with self.assertRaises(OSError) as caught:
                        call(one, two)
                    self.assertEqual(caught.exception.errno, errno.EXDEV)
                    self.assertRaises(FileNotFoundError, two.stat)
                    one.stat()


class LinkTests(RenameCase):
    """Hard links."""

    def test_same_file(self):
        self.move(link, b"/file", b"/full/file")
        self.assertTrue(os.path.samefile(self.root + b"/file", self.root + b"/full/file"))

    def test_link_is_not_followed(self):
        os.symlink(self.world.outside + b"/secret", self.root + b"/out")
        self.move(link, b"/out", b"/x")
        self.assertEqual(os.readlink(self.root + b"/x"), self.world.outside + b"/secret")

    def test_refused(self):
        self.assert_refused([errno.EEXIST], link, b"/file", b"/other")
        self.assert_refused([errno.ENOENT], link, b"/nothing", b"/x")
        self.assert_refused([errno.EPERM], link, b"/full", b"/x")
        self.assert_refused([errno.EPERM, errno.EISDIR, errno.ENOENT, errno.EEXIST], link, b"/", b"/x")


class SyscallTests(RenameCase):
    """C reads names up to a NUL."""

    def test_nul(self):
        with self.home.locate(b"/file", follow=False) as place:
            for src, dst in ((b"file\0x", b"x"), (b"file", b"x\0y")):
                with self.assertRaises(OSError) as caught:
                    renameat2(place.dir_fd, src, place.dir_fd, dst, RENAME_NOREPLACE)
                self.assertEqual(caught.exception.errno, errno.EINVAL)
