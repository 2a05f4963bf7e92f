"""What the system under us offers for confinement, found by trying."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from sftpgo.storage import landlock
from sftpgo.storage.openat2 import Openat2Resolver
from sftpgo.storage.resolver import Resolver
from sftpgo.storage.walk import WalkResolver


@dataclass(frozen=True)
class Support:
    """What this system can do.

    @ivar openat2: paths can be resolved by the kernel, confined to a directory.
    @ivar proc: C{/proc/self/fd} is there.
    @ivar landlock: version of Landlock's interface, 0 when there is none.
    """

    openat2: bool
    proc: bool
    landlock: int

    def describe(self) -> str:
        """One line for the log at start."""
        way = "openat2" if self.openat2 else "O_NOFOLLOW walk (no openat2 here: slower, as safe)"
        proc = "yes" if self.proc else "no"
        landlock = f"ABI {self.landlock}" if self.landlock else "no"
        return f"homes are confined by {way}; /proc: {proc}; Landlock: {landlock}"


def detect() -> Support:
    """Find out, by trying each."""
    return Support(openat2=Openat2Resolver.works(), proc=_has_proc(), landlock=landlock.abi())


@functools.cache
def detect_resolver() -> Resolver:
    """The best resolver that works here; the system is asked once in a process."""
    return Openat2Resolver() if Openat2Resolver.works() else WalkResolver()


def _has_proc() -> bool:
    try:
        descriptor = os.open(b"/", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.path.samestat(os.stat(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor))
    except OSError:
        return False
    finally:
        os.close(descriptor)
