"""Which file systems keep all they hold in memory: reading from them never waits for a disk or a network."""

from __future__ import annotations

import os
from typing import Final

_MOUNTS: Final = "/proc/self/mountinfo"
_IN_MEMORY: Final = frozenset({b"tmpfs", b"ramfs", b"devtmpfs", b"hugetlbfs"})


def is_in_memory(device: int, mounts: str = _MOUNTS) -> bool:
    """Whether the file system of this device (C{st_dev}) does; False where that is not known.

    The kernel says "not supported" to C{RWF_NOWAIT} on these, but also on network file systems, FUSE and overlays,
    where a read may wait for long.

    @param mounts: a list of mounts as C{proc_pid_mountinfo(5)} has it.
    """
    wanted = f"{os.major(device)}:{os.minor(device)}".encode("ascii")
    try:
        with open(mounts, "rb") as file:
            found = [_kind(line) for line in file if line.split(maxsplit=3)[2] == wanted]
    except (OSError, IndexError):
        return False
    return bool(found) and _IN_MEMORY.issuperset(found)


def _kind(line: bytes) -> bytes:
    """The type of a mount's file system, behind the optional fields and the hyphen."""
    return line.partition(b" - ")[2].split(maxsplit=1)[0]
