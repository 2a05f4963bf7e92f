"""The quota of uploads: at the open, while writing, and in the data provider."""

from __future__ import annotations

import errno

from sftpgo.avatars.transfer import OverQuota
from sftpgo.errors import QuotaExceeded
from sftpgo.ssh import codec
from tests.avatars.faults import faulty_os
from tests.avatars.ground import UploadCase, result_of


class QuotaTests(UploadCase):
    """The quota at the open and while writing."""

    def test_a_write_over_the_limit_says_so(self) -> None:
        self.begin(0, quota_size=10)
        file = self.open()
        file.writeChunk(0, b"12345678")
        error = self.assertRaises(OverQuota, file.writeChunk, 8, b"345")
        self.assertIsInstance(error, QuotaExceeded)
        self.assertEqual(
            (error.code, error.message), (codec.FAILURE, "Quota exceeded: no more than 10 bytes may be stored")
        )
        file.writeChunk(8, b"90")
        self.assertRaises(OverQuota, file.close)
        self.assertEqual(self.read(), b"1234567890")
        self.assertSettled()

    def test_reached_at_the_open(self) -> None:
        for mode in (0, 1, 2):
            self.begin(mode, quota_size=5, quota_files=2)
            self.put(b"12345")
            for flags in ({}, {"truncate": True}, {"append": True}):
                self.assertRaises(QuotaExceeded, self.open, **flags)
            self.assertEqual(self.read(), b"12345")
            self.files.change(b"/f", {"size": 1})
            self.put(b"", b"/g")
            self.assertRaises(QuotaExceeded, self.open, b"/h")
            self.put(b"22")
            self.assertSettled()
            self.assertEqual(self.ground.used(), (2, 2))

    def test_setstat_cannot_pass_it(self) -> None:
        for mode in (0, 1):
            self.begin(mode, quota_size=10)
            self.put(b"12345")
            self.assertRaises(QuotaExceeded, self.files.change, b"/f", {"size": 11})
            file = self.open()
            self.assertRaises(QuotaExceeded, file.setAttrs, {"size": 11})
            file.setAttrs({"size": 10})
            self.close(file)
            self.assertEqual(self.read(), b"12345" + bytes(5))
            self.assertSettled()

    def test_two_hundred_racers(self) -> None:
        """However many open at once: no file and no byte beyond the limit, in any mode."""
        for mode in (0, 1, 2):
            self.begin(mode, quota_files=7, quota_size=1000)
            opened = []
            for number in range(200):
                try:
                    opened.append(self.open(b"/%d" % number, files=self.files if number % 2 else self.ground.login()))
                except QuotaExceeded:
                    continue
            self.assertEqual(len(opened), 7)
            refused = 0
            for block in range(10):
                for file in opened:
                    try:
                        file.writeChunk(block * 100, b"x" * 100)
                    except QuotaExceeded:
                        refused += 1
            self.assertEqual(refused, 60)
            for file in opened:
                self.assertRaises(QuotaExceeded, file.close)
            self.assertLessEqual(self.ground.on_disk()[1], 1000)
            self.assertSettled()
            self.assertEqual(self.ground.used(), (0, 0) if mode == 1 else self.ground.on_disk())

    def test_credit_cannot_be_spent_twice(self) -> None:
        """An overwrite needs room for the difference; when the old file is moved away meanwhile it needs more."""
        for mode in (1, 2):
            self.begin(mode, quota_size=100)
            self.put(b"o" * 90)
            file = self.open(truncate=True)
            file.writeChunk(0, b"n" * 100)
            self.files.rename(b"/f", b"/g")
            self.assertRaises(OverQuota, file.close)
            self.assertEqual(self.ground.names_on_disk(), ["g"])
            self.assertSettled()

    def test_no_credit_for_a_file_that_stays(self) -> None:
        """Overwriting one of two names frees nothing: the write says so, not the close."""
        self.begin(1, quota_size=100)
        self.put(b"o" * 60)
        self.files.hard_link(b"/f", b"/g")
        file = self.open(truncate=True)
        file.writeChunk(0, b"n" * 40)
        self.assertRaises(OverQuota, file.writeChunk, 40, b"n")
        file.abort()
        self.assertSettled()

    def test_copy_data(self) -> None:
        self.begin(0, quota_size=100)
        self.put(b"x" * 60)
        source, target = self.files.open_for_reading(b"/f"), self.open(b"/g")
        self.assertRaises(QuotaExceeded, source.copy_to, 0, 0, target, 0)
        result_of(source.copy_to(0, 40, target, 0))
        self.assertRaises(QuotaExceeded, target.close)
        source.close()
        self.assertEqual(self.ground.used(), (2, 100))
        self.assertSettled()

    def test_a_truncate_that_fails_is_no_usage(self) -> None:
        faulty = faulty_os(self)
        self.begin(0)
        self.put(b"12345")
        faulty.faults = {"ftruncate": errno.EIO}
        for size in (2, 50):
            self.assertRaises(OSError, self.files.change, b"/f", {"size": size})
            self.assertEqual(self.ground.used(), (1, 5))

    def test_shown_as_the_disk(self) -> None:
        self.begin(1, quota_size=1 << 20, quota_files=10)
        self.put(b"x" * 4096)
        file = self.open(b"/g")
        file.writeChunk(0, b"x" * 4096)
        space = self.files.space(b"/")
        self.assertEqual((space.blocks * space.frsize, space.files, space.ffree), (1 << 20, 10, 8))
        self.assertEqual(space.bavail * space.frsize, (1 << 20) - 8192)
        file.abort()


