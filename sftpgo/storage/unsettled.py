"""A file that names the users whose usage or uploads are not settled: what a killed server leaves to be looked after.

Lines are only added: C{+"name"} when something has begun for a user, C{-"name"} when all of it is done.  After a kill
the names with a C{+} last are those to look at.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os

#: The file is written anew when it is longer than this, in bytes.
_LONG = 1024 * 1024


class Unsettled:
    """The file, open and locked by one server.

    Adding a name survives a kill at once; it is not brought to the disk, as the uploads it stands for are not either.
    What could not be written down is, with the next that can be: a disk that was full is not full for ever.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1
        self._length = 0
        self._names: set[str] = set()
        self._behind = False

    def open(self) -> frozenset[str]:
        """Open or make the file; returns the names it holds.

        @raise OSError: when it cannot be used; EWOULDBLOCK when another server uses it.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = _read(descriptor)
            self._names = _parse(content)
            if content and not content.endswith(b"\n"):
                os.write(descriptor, b"\n")  # the last line was cut off by a kill, the next one must not join it
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._length = os.fstat(descriptor).st_size
        return frozenset(self._names)

    def add(self, name: str) -> None:
        """Something has begun for this user.

        @raise OSError: when it cannot be written down.
        """
        if name not in self._names or self._behind:
            self._names.add(name)
            self._append(b"+", name)

    def remove(self, name: str) -> None:
        """All is done for this user.

        @raise OSError: when it cannot be written down.
        """
        if name not in self._names and not self._behind:
            return
        self._names.discard(name)
        if not self._names and self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._length = 0
            self._behind = False
        else:
            self._append(b"-", name)

    def close(self) -> None:
        """Let go of the file, which stays.  May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _append(self, sign: bytes, name: str) -> None:
        if self._descriptor < 0:
            return
        line = sign + json.dumps(name).encode("ascii") + b"\n"
        try:
            if self._behind or self._length + len(line) > _LONG:
                self._rewrite()
                self._behind = False
            else:
                _write(self._descriptor, line)
                self._length += len(line)
        except OSError:
            self._behind = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._length)  # no half line
            raise

    def _rewrite(self) -> None:
        """A new file with the present names, put in the place of the old one; both are locked by us."""
        temporary = self.path + ".new"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = b"".join(b"+" + json.dumps(name).encode("ascii") + b"\n" for name in sorted(self._names))
            _write(descriptor, content)
            os.rename(temporary, self.path)
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._length = len(content)


def _write(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(descriptor: int) -> bytes:
    with os.fdopen(os.dup(descriptor), "rb") as file:
        file.seek(0)
        return file.read()


def _parse(content: bytes) -> set[str]:
    names: set[str] = set()
    for line in content.splitlines():
        try:
            name = json.loads(line[1:])
        except ValueError:
            continue  # the last line of a server that was killed while it wrote: nothing had begun yet
        if not isinstance(name, str):
            continue
        if line[:1] == b"+":
            names.add(name)
        elif line[:1] == b"-":
            names.discard(name)
    return names
