"""C{fsync_uploads} and C{upload_digest}: what is on the disk when the client is told that all went well."""

from __future__ import annotations

import errno
import hashlib
import os

from tests.avatars.faults import fails_with, faulty_os
from tests.avatars.ground import UploadCase
from tests.doubles import HeldThreads


class DurableTests(UploadCase):
    """C{fsync_uploads} and C{upload_digest}."""

    def test_order(self) -> None:
        faulty = faulty_os(self)
        self.begin(1, fsync=True)
        file = self.open()
        file.writeChunk(0, b"new")
        faulty.calls.clear()
        self.close(file)
        self.assertEqual([c for c in faulty.calls if c in ("fsync", "rename")], ["fsync", "rename", "fsync"])
        self.assertSettled()

    def test_in_a_thread(self) -> None:
        self.begin(1, fsync=True)
        held = HeldThreads()
        file = self.open(files=self.ground.login(run_in_thread=held.run))
        file.writeChunk(0, b"new")
        closing = file.close()
        for _ in range(2):
            self.assertNoResult(closing)
            file.abort()  # too late: the client has asked for the close
            held.release()
        self.assertIsNone(self.successResultOf(closing))
        self.assertEqual(self.read(), b"new")
        self.assertEqual(len(self.ground.heard), 1)

    def test_directory_that_cannot_be_synced(self) -> None:
        """The file is there, and counted, but nobody is told that all went well."""
        self.begin(1, fsync=True)
        held = HeldThreads()
        file = self.open(files=self.ground.login(run_in_thread=held.run))
        file.writeChunk(0, b"new")
        closing = file.close()
        held.release()
        held.waiting = [(d, fails_with(errno.EIO), a) for d, _, a in held.waiting]
        held.release()
        self.assertEqual(self.failureResultOf(closing).value.errno, errno.EIO)
        self.assertEqual(self.read(), b"new")
        self.assertSettled()
        self.assertEqual((self.ground.heard, self.ground.counted), ([], [("upload", 3, False)]))

    def test_digest(self) -> None:
        for mode in (0, 1):
            self.begin(mode, digest=True)
            for offsets, whole in (([0, 3, 6], True), ([3, 0, 6], False), ([0, 3, 3], False), ([0, 6], False)):
                file = self.open(truncate=True)
                for offset in offsets:
                    file.writeChunk(offset, b"abc")
                self.close(file)
                expected = hashlib.sha256(b"abcabcabc").hexdigest() if whole else ""
                self.assertEqual(file.digest, expected, offsets)
            file = self.open()
            file.writeChunk(9, b"more")
            self.close(file)
            self.assertEqual(file.digest, "")
            lines = [event for event in self.ground.events if event.get("sender") == "Upload"]
            self.assertEqual([bool(line["sha256"]) for line in lines], [True, False, False, False, False])
            self.assertEqual(lines[0]["record"].fields[-1], "sha256")
            self.assertNotIn("sha256", lines[1]["record"].fields)

    def test_status_that_cannot_be_read_at_the_end(self) -> None:
        """Whatever fails in the close, nothing stays open and nothing stays behind."""
        faulty = faulty_os(self)
        for digest in (False, True):
            self.begin(1, digest=digest)
            before = len(os.listdir("/proc/self/fd"))
            file = self.open()
            file.writeChunk(0, b"123")
            faulty.faults = {"fstat": errno.EIO}
            self.assertEqual(self.assertRaises(OSError, file.close).errno, errno.EIO)
            faulty.faults = {}
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
            self.assertSettled()
            self.assertEqual(self.files.account.ledger.held_size, 0)

    def test_short_writes(self) -> None:
        faulty = faulty_os(self)
        self.begin(1, digest=True)
        faulty.short = 3
        self.put(b"0123456789")
        self.assertEqual(self.read(), b"0123456789")
        self.assertSettled()
