"""Ctrl-C: the first lets running transfers end, the second ends them, the third ends the process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.signals import Signals

#: Seconds that transfers get when a service manager or a closed terminal ends the server: nobody will press again.
_PATIENCE = 30.0


class Stopping:
    """Stops the reactor when a signal says so.

    @param say: told what is waited for.
    """

    def __init__(self, reactor: Any, registry: ConnectionRegistry, say: Callable[[str], None]) -> None:
        self._reactor = reactor
        self._registry = registry
        self._say = say
        self._asked = False
        self._limited = False
        self._signals: tuple[Signals, ...] = ()

    def start(self) -> None:
        """Take the signals; to be called when the reactor runs, for it takes them too."""
        self._signals = (
            Signals(self._reactor, self.interrupted, signal.SIGINT),
            Signals(self._reactor, self.terminated, signal.SIGTERM),
        )
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup(1) means it
            self._signals += (Signals(self._reactor, self.terminated, signal.SIGHUP),)

    def interrupted(self) -> None:
        """Somebody has pressed Ctrl-C."""
        if self._asked:
            self._end()
            return
        running = self._registry.transfers()
        if running:
            what, them = ("1 transfer", "it") if running == 1 else (f"{running} transfers", "them")
            self._say(f"Stopping: nobody new gets in, {what} may end. Ctrl-C again ends {them} at once.")
        self._stop()

    def terminated(self) -> None:
        """Something wants the server to end, and will not wait for ever."""
        if not self._asked:
            self._stop()
        if not self._limited:
            self._limited = True
            self._reactor.callLater(_PATIENCE, self._end)

    def _stop(self) -> None:
        self._asked = True
        self._reactor.stop()

    def _end(self) -> None:
        """Close what is open; what has arrived of an upload stays."""
        for connection_id in {connection.connection_id for connection, _ in self._registry.running()}:
            self._registry.close(connection_id)
        for each in self._signals:
            each.restore()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
