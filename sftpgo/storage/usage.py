"""How much a home holds."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Container, Hashable
from dataclasses import dataclass

from sftpgo.storage.confined import Home
from sftpgo.storage.listing import DirectoryReader
from sftpgo.storage.upload import is_temporary

#: The directory is not there any more, or something else is in its place.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

#: The server's own trouble, not the directory's: a sum without it would be wrong for no reason in the home.
_OWN_TROUBLE = frozenset({errno.EBADF, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


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


def scan(
    home: Home, progress: Callable[[int, int], None] | None = None, without: Container[Hashable] = frozenset()
) -> Usage:
    """Count what is in a home, links neither followed nor counted.  For use in a thread; may take minutes.

    The temporary files of uploads under way do not count: they are not the user's files yet.

    @param without: inodes, as (device, number), that are left out: of files that are being written.
    @param progress: called every few hundred entries with the files and bytes counted so far; what it raises ends the
        scan.
    @raise OSError: when the home itself cannot be read, or the server runs out of descriptors or memory.
    """
    files = size = unreadable = 0
    several_names: set[tuple[int, int]] = set()
    pending: list[list[bytes]] = [[]]
    while pending:
        directory = pending.pop()
        try:
            reader = DirectoryReader(home.open_directory(directory))
        except OSError as error:
            if not directory or error.errno in _OWN_TROUBLE:
                raise
            unreadable += error.errno not in _GONE
            continue
        try:
            while chunk := reader.next_chunk():
                for name, status in chunk:
                    if stat.S_ISDIR(status.st_mode):
                        pending.append([*directory, name])
                    elif _counts(name, status, without) and _first_seen(status, several_names):
                        files += 1
                        size += status.st_size
                if progress is not None:
                    progress(files, size)
        finally:
            unreadable += reader.unreadable
            reader.close()
    return Usage(files, size, unreadable)


def _counts(name: bytes, status: os.stat_result, without: Container[Hashable]) -> bool:
    if not stat.S_ISREG(status.st_mode) or is_temporary(name):
        return False
    return (status.st_dev, status.st_ino) not in without


def _first_seen(status: os.stat_result, several_names: set[tuple[int, int]]) -> bool:
    if status.st_nlink == 1:
        return True
    inode = (status.st_dev, status.st_ino)
    if inode in several_names:
        return False
    several_names.add(inode)
    return True