class TrackingTests(UploadCase):
    """C{track_quota}, and once for each transfer."""

    def test_who_is_tracked(self) -> None:
        for track, limited, tracked in (
            (0, True, 0),
            (0, False, 0),
            (1, False, 1),
            (1, True, 1),
            (2, False, 0),
            (2, True, 1),
        ):
            self.begin(0, track_quota=track, **({"quota_files": 5} if limited else {}))
            self.put(b"12345")
            self.assertEqual(self.ground.used(), (tracked, 5 * tracked), (track, limited))

    def test_no_tracking_no_limit(self) -> None:
        self.begin(0, track_quota=0, quota_size=3, quota_files=1)
        self.put(b"12345")
        self.put(b"12345", b"/g")

    def test_read_only_provider(self) -> None:
        self.begin(0, writable=False, quota_size=8)
        self.put(b"12345")
        self.assertEqual(self.ground.provider.updates, [])

    def test_told_once(self) -> None:
        for mode in (0, 1, 2):
            self.begin(mode, quota_size=10**6)
            file = self.open()
            for block in range(50):
                file.writeChunk(block * 100, b"x" * 100)
            self.assertEqual(self.ground.provider.updates, [])
            self.close(file)
            self.assertEqual(self.ground.provider.updates, [(1, 5000, False)])
            self.put(b"12")
            self.files.rename(b"/f", b"/g")
            self.files.remove(b"/g")
            self.assertEqual(self.ground.provider.updates[1:], [(0, -4998, False), (-1, -2, False)])

    def test_the_usual_verbs(self) -> None:
        self.begin(0)
        self.put(b"12345", b"/a")
        self.put(b"123", b"/b")
        self.files.rename(b"/a", b"/b")
        self.assertEqual(self.ground.used(), (1, 5))
        self.files.symlink(b"b", b"/link")
        self.files.hard_link(b"/b", b"/c")
        self.assertEqual(self.ground.used(), (1, 5))
        self.files.rename(b"/b", b"/c")  # two names of one file: nothing happens
        self.files.remove(b"/link")
        self.files.remove(b"/b")
        self.assertEqual(self.ground.used(), (1, 5))
        self.files.change(b"/c", {"size": 1})
        self.assertEqual(self.ground.used(), (1, 1))
        self.files.remove(b"/c")
        self.assertEqual(self.ground.used(), (0, 0))
        self.assertEqual([event.action for event in self.ground.heard],
                         ["upload", "upload", "rename", "rename", "delete", "delete", "delete"])  # fmt: skip
