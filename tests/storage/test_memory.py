"""What is known of file systems that keep all in memory."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.memory import is_in_memory

MOUNTS = b"""\
22 27 0:21 / /proc rw,relatime - proc proc rw
25 24 0:23 / /dev/shm rw,relatime shared:4 master:1 - tmpfs tmpfs rw,size=24684096k
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /srv/a\\040tmpfs\\040-\\040tmpfs rw - nfs4 host:/tmpfs rw
31 27 0:39 / /srv/o rw,relatime - overlay overlay rw,lowerdir=/l - tmpfs
32 27 0:41 / /srv/one rw - tmpfs tmpfs rw
33 27 0:41 / /srv/two rw - fuse.x x rw
"""


class MemoryTests(SynchronousTestCase):
    def test_by_the_mounts(self) -> None:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(MOUNTS)
        known = {(0, 23): True, (254, 0): False, (0, 40): False, (0, 39): False, (0, 41): False, (0, 99): False}
        for (major, minor), expected in known.items():
            self.assertEqual(is_in_memory(os.makedev(major, minor), path), expected, (major, minor))
        self.assertFalse(is_in_memory(os.makedev(0, 23), path + "-is-not-there"))
        with open(path, "wb") as file:
            file.write(b"odd\n")
        self.assertFalse(is_in_memory(os.makedev(0, 23), path))

    def test_of_this_system(self) -> None:
        """A file on what mount(8) calls tmpfs."""
        if not os.path.isdir("/dev/shm"):
            self.skipTest("there is no /dev/shm")
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            if not any(line.split()[4] == "/dev/shm" and " - tmpfs " in line for line in file):
                self.skipTest("/dev/shm is no tmpfs")
        self.assertTrue(is_in_memory(os.stat("/dev/shm").st_dev))
