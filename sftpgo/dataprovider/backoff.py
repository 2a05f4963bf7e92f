"""How often a database that is away is asked for again."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from sftpgo.errors import StartupError

_FIRST = 0.1
_FACTOR = 2.0
_LONGEST = 5.0


class DatabaseDown(StartupError):
    """The database cannot be reached now; that may pass, so it is worth waiting for."""


class Backoff:
    """Remembers that connecting failed: for a while, twice as long each time, nobody need try again.

    May be used from several threads.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """Take the clock, in seconds from any moment."""
        self._seconds = seconds
        self._lock = Lock()
        self._delay = 0.0
        self._until = 0.0
        self._error: StartupError | None = None

    def check(self) -> None:
        """Raise what the last attempt failed with, if that was just now."""
        with self._lock:
            if self._error is not None and self._seconds() < self._until:
                # Another one of its kind: a traceback belongs to one raising.
                raise type(self._error)(str(self._error))

    def failed(self, error: StartupError) -> None:
        """Connecting failed."""
        with self._lock:
            # Several that set out together and fail together are one failure.
            if self._seconds() >= self._until:
                self._delay = min(_LONGEST, self._delay * _FACTOR or _FIRST)
                self._until = self._seconds() + self._delay
            self._error = error

    def succeeded(self) -> None:
        """Connecting worked: the next failure starts from the shortest delay."""
        with self._lock:
            self._delay = self._until = 0.0
            self._error = None
