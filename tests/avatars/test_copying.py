"""Copies within the server: one step at a time in a thread, so that others have threads too."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars import transfer
from sftpgo.storage import copying
from tests.avatars.ground import UploadCase
from tests.doubles import HeldThreads, make_filesystem

_CONTENT = b"0123456789"


class CopyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(transfer, "STEP", 4)
        self.threads = HeldThreads()
        self.files = make_filesystem(self, run_in_thread=self.threads.run)
        self.home = self.files.user.home_dir
        with open(f"{self.home}/f", "wb") as file:
            file.write(_CONTENT)
        self.source: Any = self.files.open_for_reading(b"/f")
        self.target: Any = self.files.open_for_writing(b"/g", truncate=True)

    def copied(self) -> bytes:
        with open(f"{self.home}/g", "rb") as file:
            return file.read()

    def begin(self, offset: int = 0) -> Deferred[None]:
        copying: Deferred[None] = self.source.copy_to(offset, 0, self.target, 0)
        return copying

    def test_in_steps(self) -> None:
        copying = self.begin(1)
        for done in (b"1234", b"12345678", b"123456789"):
            self.assertNoResult(copying)
            self.assertEqual(len(self.threads.waiting), 1)
            self.threads.release()
            self.assertEqual(self.copied(), done)
        self.successResultOf(copying)
        self.source.close()
        self.target.close()
        self.assertEqual(self.threads.waiting, [])

    def test_nothing(self) -> None:
        self.successResultOf(self.begin(10))
        self.source.close()
        self.target.close()
        self.assertEqual((self.copied(), self.threads.waiting), (b"", []))

    def test_source_that_is_cut_meanwhile(self) -> None:
        copying = self.begin()
        self.threads.release()
        with open(f"{self.home}/f", "wb"):
            pass
        self.threads.release()
        self.successResultOf(copying)
        self.assertEqual((self.copied(), self.threads.waiting), (_CONTENT[:4], []))

    def test_given_up(self) -> None:
        """Who went away has nothing more copied than the step under way, and no file stays open."""
        copying = self.begin()
        self.threads.release()
        self.target.abort()
        self.source.abort()
        self.threads.release()
        self.failureResultOf(copying, ConnectionAbortedError)
        self.assertEqual((self.copied(), self.threads.waiting), (_CONTENT[:8], []))
        self.assertEqual((self.source.transfer.waiting, self.target.transfer.waiting), (0, 0))


class ContinuationTests(UploadCase):
    """What a resumed upload beside its target begins with is copied in the same way."""

    def test_in_steps(self) -> None:
        self.patch(copying, "STEP", 4)
        self.begin(1)
        self.put(_CONTENT)
        with open(self.home / "f", "rb") as file, open(self.home / "probe", "wb") as probe:
            by_reference = not list(copying.copy_whole(file.fileno(), probe.fileno(), lambda _moved: None))
        if by_reference:
            self.skipTest("the file system copies by reference")
        held = HeldThreads()
        opening: Any = self.ground.login(run_in_thread=held.run).open_for_writing(b"/f")
        for _ in range(3):
            self.assertNoResult(opening)
            self.assertEqual(len(held.waiting), 1)
            held.release()
        upload = self.successResultOf(opening)
        upload.writeChunk(10, b"!")
        self.close(upload)
        self.assertEqual(self.read(), _CONTENT + b"!")
