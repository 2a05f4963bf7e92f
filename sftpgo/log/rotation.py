"""The log file: whole lines appended, renamed away at a size, reopened on request."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress

from sftpgo.log.backups import Backups
from sftpgo.log.descriptor import LineDescriptor

#: How long to leave a file that could not be rotated, in seconds: a full or read-only directory rarely recovers sooner.
RETRY_SECONDS = 60.0

# O_NONBLOCK means nothing to a regular file; a named pipe that nobody reads must neither hold up the start nor a line.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class RotatingFile:
    """A L{LineSink<sftpgo.log.observer.LineSink>} on a file.

    The file is opened for appending, so a tool that truncates it in place leaves no hole.

    @param path: absolute; a missing directory is made.  Raises OSError or ValueError when it cannot be opened.
    @param max_bytes: the size above which it is rotated; 0 for never.  A line longer than this has a file of its own.
    @param now: unix seconds, for the backups' names.
    @param seconds: a clock that only goes forward, to wait after a rotation that failed.
    @param rotated: called after each rotation.
    @param report: takes the text of a warning.
    """

    def __init__(
        self,
        path: str,
        *,
        max_bytes: int,
        now: Callable[[], float],
        seconds: Callable[[], float],
        rotated: Callable[[], None],
        report: Callable[[str], None],
    ) -> None:
        self._path = path
        self._backups = Backups(path)
        self._max_bytes = max_bytes
        self._now = now
        self._seconds = seconds
        self._rotated = rotated
        self._report = report
        self._retry_at = seconds()
        self._descriptor = -1
        _make_directory(os.path.dirname(path))
        self._use(_open(path))

    def write(self, line: bytes) -> None:
        """Append the line, in a fresh file if this one would grow too large; raises OSError, then nothing is added."""
        if self._rotatable and self._size + len(line) > self._max_bytes:
            self._make_room(len(line))
        self._lines.append(line)
        self._size += len(line)

    def reopen(self) -> None:
        """Go on in the file that has the path now, made if there is none; raises OSError, then the old one stays."""
        _make_directory(os.path.dirname(self._path))
        self._use(_open(self._path))

    def close(self) -> None:
        """Close the file.  Later writes raise OSError."""
        descriptor, self._descriptor = self._descriptor, -1
        # The number may soon be another file's: nothing may be written to it any more.
        self._lines = LineDescriptor(-1)
        self._rotatable = False
        if descriptor >= 0:
            os.close(descriptor)

    def _use(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        old, self._descriptor = self._descriptor, descriptor
        self._lines = LineDescriptor(descriptor)
        self._size = status.st_size
        # A device or a pipe (/dev/stderr, /dev/null) cannot be rotated, and must not be renamed.
        self._rotatable = self._max_bytes > 0 and stat.S_ISREG(status.st_mode)
        self._mode = stat.S_IMODE(status.st_mode)
        if old >= 0:
            os.close(old)

    def _make_room(self, needed: int) -> None:
        # Another program may have truncated the file meanwhile.
        self._size = os.fstat(self._descriptor).st_size
        if not self._size or self._size + needed <= self._max_bytes or self._seconds() < self._retry_at:
            return
        try:
            self._move_away()
        except OSError as error:
            self._retry_at = self._seconds() + RETRY_SECONDS
            self._report(f"the log file {self._path} cannot be rotated: {error.strerror or error}")
        else:
            self._rotated()

    def _move_away(self) -> None:
        # A file that another program put in this place is not ours to rename.
        backup = self._backups.fresh(self._now()) if self._has_its_name() else ""
        if backup:
            os.rename(self._path, backup)
        try:
            descriptor = _open(self._path)
        except OSError:
            if backup:
                with suppress(OSError):
                    os.rename(backup, self._path)
            raise
        if backup:
            with suppress(OSError):
                os.fchmod(descriptor, self._mode)
        self._use(descriptor)

    def _has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False


def _open(path: str) -> int:
    return os.open(path, _FLAGS, 0o644)


def _make_directory(path: str) -> None:
    """Make the directory and its parents, each 0744; an error shows when the file in it is opened."""
    if not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent != path:
            _make_directory(parent)
        with suppress(FileExistsError):
            os.mkdir(path, 0o744)
