"""How much a home holds."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from sftpgo.storage.confined import Home
from sftpgo.storage.listing import DirectoryReader


@dataclass(frozen=True)
class Usage:
    """What a scan found.

    @ivar files: regular files; one with several names counts once.
    @ivar size: the sum of their lengths in bytes.
    @ivar unreadable: directories and entries that could not be read and are missing from the sums.
    """

    files: int
    size: int
    unreadable: int = 0


def scan(home: Home) -> Usage:
    """Count what is in a home, links neither followed nor counted.  For use in a thread; may take minutes."""
    files = size = unreadable = 0
    several_names: set[tuple[int, int]] = set()
    pending: list[tuple[bytes, ...]] = [()]
    while pending:
        directory = pending.pop()
        try:
            reader = DirectoryReader(home.open_directory(list(directory)))
        except FileNotFoundError:
            continue
        except OSError:
            if not directory:
                raise
            unreadable += 1
            continue
        try:
            while chunk := reader.next_chunk():
                for name, status in chunk:
                    if stat.S_ISDIR(status.st_mode):
                        pending.append((*directory, name))
                    elif stat.S_ISREG(status.st_mode) and _first_seen(status, several_names):
                        files += 1
                        size += status.st_size
        finally:
            unreadable += reader.unreadable
            reader.close()
    return Usage(files, size, unreadable)


def _first_seen(status: os.stat_result, several_names: set[tuple[int, int]]) -> bool:
    if status.st_nlink == 1:
        return True
    inode = (status.st_dev, status.st_ino)
    if inode in several_names:
        return False
    several_names.add(inode)
    return True
