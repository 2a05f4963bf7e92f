"""A disk that is really full: a small tmpfs, which root can mount."""

from __future__ import annotations

import os
import shutil
import subprocess
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.upload import UploadSettings
from tests.avatars.ground import Ground

BLOCK = b"b" * 65536


class FullDiskTests(SynchronousTestCase):
    """ENOSPC as the kernel gives it, in each mode, for new files and for overwrites."""

    def scene(self, mode: int) -> Ground:
        if os.geteuid() or not shutil.which("mount"):
            raise SkipTest("mounting a tmpfs needs root")
        ground = Ground(track_quota=1, settings=UploadSettings(mode))
        self.addCleanup(ground.end)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", ground.home], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            raise SkipTest(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", ground.home], check=True)
        return ground

    def fill(self, ground: Ground, path: bytes) -> OSError:
        """Upload until the disk is full, then close; what the close said."""
        file = ground.login().open_for_writing(path, truncate=True)
        refused = None
        for block in range(64):
            try:
                file.writeChunk(block * len(BLOCK), BLOCK)
            except OSError as error:
                refused = error
                break
        assert refused is not None, "the disk was never full"
        self.assertEqual(refused.strerror, "No space left on device")
        return self.assertRaises(OSError, file.close)

    def test_each_mode(self) -> None:
        for mode, new, old in ((0, "part", "part"), (1, "", "old"), (2, "part", "old")):
            ground = self.scene(mode)
            files = ground.login()
            kept = files.open_for_writing(b"/kept")
            kept.writeChunk(0, b"old")
            kept.close()
            for path, left in ((b"/new", new), (b"/kept", old)):
                self.assertIn("No space", str(self.fill(ground, path)))
                self.assertEqual(ground.used(), ground.on_disk())
                found = ground.home / path.decode()[1:]
                content = found.read_bytes() if found.exists() else b""
                expected = {"": b"", "old": b"old", "part": BLOCK}[left]
                self.assertEqual(content[: len(BLOCK)], expected, (mode, path))
                # There is room again, and somebody else can use it at once.
                if found.exists():
                    os.truncate(found, 3)
                    result = ground.login().account.ledger
                    result.count(0, 3 - len(content))
                other = ground.login().open_for_writing(b"/other")
                other.writeChunk(0, BLOCK)
                other.close()
                ground.login().remove(b"/other")
                self.assertEqual(ground.used(), ground.on_disk())
                self.assertFalse([name for name in ground.names_on_disk() if "sftpgo-upload" in name])
