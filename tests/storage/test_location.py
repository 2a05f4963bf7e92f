"""What can be done at a place, and what is refused there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Home, Location
from sftpgo.storage.modes import set_mode_without_proc
from tests.storage.world import World, open_descriptors, read, write


class LocationCase(SynchronousTestCase):
    """A home to work in."""

    def setUp(self):
        self.world = World(self.mktemp())
        self.root = self.world.home
        self.home = Home.open(self.root)
        self.addCleanup(self.home.close)

    @contextlib.contextmanager
    def leaving_no_descriptor(self):
        before = open_descriptors()
        yield
        self.assertEqual(open_descriptors(), before)

    def at(self, path, follow=False):
        place = self.home.locate(path, follow=follow)
        self.addCleanup(place.close)
        return place

    def assert_error(self, code, call, *arguments):
        with self.leaving_no_descriptor(), self.assertRaises(OSError) as caught:
            call(*arguments)
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[code])
        self.assertNotIn(os.fsdecode(self.world.base), str(caught.exception))
        self.assertNotIn("/proc", str(caught.exception))


class HastyLocation(Location):
    """Finds, when it opens, something else than was there when it looked."""

    def _expect_file(self, flags):
        pass


class SwappedLocation(Location):
    """Turns into a link to the outside as soon as its handle is open."""

    target = b""

    @contextlib.contextmanager
    def _handle(self):
        with super()._handle() as handle:
            os.symlink(self.target, b"trap", dir_fd=self.dir_fd)
            os.rename(b"trap", self.name, src_dir_fd=self.dir_fd, dst_dir_fd=self.dir_fd)
            yield handle


class OpenTests(LocationCase):
    """Only regular files are opened, and nothing waits."""

    def test_reads_and_writes(self):
        place = self.at(b"/file")
        descriptor = place.open(os.O_WRONLY | os.O_CREAT, 0o640)
        os.write(descriptor, b"content")
        os.close(descriptor)
        self.assertEqual(read(self.root + b"/file"), b"content")
        descriptor = place.open(os.O_RDONLY)
        self.assertEqual(os.read(descriptor, 100), b"content")
        self.assertFalse(os.get_inheritable(descriptor))
        self.assertFalse(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_NONBLOCK)
        os.close(descriptor)

    def test_missing(self):
        self.assert_error(errno.ENOENT, self.at(b"/file").open, os.O_RDONLY)
        self.assert_error(errno.ENOENT, self.at(b"/file").open, os.O_WRONLY)

    def test_exclusive(self):
        write(self.root + b"/file", b"old")
        self.assert_error(errno.EEXIST, self.at(b"/file").open, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.symlink(b"nowhere", self.root + b"/link")
        self.assert_error(errno.EEXIST, self.at(b"/link").open, os.O_WRONLY | os.O_CREAT | os.O_EXCL)

    def test_directory_is_no_file(self):
        os.mkdir(self.root + b"/d")
        for path in (b"/d", b"/"):
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_TRUNC):
                self.assert_error(errno.EISDIR, self.at(path).open, flags)

    def test_link_is_no_file(self):
        write(self.root + b"/file", b"kept")
        os.symlink(b"file", self.root + b"/link")
        for flags in (os.O_RDONLY, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT):
            self.assert_error(errno.ELOOP, self.at(b"/link").open, flags)
        self.assert_error(errno.ELOOP, self.at(b"/link").truncate, 0)
        self.assertEqual(read(self.root + b"/file"), b"kept")

    def specials(self):
        os.mkfifo(self.root + b"/fifo")
        yield b"/fifo"
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        here = os.getcwd()
        os.chdir(self.root)  # the name of a socket is short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        yield b"/socket"
        with contextlib.suppress(PermissionError):
            os.mknod(self.root + b"/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
            os.mknod(self.root + b"/disk", stat.S_IFBLK | 0o666, os.makedev(7, 250))
            yield b"/null"
            yield b"/disk"

    def test_special_files_are_refused_at_once(self):
        for path in self.specials():
            place = self.at(path, follow=True)
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
                self.assert_error(errno.EINVAL, place.open, flags)
            self.assert_error(errno.EINVAL, place.truncate, 0)
            self.assert_error(errno.ENOTDIR, place.open_directory)
            place.statvfs()
            place.chmod(0o600)
            self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o600)

    def test_special_file_put_there_after_the_look(self):
        for path in self.specials():
            place = self.at(path)
            hasty = HastyLocation(os.dup(place.dir_fd), place.name, place.directory)
            self.addCleanup(hasty.close)
            for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC):
                with self.leaving_no_descriptor(), self.assertRaises(OSError) as caught:
                    hasty.open(flags)
                self.assertIn(caught.exception.errno, (errno.EINVAL, errno.ENXIO))

    def test_link_put_there_after_the_look(self):
        os.symlink(self.world.outside + b"/file", self.root + b"/link")
        before = self.world.snapshot()
        with self.at(b"/link") as place, HastyLocation(os.dup(place.dir_fd), place.name, place.directory) as hasty:
            for flags in (os.O_RDONLY, os.O_WRONLY | os.O_TRUNC, os.O_RDWR | os.O_CREAT):
                self.assert_error(errno.ELOOP, hasty.open, flags)
        self.assertEqual(self.world.snapshot(), before)

    def test_writer_waiting_at_a_fifo_is_left_waiting(self):
        os.mkfifo(self.root + b"/fifo")
        self.assert_error(errno.EINVAL, self.at(b"/fifo").open, os.O_RDONLY)
        self.assertRaises(OSError, os.open, self.root + b"/fifo", os.O_WRONLY | os.O_NONBLOCK)

    def test_no_special_bits_on_a_new_file(self):
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        os.close(self.at(b"/file").open(os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o7777))
        self.at(b"/d").mkdir(0o7777)
        for path in (b"/file", b"/d"):
            self.assertEqual(stat.S_IMODE(self.at(path).stat().st_mode), 0o777)

    def test_names_of_255_and_256_bytes(self):
        for name in (b"x" * 255, b"\xff" * 255, b"\n" * 255):
            os.close(self.at(b"/" + name).open(os.O_CREAT | os.O_WRONLY))
            self.assertIn(name, os.listdir(self.root))
        place = self.at(b"/" + b"x" * 256)
        for call in (place.stat, place.mkdir, place.unlink, place.rmdir, place.readlink, place.open_directory):
            self.assert_error(errno.ENAMETOOLONG, call)
        self.assert_error(errno.ENAMETOOLONG, place.open, os.O_CREAT | os.O_WRONLY)
        self.assert_error(errno.ENAMETOOLONG, place.chmod, 0o600)


class ChangeTests(LocationCase):
    """Changing what is there."""

    def test_directories(self):
        place = self.at(b"/d")
        place.mkdir()
        self.assert_error(errno.EEXIST, place.mkdir)
        write(self.root + b"/d/file")
        self.assert_error(errno.ENOTEMPTY, place.rmdir)
        self.assert_error(errno.EISDIR, place.unlink)
        self.at(b"/d/file").unlink()
        place.rmdir()
        self.assert_error(errno.ENOENT, place.rmdir)

    def test_links(self):
        place = self.at(b"/link")
        place.symlink(b"\xff/../x y")
        self.assertEqual(place.readlink(), b"\xff/../x y")
        self.assert_error(errno.EEXIST, place.symlink, b"x")
        self.assert_error(errno.ENOTDIR, place.rmdir)
        place.unlink()
        self.assertEqual(os.listdir(self.root), [])
        write(self.root + b"/file")
        self.assert_error(errno.EINVAL, self.at(b"/file").readlink)

    def test_chmod(self):
        write(self.root + b"/file")
        os.mkdir(self.root + b"/d")
        for path in (b"/file", b"/d", b"/"):
            for mode in (0o7777, 0o4711, 0o600, 0o000, 0o100755):
                self.at(path).chmod(mode)
                self.assertEqual(stat.S_IMODE(self.at(path).stat().st_mode), mode & 0o777)
            self.at(path).chmod(0o755)

    def test_chmod_of_a_link_leaves_its_target_alone(self):
        write(self.root + b"/file")
        os.chmod(self.root + b"/file", 0o644)
        os.symlink(b"file", self.root + b"/link")
        self.assert_error(errno.ELOOP, self.at(b"/link").chmod, 0o777)
        self.assertEqual(stat.S_IMODE(os.stat(self.root + b"/file").st_mode), 0o644)
        self.assert_error(errno.ENOENT, self.at(b"/nothing").chmod, 0o777)

    def test_chmod_of_a_file_swapped_for_a_link_meanwhile(self):
        write(self.root + b"/file")
        before = self.world.snapshot()
        with self.at(b"/file") as place, SwappedLocation(os.dup(place.dir_fd), place.name, place.directory) as swapped:
            swapped.target = self.world.outside + b"/file"
            swapped.chmod(0o777)
            self.assertTrue(stat.S_ISLNK(place.stat().st_mode))
        self.assertEqual(self.world.snapshot(), before)

    def test_chmod_without_proc(self):
        write(self.root + b"/file")
        os.mkdir(self.root + b"/d")
        for path in (b"/file", b"/d"):
            place = self.at(path)
            with self.leaving_no_descriptor(), place._handle() as handle:
                set_mode_without_proc(handle, place.dir_fd, place.name, 0o7711)
            self.assertEqual(stat.S_IMODE(place.stat().st_mode), 0o711)

    def test_chmod_without_proc_of_a_file_swapped_meanwhile(self):
        write(self.root + b"/file")
        place = self.at(b"/file")
        with place._handle() as handle:
            for make, code in (
                (lambda name: os.symlink(self.world.outside + b"/file", name), errno.ELOOP),
                (write, errno.ESTALE),
                (os.mkfifo, errno.ESTALE),
            ):
                make(self.root + b"/new")
                os.rename(self.root + b"/new", self.root + b"/file")
                before = self.world.snapshot()
                self.assert_error(code, set_mode_without_proc, handle, place.dir_fd, place.name, 0o777)
                self.assertEqual(self.world.snapshot(), before)
        with place._handle() as fifo:
            self.assert_error(errno.EINVAL, set_mode_without_proc, fifo, place.dir_fd, place.name, 0o777)

    def test_times(self):
        write(self.root + b"/file")
        os.symlink(b"file", self.root + b"/link")
        for path in (b"/file", b"/link", b"/"):
            self.at(path).utime((1_000_000_001, 2_000_000_003))
            status = self.at(path).stat()
            self.assertEqual((status.st_atime_ns, status.st_mtime_ns), (1_000_000_001, 2_000_000_003))
        self.at(b"/link").utime((7, 7))
        self.assertEqual(self.at(b"/file").stat().st_mtime_ns, 2_000_000_003)

    def test_owner(self):
        if os.getuid():
            self.skipTest("only root gives files away")
        write(self.root + b"/file")
        os.symlink(b"file", self.root + b"/link")
        self.at(b"/link").chown(1234, 1235)
        self.assertEqual((self.at(b"/link").stat().st_uid, self.at(b"/file").stat().st_uid), (1234, 0))
        self.at(b"/file").chown(-1, 77)
        status = self.at(b"/file").stat()
        self.assertEqual((status.st_uid, status.st_gid), (0, 77))

    def test_truncate(self):
        write(self.root + b"/file", b"0123456789")
        place = self.at(b"/file")
        place.truncate(4)
        self.assertEqual(read(self.root + b"/file"), b"0123")
        place.truncate(6)
        self.assertEqual(read(self.root + b"/file"), b"0123\0\0")
        place.truncate(5 << 30)
        self.assertEqual(place.stat().st_size, 5 << 30)
        self.assert_error(errno.EINVAL, place.truncate, -1)

    def test_statvfs(self):
        expected = os.statvfs(self.root)
        os.symlink(b"/nowhere", self.root + b"/link")
        for path in (b"/", b"/link"):
            found = self.at(path).statvfs()
            self.assertEqual(
                (found.f_blocks, found.f_bsize, found.f_namemax), (expected.f_blocks, expected.f_bsize, 255)
            )
        self.assert_error(errno.ENOENT, self.at(b"/nothing").statvfs)

    def test_root_stays(self):
        place = self.at(b"/")
        for call in (place.unlink, place.rmdir, place.mkdir, place.readlink):
            self.assertRaises(OSError, call)
        self.assertRaises(OSError, place.symlink, b"x")
        self.assertRaises(OSError, place.open, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        self.assertTrue(os.path.isdir(self.root))

    def test_sibling(self):
        os.mkdir(self.root + b"/d")
        with self.at(b"/d/file").sibling(b"other") as other:
            self.assertEqual(other.path, b"/d/other")
            os.close(other.open(os.O_CREAT | os.O_WRONLY))
        self.assertEqual(os.listdir(self.root + b"/d"), [b"other"])
        for name in (b"", b".", b"..", b"../x", b"a/b", b"/", b"a\0b"):
            self.assert_error(errno.EINVAL, self.at(b"/d/file").sibling, name)
        self.assert_error(errno.EINVAL, self.at(b"/").sibling, b"x")

    def test_closed(self):
        with self.leaving_no_descriptor():
            with self.home.locate(b"/x", follow=True) as place:
                place.close()
            place.close()
        self.assert_error(errno.EBADF, place.stat)
        self.assert_error(errno.EBADF, place.mkdir)
        self.assertEqual(os.listdir(self.root), [])
