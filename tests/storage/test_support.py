"""What the system offers, with and without openat2."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Support, detect, detect_resolver

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
OPENAT2 = 437

CHILD = """
import sys
sys.path[:0] = {path!r}
from tests.storage.test_support import forbid_openat2
forbid_openat2({error})
from sftpgo.storage.confined import Home, detect, detect_resolver
home = Home.open({home!r})
with home.locate(b"/link/../a", follow=True) as place:
    print(detect().openat2, detect_resolver().name, place.path.decode())
"""


class SupportTests(SynchronousTestCase):
    """L{detect}."""

    def test_describe(self):
        self.assertEqual(
            Support(openat2=True, proc=True, landlock=7).describe(),
            "homes are confined by openat2; /proc: yes; Landlock: ABI 7",
        )
        self.assertIn("O_NOFOLLOW walk", Support(openat2=False, proc=False, landlock=0).describe())
        self.assertIn("Landlock: no", Support(openat2=False, proc=False, landlock=0).describe())

    def test_this_system(self):
        support = detect()
        release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
        if support.openat2:
            self.assertGreaterEqual(release, (5, 6))
        self.assertEqual(detect_resolver().name, "openat2" if support.openat2 else "walk")
        self.assertIs(detect_resolver(), detect_resolver())
        self.assertEqual(support.proc, os.path.isdir("/proc/self/fd"))

    def test_forbidden_by_seccomp(self):
        if not sys.platform.startswith("linux"):
            self.skipTest("seccomp is Linux")
        base = self.mktemp()
        os.makedirs(os.path.join(base, "a"))
        os.symlink("/a", os.path.join(base, "link"))
        for error in (errno.ENOSYS, errno.EPERM):
            script = CHILD.format(path=[p for p in sys.path if p], error=error, home=os.path.abspath(base))
            output = subprocess.check_output([sys.executable, "-c", script], text=True)
            self.assertEqual(output.split(), ["False", "walk", "/a"])


def forbid_openat2(error: int) -> None:
    """Have the kernel answer every openat2 of this process with an error, as a container's filter does."""
    load, equal, answer = 0x20, 0x15, 0x06
    program = b"".join(
        struct.pack("HBBI", *instruction)
        for instruction in (
            (load, 0, 0, 0),  # the number of the call
            (equal, 0, 1, OPENAT2),
            (answer, 0, 0, 0x00050000 | error),
            (answer, 0, 0, 0x7FFF0000),
        )
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filters, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
