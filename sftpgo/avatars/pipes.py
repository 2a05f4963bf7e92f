"""A child's standard output, read in large pieces: Twisted's own reader of processes takes 8 KiB at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

#: Bytes the pipe may hold, and those read at once.
SIZE = 256 * 1024


class Output(FileDescriptor):
    """The reading end of a pipe; the other end is for the child.

    @param received: gets what the child writes.
    @param ended: called once when nobody can write any more.
    @ivar child_end: to be handed to the child, and closed by L{close_child_end} once it has it.
    """

    def __init__(self, reactor: Any, received: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        super().__init__(reactor)
        self.connected = 1
        self._descriptor, self.child_end = os.pipe()
        os.set_blocking(self._descriptor, False)
        with contextlib.suppress(OSError):  # the system may have given out all it gives to one user
            fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, SIZE)
        self._received = received
        self._ended = ended

    def close_child_end(self) -> None:
        """The child has it, or will never be."""
        descriptor, self.child_end = self.child_end, -1
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        """The descriptor for the reactor."""
        return self._descriptor

    def doRead(self) -> Any:
        """Read what there is (L{IReadDescriptor})."""
        try:
            data = os.read(self._descriptor, SIZE)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self._received(data)
        return None

    def writeSomeData(self, data: bytes) -> Any:
        """Nothing is ever written here."""
        return CONNECTION_LOST

    def connectionLost(self, reason: Failure) -> None:
        """Nobody can write any more."""
        super().connectionLost(reason)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._ended()
