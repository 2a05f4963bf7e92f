"""Unix signals beyond those that end the process: SIGUSR1 reopens the log, SIGHUP loads the certificate again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class Signals:
    """Calls a function on the reactor when a signal comes, until L{restore}.

    Outside the main thread, where signals cannot be had, it does nothing.
    """

    def __init__(self, reactor: Any, called: Callable[[], None], number: int = signal.SIGUSR1) -> None:
        self._number = number
        self._before: Any = None
        self._installed = False

        def heard(_number: int, _frame: FrameType | None) -> None:
            reactor.callFromThread(called)

        try:
            self._before = signal.signal(number, heard)
        except ValueError:
            return
        self._installed = True

    def restore(self) -> None:
        """Put back what handled the signal before."""
        if self._installed:
            self._installed = False
            signal.signal(self._number, self._before)
