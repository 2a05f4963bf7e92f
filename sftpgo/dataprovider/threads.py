"""Calls into blocking libraries, in threads of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool

_T = TypeVar("_T")


class Lane:
    """A few threads with one queue: what is queued here waits for nothing that is queued elsewhere.

    With one thread the calls run one after another, in the order they were made.
    """

    def __init__(self, reactor: IReactorFromThreads, threads: int, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, name)
        self._running = 0
        self._idle: list[Deferred[None]] = []

    def start(self) -> None:
        """Be ready for calls; a thread is started when it is first needed."""
        self._pool.start()

    def call(self, function: Callable[..., _T], *arguments: Any, **named: Any) -> Deferred[_T]:
        """Run it in a thread.

        The result is delivered in the reactor.  Who cancels the Deferred no longer waits; the call runs to its end.
        """
        result: Deferred[_T] = Deferred()
        self._running += 1

        def finished(success: bool, outcome: Any) -> None:
            self._reactor.callFromThread(self._finished, result, success, outcome)

        self._pool.callInThreadWithCallback(finished, function, *arguments, **named)
        return result

    async def idle(self) -> None:
        """Wait until no call is running or queued."""
        while self._running:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    async def stop(self) -> None:
        """Wait for every call to end, then end the threads.  May be called twice."""
        await self.idle()
        if not self._pool.joined:
            # They have nothing left to do: joining them takes no time.
            self._pool.stop()

    def _finished(self, result: Deferred[_T], success: bool, outcome: Any) -> None:
        self._running -= 1
        if success:
            result.callback(outcome)
        else:
            result.errback(outcome)
        if not self._running:
            waiting, self._idle = self._idle, []
            for idle in waiting:
                idle.callback(None)
