"""Copying the content of one open file into another, as cheaply as the file systems allow.  For use in threads."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator

#: C{ioctl} of linux/fs.h: share the blocks of another file until one of the two is written to.
_FICLONE = 0x40049409

#: Bytes that the kernel is asked to copy at once.
STEP = 16 * 1024 * 1024
_PLAIN_STEP = 1024 * 1024

#: The kernel cannot copy between these two files.
_NOT_IN_KERNEL = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})

Progress = Callable[[int], None]


def copy_whole(source: int, target: int, progress: Progress) -> Iterator[bool]:
    """Make the empty file C{target} like C{source}: by reference if possible, else what is no hole of it.

    Each turn of the iterator copies L{STEP} bytes and gives C{True}; the last one copies the rest and gives nothing.

    @param progress: called after each step with the bytes copied by it; what it raises ends the copying.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        pass  # other file systems, or not on this one: then by copying
    else:
        return
    size, left = os.fstat(source).st_size, STEP
    for part, end in _data(source, size):
        start = part
        while start < end:
            some = min(left, end - start)
            if not copy_range(source, start, some, target, start, progress):
                break
            start += some
            left -= some
            if not left:
                left = STEP
                yield True
    os.ftruncate(target, size)


def copy_range(source: int, offset: int, length: int, target: int, position: int, progress: Progress) -> bool:
    """Copy up to C{length} bytes, fewer where C{source} ends: whether it has not; the rest as L{copy_whole}."""
    while length > 0:
        moved = _copy_step(source, offset, min(length, STEP), target, position)
        if not moved:
            return False
        offset += moved
        position += moved
        length -= moved
        progress(moved)
    return True


def _copy_step(source: int, offset: int, length: int, target: int, position: int) -> int:
    try:
        return os.copy_file_range(source, target, length, offset, position)
    except OSError as error:
        if error.errno not in _NOT_IN_KERNEL:
            raise
    return os.pwrite(target, os.pread(source, min(length, _PLAIN_STEP), offset), position)


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a file that are no holes, as (start, end)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end
            yield end, size  # this file system cannot tell
            return
        yield start, end
