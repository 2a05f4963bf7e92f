"""Clearing away the temporary files of uploads that nobody will finish: their writer was killed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sftpgo.storage.confined import Home
from sftpgo.storage.listing import scan_bytes
from sftpgo.storage.location import SAFE, Location
from sftpgo.storage.rename import rename
from sftpgo.storage.upload import is_temporary, lock, target_name

#: The server's own trouble, in which nothing can be said of the home.
_OWN_TROUBLE = frozenset({errno.EBADF, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


@dataclass
class Swept:
    """What a sweep did.

    @ivar removed: temporaries deleted.
    @ivar kept: temporaries that now stand under the name they were meant for, of C{kept_size} bytes in all.
    @ivar failed: those that could not be dealt with.
    """

    removed: int = 0
    kept: int = 0
    kept_size: int = 0
    failed: int = 0


def _never() -> None:
    """Go on."""


def sweep(home: Home, *, keep: bool, check: Callable[[], None] = _never) -> Swept:
    """Clear a whole home; links are not followed.  For use in a thread; may take minutes.

    @param keep: give what arrived, if anything did, the name it was meant for, where no file has it.
    @param check: called for each directory; what it raises ends the sweep.
    @raise OSError: when the home itself cannot be read, or the server runs out of descriptors or memory.
    """
    swept = Swept()
    pending: list[list[bytes]] = [[]]
    while pending:
        check()
        names = pending.pop()
        try:
            directory = home.open_directory(names)
        except OSError as error:
            if not names or error.errno in _OWN_TROUBLE:
                raise
            continue
        try:
            for name, is_directory in list(_entries(directory)):
                if is_directory:
                    pending.append([*names, name])
                elif is_temporary(name):
                    _clear(directory, name, keep, swept)
        finally:
            os.close(directory)
    return swept


def remove_stale_only(place: Location) -> bool:
    """Empty a directory that holds nothing but temporaries without a writer; else change nothing and say C{False}."""
    directory = place.open_directory()
    try:
        names = []
        for name, is_directory in _entries(directory):
            if is_directory or not is_temporary(name):
                return False
            names.append(name)
        swept = Swept()
        for name in names:
            _clear(directory, name, False, swept)
        return swept.removed == len(names)
    finally:
        os.close(directory)


def _entries(directory: int) -> Iterator[tuple[bytes, bool]]:
    with scan_bytes(directory) as entries:
        for entry in entries:
            try:
                yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)
            except OSError:
                continue  # gone, or not to be read: nothing to clear there


def _clear(directory: int, name: bytes, keep: bool, swept: Swept) -> None:
    try:
        descriptor = os.open(name, os.O_RDONLY | SAFE, dir_fd=directory)
    except FileNotFoundError:
        return
    except OSError:
        swept.failed += 1
        return
    try:
        _clear_open(directory, name, descriptor, keep, swept)
    except OSError:
        swept.failed += 1
    finally:
        os.close(descriptor)


def _clear_open(directory: int, name: bytes, descriptor: int, keep: bool, swept: Swept) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not lock(descriptor):
        return  # nothing of ours, or its writer lives
    try:
        if not os.path.samestat(os.stat(name, dir_fd=directory, follow_symlinks=False), status):
            return
    except FileNotFoundError:
        return
    # An empty one may have been made just now by a writer who has not come to its lock, and then makes another.
    size = os.fstat(descriptor).st_size
    if keep and size and _keep(directory, name):
        swept.kept += 1
        swept.kept_size += size
        return
    os.unlink(name, dir_fd=directory)
    swept.removed += 1


def _keep(directory: int, name: bytes) -> bool:
    with (
        Location(os.dup(directory), name, b"/") as temporary,
        Location(os.dup(directory), target_name(name), b"/") as target,
    ):
        try:
            rename(temporary, target, replace=False)
        except FileExistsError:
            return False
    return True
