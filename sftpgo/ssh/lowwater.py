"""How much a socket gathers before the reactor hears of it (SO_RCVLOWAT, socket(7)).

In the middle of a long message nothing can be done with the next few bytes, and to be woken for them costs as much as
to be woken for all.  A client may say something else in between, though, in a few bytes: so what has come is looked at
all the same when nothing was heard for a while.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sftpgo.ssh.timers import cancel

FAST: Final = 64 * 1024
"""Bytes that are worth gathering; and that have come at once from a client that will soon have sent the rest."""

MOST: Final = 256 * 1024
"""Bytes that are gathered at most."""

PATIENCE: Final = 0.01
"""Seconds without a byte after which fewer are taken."""


def _is_supported() -> bool:
    """Whether a lower mark wakes who waits for a higher one, and the end of the stream anybody: Linux since 4.18."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release) if sys.platform == "linux" else None
    return found is not None and (int(found[1]), int(found[2])) >= (4, 18)


SUPPORTED: Final = _is_supported()


class LowWater:
    """The mark of one socket.

    @ivar size: bytes that wake the reactor; 1 where nothing is gathered.
    """

    def __init__(self, sock: socket.socket, clock: IReactorTime) -> None:
        self.size = 1
        self._socket = sock
        self._clock = clock
        self._heard = False
        self._timer: IDelayedCall | None = None

    def expect(self, missing: int) -> None:
        """Wake the reactor when so many bytes have come, as far as that is worth it and no more than L{MOST}."""
        self._heard = True
        self._set(min(missing, MOST) if missing >= FAST else 1)
        if self.size > 1 and self._timer is None:
            self._watch()

    def close(self) -> None:
        """The socket is gone."""
        cancel(self._timer)
        self._timer = None

    def _set(self, size: int) -> None:
        if size != self.size:
            self.size = size
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def _watch(self) -> None:
        self._heard = False
        self._timer = self._clock.callLater(PATIENCE, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._heard:
            self._set(1)
        if self.size > 1:
            self._watch()
