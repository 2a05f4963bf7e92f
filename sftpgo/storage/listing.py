"""Reading directories of any size piece by piece."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from itertools import islice

from sftpgo.storage.lease import Lease
from sftpgo.storage.location import Location

Entry = tuple[bytes, os.stat_result]

#: Entries per piece when nobody asks for another number: some 100 kB of memory.
CHUNK = 256

#: Names that are put in order; a directory with more is in order up to here, so that memory stays bounded.
SORTED = 100_000

#: Encodings in which every name survives the way to C{str} and back (by surrogateescape).
_EXACT_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1"})


class Sorting:
    """How many names the directories that are open together keep in order: the more there are, the fewer of each.

    So whoever opens thousands of large ones takes the memory of a few.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0

    def begin(self) -> int:
        """A directory is opened; how many of its names may be put in order."""
        with self._lock:
            self._open += 1
            return SORTED // self._open

    def end(self) -> None:
        """One is closed; from any thread."""
        with self._lock:
            self._open -= 1


class DirectoryReader:
    """The entries of a directory, without C{.} and C{..}, by name in the order of their bytes.

    Beyond what L{Sorting} allows for, L{SORTED} entries at most, the others follow as the file system keeps them.

    L{next_chunk} may block and belongs in a thread, one call at a time; L{close} does not block and may come from any
    other thread at any time.

    @ivar unreadable: how many entries were left out because their attributes could not be read, other than by having
        gone meanwhile (a dead network mount): for the caller's log.
    """

    def __init__(self, fd: int, sorting: Sorting | None = None) -> None:
        """Take over C{fd}, a directory opened for reading; C{sorting} is shared with others that are open."""
        self.unreadable = 0
        self._sorting = sorting or Sorting()
        try:
            self._entries = _scan(fd)
        except BaseException:
            os.close(fd)
            raise
        self._names = _in_order(self._entries, self._sorting.begin())
        self._lease = Lease(fd, lambda: self._finish(fd))

    @classmethod
    def open(cls, location: Location, sorting: Sorting | None = None) -> DirectoryReader:
        """Start to read the directory at C{location}, which may be closed right after."""
        return cls(location.open_directory(), sorting)

    def next_chunk(self, limit: int = CHUNK) -> list[Entry]:
        """Up to C{limit} further entries, each a byte-exact name and its lstat; none at the end.

        @raise OSError: when the directory cannot be read; EBADF after L{close}.
        """
        if limit < 1:
            raise ValueError(f"a chunk has at least one entry, not {limit}")
        fd = self._lease.acquire()
        try:
            return self._read(fd, limit)
        finally:
            self._lease.release()

    def close(self) -> None:
        """Stop reading, at the end of the chunk under way.  May be called twice."""
        self._lease.close()

    def _read(self, fd: int, limit: int) -> list[Entry]:
        chunk: list[Entry] = []
        for name in self._names:
            try:
                chunk.append((name, os.stat(name, dir_fd=fd, follow_symlinks=False)))
            except FileNotFoundError:
                continue
            except OSError:
                self.unreadable += 1
                continue
            if len(chunk) == limit:
                break
        return chunk

    def _finish(self, fd: int) -> None:
        self._sorting.end()
        self._entries.close()
        os.close(fd)


def _in_order(entries: os._ScandirIterator[str] | os._ScandirIterator[bytes], most: int) -> Iterator[bytes]:
    names = (os.fsencode(entry.name) for entry in entries)
    yield from sorted(islice(names, most))
    yield from names


def _scan(fd: int) -> os._ScandirIterator[str] | os._ScandirIterator[bytes]:
    """An iterator over the names in C{fd}, which stays open.

    Given a descriptor, scandir makes C{str} names, which some old multibyte encodings cannot turn back; given a path
    of bytes it keeps bytes.
    """
    if sys.getfilesystemencoding().lower() in _EXACT_ENCODINGS:
        return os.scandir(fd)
    return scan_bytes(fd)


def scan_bytes(fd: int) -> os._ScandirIterator[str] | os._ScandirIterator[bytes]:
    """The same with names never decoded, where C{/proc} is there."""
    try:
        return os.scandir(b"/proc/self/fd/%d" % fd)
    except FileNotFoundError:
        return os.scandir(fd)
