"""A descriptor that is closed only when nobody uses it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

from sftpgo.storage.names import failure


class Lease:
    """Guards a descriptor against being closed under the feet of a thread.

    The number of a closed descriptor is given out again at once, perhaps to somebody else's home: a thread still at
    work with the old number would then act there.
    """

    __slots__ = ("_closed", "_fd", "_finish", "_lock", "_users")

    def __init__(self, fd: int, finish: Callable[[], None]) -> None:
        """Guard C{fd}; C{finish} closes it, and is called exactly once."""
        self._fd = fd
        self._finish = finish
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def acquire(self) -> int:
        """The descriptor, good until L{release}.

        @raise OSError: EBADF after L{close}.
        """
        with self._lock:
            if self._closed:
                raise failure(errno.EBADF)
            self._users += 1
            return self._fd

    def release(self) -> None:
        """One user is done; the last one after L{close} closes."""
        with self._lock:
            self._users -= 1
            last = self._closed and not self._users
        if last:
            self._finish()

    def close(self) -> None:
        """Close now, or when the last user is done.  May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle = not self._users
        if idle:
            self._finish()
