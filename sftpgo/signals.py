"""Unix signals as calls on the reactor: SIGUSR1 reopens the log, SIGHUP reloads, a second SIGTERM ends at once."""

from __future__ import annotations

import contextlib
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


class Handlers:
    """What is called on several signals, until L{restore}."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._taken: list[Signals] = []

    def on(self, number: int, called: Callable[[], None]) -> None:
        """Call this when that signal comes, in place of what was called before."""
        self._taken.append(Signals(self._reactor, called, number))

    def restore(self) -> None:
        """Put back what handled the signals before."""
        while self._taken:
            self._taken.pop().restore()


def let_kill(number: int) -> None:
    """Let this signal end the process, as if nobody had asked for it."""
    with contextlib.suppress(ValueError):
        signal.signal(number, signal.SIG_DFL)
