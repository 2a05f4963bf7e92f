"""What large files take is freed in a thread: the reactor waits for no removal, replacement or truncation of one."""

from __future__ import annotations

import errno
import os

from twisted.internet.defer import Deferred

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh import codec
from sftpgo.storage.freeing import LARGE
from tests.avatars.faults import fails_with
from tests.avatars.ground import UploadCase
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
