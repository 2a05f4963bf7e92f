"""Reads: at once where nothing can make them wait, in a thread everywhere else."""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars import transfer
from tests.doubles import HeldThreads, make_filesystem

_CONTENT = b"0123456789"


class NoPromiseTests(SynchronousTestCase):
    """The kernel does not say whether a read would wait: so it is with NFS, FUSE, overlays, and with tmpfs."""

    def setUp(self) -> None:
        self.threads = HeldThreads()
        self.files = make_filesystem(self, run_in_thread=self.threads.run)
        with open(f"{self.files.user.home_dir}/f", "wb") as file:
            file.write(_CONTENT)
        self.asked: list[int] = []
        self.flags: list[int] = []
        real = os.preadv

        def preadv(descriptor: int, buffers: Any, offset: int, flags: int = 0) -> int:
            self.flags.append(flags)
            if flags:
                raise OSError(errno.EOPNOTSUPP, "Operation not supported")
            return real(descriptor, buffers, offset)

        self.patch(os, "preadv", preadv)

    def open(self, in_memory: bool) -> Any:
        def is_in_memory(device: int) -> bool:
            self.asked.append(device)
            return in_memory

        self.patch(transfer, "is_in_memory", is_in_memory)
        return self.files.open_for_reading(b"/f")

    def test_in_memory(self) -> None:
        """Asked about once for all files of the session."""
        file, buffer = self.open(True), bytearray(4)
        self.assertEqual((file.readInto(memoryview(buffer), 2), bytes(buffer)), (4, b"2345"))
        self.assertEqual(file.readChunk(8, 100), b"89")
        file.close()
        again = self.open(True)
        self.assertEqual(again.readChunk(0, 1), b"0")
        again.close()
        self.assertEqual(self.asked, [os.stat(self.files.user.home_dir).st_dev])
        self.assertEqual([bool(flags) for flags in self.flags], [True, False, False, False])

    def test_elsewhere(self) -> None:
        file = self.open(False)
        self.assertIsNone(file.readInto(memoryview(bytearray(4)), 0))
        reading = file.readChunk(2, 4)
        self.assertNoResult(reading)
        self.threads.release()
        self.assertEqual(self.successResultOf(reading), b"2345")
        file.close()
        self.assertEqual(len(self.asked), 1)
        self.assertNotIn(0, self.flags)

    def test_an_upload_that_is_read_too(self) -> None:
        file = self.open(False)
        file.close()
        both = self.files.open_for_writing(b"/f", read=True)
        self.assertIsNone(both.readInto(memoryview(bytearray(4)), 0))
        both.close()
        self.assertEqual(len(self.asked), 1)
