"""Freeing what a large file takes, which the kernel does while whoever drops the last reference waits for it.

That is some 100 ms a GiB of page cache, and more on a slow disk: too long for the reactor.  So a large file is held
open while its last name goes, and let go of in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

LARGE: Final = 8 * 1024 * 1024
"""Bytes that a file has to have for it to be worth a thread: about a millisecond's worth."""

_HOLD: Final = getattr(os, "O_PATH", 0)
"""A descriptor that only keeps the file; 0 where the system has none, and then it is freed at once."""

LetGo = Callable[[int], object]
"""Closes a descriptor, which may take long; called on the reactor, and so in a thread of its own choice."""


def takes_long(status: os.stat_result, left: int = 0) -> bool:
    """Whether it takes long to free what is there beyond C{left} bytes, if it is a file."""
    return stat.S_ISREG(status.st_mode) and status.st_size - left >= LARGE


def close(descriptor: int, status: os.stat_result | None, let_go: LetGo) -> None:
    """Close it, by C{let_go} where that frees a large file.

    @param status: what it is of, if that is known.
    """
    frees_much = status is not None and not status.st_nlink and takes_long(status)
    (let_go if frees_much else os.close)(descriptor)


@contextmanager
def freed_later(dir_fd: int, name: bytes, status: os.stat_result | None, let_go: LetGo) -> Iterator[None]:
    """Inside, C{name} may be removed or replaced at no cost that depends on its size.

    @param status: of what is there; None for nothing.
    """
    held = -1
    if status is not None and _HOLD and status.st_nlink == 1 and takes_long(status):
        held = _held(dir_fd, name)
    try:
        yield
    finally:
        if held >= 0:
            let_go(held)


def _held(dir_fd: int, name: bytes) -> int:
    try:
        return os.open(name, _HOLD | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
    except OSError:
        return -1  # gone already, or no descriptor is left: then it takes the time it takes
