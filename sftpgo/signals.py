"""Unix signals beyond those that end the process: SIGUSR1 reopens the log."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Signals:
    """Calls C{reopen} on the reactor when SIGUSR1 comes, until L{restore}.

    Outside the main thread, where signals cannot be had, it does nothing.
    """

    def __init__(self, reactor: Any, reopen: Callable[[], None]) -> None:
        self._before: Any = None
        self._installed = False

        def heard(_number: int, _frame: FrameType | None) -> None:
            reactor.callFromThread(reopen)

        try:
            self._before = signal.signal(signal.SIGUSR1, heard)
        except ValueError:
            return
        self._installed = True

    def restore(self) -> None:
        """Put back what handled the signal before."""
        if self._installed:
            self._installed = False
            signal.signal(signal.SIGUSR1, self._before)
