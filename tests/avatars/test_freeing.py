"""What large files take is freed in a thread: the reactor waits for no removal, replacement or truncation of one."""

from __future__ import annotations

import errno
import os

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.avatars.transfer import OpenFile
from sftpgo.ssh import codec
from sftpgo.storage.freeing import LARGE
from tests.avatars.faults import fails_with
from tests.avatars.ground import UploadCase, result_of
from tests.doubles import HeldThreads


class FreeingCase(UploadCase):
    """Has a large file, and threads that run when the test says so."""

    def setUp(self) -> None:
        super().setUp()
        self.threads = HeldThreads()

    def start(self, mode: int = 0, size: int = LARGE) -> None:
        """A user with a file C{/f} of so many bytes."""
        self.begin(mode)
        with open(self.ground.home / "f", "wb") as file:
            file.truncate(size)
        self.files = self.ground.login(run_in_thread=self.threads.run)

    def held(self) -> int:
        """The one descriptor that a thread is to close."""
        ((_deferred, function, (descriptor,)),) = self.threads.waiting
        self.assertIs(function, os.close)
        return descriptor

    def assertFreedByThread(self, size: int = LARGE) -> None:
        """The file has no name any more, and lives until the thread lets it go."""
        descriptor = self.held()
        status = os.fstat(descriptor)
        self.assertEqual((status.st_nlink, status.st_size), (0, size))
        self.threads.release()
        self.assertRaises(OSError, os.fstat, descriptor)


class FreeingTests(FreeingCase):
    def test_removed(self) -> None:
        self.start()
        self.files.remove(b"/f")
        self.assertFalse((self.ground.home / "f").exists())
        self.assertFreedByThread()

    def test_another_name_is_left(self) -> None:
        self.start()
        os.link(self.ground.home / "f", self.ground.home / "g")
        self.files.remove(b"/f")
        self.assertEqual(self.threads.waiting, [])

    def test_small(self) -> None:
        self.start(size=LARGE - 1)
        (self.ground.home / "g").write_bytes(b"")
        self.files.rename(b"/g", b"/f")
        self.files.remove(b"/f")
        self.assertEqual(self.threads.waiting, [])

    def test_replaced_by_a_rename(self) -> None:
        self.start()
        (self.ground.home / "g").write_bytes(b"new")
        self.files.rename(b"/g", b"/f")
        self.assertEqual(self.read(), b"new")
        self.assertFreedByThread()

    def test_a_removal_that_fails(self) -> None:
        """The descriptor is closed all the same."""
        self.start()
        os.mkdir(self.ground.home / "d")
        self.assertRaises(OSError, self.files.rename, b"/d", b"/f")
        descriptor = self.held()
        self.threads.release()
        self.assertRaises(OSError, os.fstat, descriptor)
        self.assertEqual((self.ground.home / "f").stat().st_size, LARGE)

    def test_replaced_by_an_atomic_upload(self) -> None:
        self.start(1)
        file = self.files.open_for_writing(b"/f", truncate=True)
        file.writeChunk(0, b"new")
        file.close()
        self.assertEqual(self.read(), b"new")
        self.assertFreedByThread()

    def test_discarded_upload(self) -> None:
        self.start(1, size=1)
        file = self.files.open_for_writing(b"/f", truncate=True)
        file.writeChunk(LARGE, b"x")
        file.abort()
        self.assertEqual(os.listdir(self.ground.home), ["f"])
        self.assertFreedByThread(LARGE + 1)

    def test_removed_while_it_is_open(self) -> None:
        """The last to close it is the one who frees it."""
        self.start()
        download = self.files.open_for_reading(b"/f")
        self.files.remove(b"/f")
        self.threads.release()
        download.close()
        self.assertFreedByThread()
        self.start()
        upload = self.files.open_for_writing(b"/g")
        upload.writeChunk(LARGE, b"x")
        self.files.remove(b"/g")
        self.threads.release()
        self.assertRaises(FileNotFoundError, upload.close)
        self.assertFreedByThread(LARGE + 1)


class TruncationTests(FreeingCase):
    """Overwriting in place: the file is empty before the client may write."""

    def overwrite(self) -> Deferred:
        opening = self.server.openFile(b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT | codec.OPEN_TRUNC, {})
        self.assertIsInstance(opening, Deferred)
        self.assertNoResult(opening)
        return opening

    def start(self, mode: int = 0, size: int = LARGE) -> None:
        super().start(mode, size)
        self.server = UserSFTPServer(self.files)

    def test_emptied_in_a_thread(self) -> None:
        self.start()
        opening = self.overwrite()
        self.assertEqual((self.ground.home / "f").stat().st_size, LARGE)
        self.threads.release()
        file = self.successResultOf(opening)
        self.assertEqual(self.read(), b"")
        file.writeChunk(0, b"new")
        file.close()
        self.assertEqual(self.read(), b"new")

    def test_small_ones_at_once(self) -> None:
        self.start(size=LARGE - 1)
        file = self.server.openFile(b"/f", codec.OPEN_WRITE | codec.OPEN_TRUNC, {})
        self.assertEqual((self.read(), self.threads.waiting), (b"", []))
        file.close()

    def test_client_that_goes_meanwhile(self) -> None:
        for leave in (self.leave_channel, self.leave_session):
            self.start()
            opening = self.overwrite()
            leave()
            self.threads.release()
            self.failureResultOf(opening)
            self.assertEqual(self.ground.registry.transfers(), 0)

    def leave_channel(self) -> None:
        self.server.end()

    def leave_session(self) -> None:
        self.files.close()

    def test_failure(self) -> None:
        self.start()
        opening = self.overwrite()
        self.threads.waiting = [(d, fails_with(errno.EIO), a) for d, _, a in self.threads.waiting]
        self.threads.release()
        self.assertEqual(self.failureResultOf(opening).value.errno, errno.EIO)
        self.assertEqual(self.ground.registry.transfers(), 0)


