"""Whole lines into a file descriptor, or nothing of them."""

from __future__ import annotations

import os


class LineDescriptor:
    """Writes lines to a descriptor at once, without a buffer: the page cache is one, and it survives this process.

    @param number: an open descriptor; it stays the caller's.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._torn = False

    def append(self, line: bytes) -> None:
        """Write all of the line; raises OSError, and then nothing of it is left where that can be helped."""
        rest = memoryview(b"\n" + line if self._torn else line)
        whole = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except OSError:
            if len(rest) < whole:
                self._take_back(whole - len(rest))
            raise
        self._torn = False

    def _take_back(self, count: int) -> None:
        """Remove the beginning of a line whose end found no room; in a pipe, end it before the next line instead."""
        try:
            os.ftruncate(self._number, os.fstat(self._number).st_size - count)
            os.lseek(self._number, -count, os.SEEK_CUR)
        except OSError:
            self._torn = True
