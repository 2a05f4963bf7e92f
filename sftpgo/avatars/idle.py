"""Closing connections on which nothing happens, whether a channel runs on them or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall

from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.log import Log

#: Seconds between two looks, at most; never more than a quarter of the limit.
_LOOK = 60.0


class SteadyClock:
    """Seconds since the epoch as they were at start, plus what has really passed since.

    A clock that is set does not make anybody look idle or busy.

    @param wall: seconds since the epoch.
    @param monotonic: seconds of a clock that cannot be set.
    """

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> float:
        """The present moment."""
        return self._offset + self._monotonic()


class IdleWatch:
    """Looks from time to time and closes who has been idle for too long.

    @param minutes: how long is too long; 0 for never.
    @param scheduler: an C{IReactorTime}.
    @param clock: the seconds the registry's times are in.
    """

    def __init__(
        self, registry: ConnectionRegistry, minutes: int, scheduler: Any, clock: Callable[[], float], log: Log
    ) -> None:
        self._registry = registry
        self._limit = minutes * 60
        self._clock = clock
        self._log = log
        self._loop = LoopingCall(self.look)
        self._loop.clock = scheduler

    def start(self) -> None:
        """Begin to look."""
        if self._limit > 0:
            looking = self._loop.start(min(_LOOK, self._limit / 4), now=False)
            looking.addErrback(lambda failure: self._log.failure("idle connections are not looked for", failure))

    def allow(self, minutes: int) -> None:
        """Have another limit from now on."""
        self.stop()
        self._limit = minutes * 60
        self.start()

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def look(self) -> None:
        """Close those that are idle now."""
        now = int(self._clock() * 1000)
        for connection in self._registry.idle_since(self._limit * 1000, now):
            if any(transfer.waiting for transfer in connection.transfers):
                continue  # it is the server that lets the client wait
            self._log.info(
                f'close idle connection, user "{connection.username}", idle for '
                f"{(now - connection.latest_activity()) // 1000} s",
                connection_id=connection.connection_id,
            )
            connection.close()