#: What can be cut by more than is worth a thread.
SIZE = 2 * LARGE


class CuttingTests(FreeingCase):
    """SETSTAT and FSETSTAT of a size: freed in a thread, with all that happens meanwhile counted."""

    def start(self, mode: int = 0, size: int = SIZE) -> None:
        super().start(mode, 0)
        self.put(b"x" * 10, b"/f")
        os.truncate(self.ground.home / "f", size)
        result_of(self.ground.ledgers.rescan(self.ground.user, self.files.home))
        self.server = UserSFTPServer(self.files)
        self.assertSettled()

    def cut(self, size: int = 1, **more: int) -> Deferred:
        cutting = self.server.setAttrs(b"/f", {"size": size} | more)
        self.assertNoResult(cutting)
        return cutting

    def size(self) -> int:
        return (self.ground.home / "f").stat().st_size

    def fail(self) -> None:
        self.threads.waiting = [(d, fails_with(errno.EIO), a) for d, _, a in self.threads.waiting]
        self.threads.release()

    def test_by_path(self) -> None:
        self.start()
        cutting = self.cut(permissions=0o600, atime=1, mtime=2)
        self.assertEqual(self.size(), SIZE)
        self.threads.release()
        self.successResultOf(cutting)
        status = (self.ground.home / "f").stat()
        self.assertEqual((status.st_size, status.st_mode & 0o777, status.st_mtime), (1, 0o600, 2))
        self.assertEqual(self.ground.used(), (1, 1))
        self.assertSettled()

    def test_little_is_cut_at_once(self) -> None:
        self.start()
        self.assertIsNone(self.server.setAttrs(b"/f", {"size": SIZE - LARGE + 1}))
        self.assertIsNone(self.server.setAttrs(b"/f", {"size": 2}))
        self.assertEqual((self.size(), self.threads.waiting), (2, []))
        self.assertSettled()

    def test_failure(self) -> None:
        self.start()
        cutting = self.cut(permissions=0o600)
        self.fail()
        self.assertEqual(self.failureResultOf(cutting).value.errno, errno.EIO)
        self.assertEqual((self.ground.home / "f").stat().st_mode & 0o777, 0o644)
        self.assertSettled()

    def test_others_meanwhile(self) -> None:
        """Another session of the user cuts it as well, writes to it, or puts something into its place."""
        for meanwhile in (
            lambda other: other.change(b"/f", {"size": SIZE - 5}),
            lambda other: self.close(self.written(other)),
            lambda other: other.remove(b"/f"),
            lambda other: other.rename(b"/g", b"/f"),
            lambda _other: os.unlink(self.ground.home / "f"),
        ):
            for fails in (False, True):
                self.start()
                self.put(b"g", b"/g")
                other = self.ground.login()
                cutting = self.cut()
                meanwhile(other)
                if fails:
                    self.fail()
                    self.failureResultOf(cutting)
                else:
                    self.threads.release()
                    self.successResultOf(cutting)
                self.threads.release()  # what it held that has no name any more
                self.assertSettled()

    def written(self, files: UserFilesystem) -> OpenFile:
        file = self.open(b"/f", files)
        file.writeChunk(SIZE, b"more")
        return file

    def test_two_at_once(self) -> None:
        self.start()
        first, second = self.cut(100), UserSFTPServer(self.ground.login(run_in_thread=self.threads.run))
        then = second.setAttrs(b"/f", {"size": 50})
        self.threads.waiting.reverse()
        self.threads.release()
        self.successResultOf(first)
        self.successResultOf(then)
        self.assertEqual(self.size(), 100)
        self.assertSettled()

    def test_client_that_goes_meanwhile(self) -> None:
        self.start()
        cutting = self.cut()
        self.files.close()
        self.threads.release()
        self.successResultOf(cutting)
        self.assertEqual(self.size(), 1)
        self.assertSettled()

    def test_open_file(self) -> None:
        for mode in (0, 1):
            self.start(mode)
            file = self.open(b"/g", exclusive=True)
            file.writeChunk(SIZE, b"x")
            cutting = file.setAttrs({"size": 3, "permissions": 0o600})
            self.assertEqual(file.statNow().st_size, SIZE + 1)
            self.threads.release()
            self.successResultOf(cutting)
            self.assertEqual((file.statNow().st_size, file.statNow().st_mode & 0o777), (3, 0o600))
            file.writeChunk(3, b"abc")
            self.close(file)
            self.assertEqual(self.read("g"), b"\0\0\0abc")
            self.assertSettled()

    def test_open_file_failure(self) -> None:
        self.start()
        file = self.open()
        cutting = file.setAttrs({"size": 3})
        self.fail()
        self.assertEqual(self.failureResultOf(cutting).value.errno, errno.EIO)
        self.close(file)
        self.assertEqual(self.size(), SIZE)
        self.assertSettled()

    def test_open_file_whose_client_goes(self) -> None:
        """The descriptor lives until the thread is done with it."""
        for mode in (0, 1):
            self.start(mode)
            file = self.open(b"/g", exclusive=True)
            file.writeChunk(SIZE, b"x")
            cutting = file.setAttrs({"size": 3})
            file.abort()
            self.threads.release()
            self.successResultOf(cutting)
            self.assertRaises(SFTPError, file.statNow)
            self.assertEqual((self.ground.home / "g").exists(), mode == 0)
            self.assertEqual(self.ground.registry.transfers(), 0)
            self.assertSettled()
