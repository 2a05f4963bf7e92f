"""The queue of hooks: bounded, a few at a time, and one after the other for each user."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from sftpgo.log import Log

Job: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


class HookQueue:
    """Runs jobs: those of one key strictly in their order, those of different keys side by side.

    A job starts in a later turn of the reactor than the one that submitted it, so whoever submits is not held up.
    A key that has had its turn goes behind the keys that wait.

    @param limit: jobs that may wait; one more is dropped.
    @param concurrency: jobs that run at the same time.
    @param dropped: called once for each job that is dropped or interrupted, and for each that raises.
    """

    def __init__(
        self, clock: IReactorTime, log: Log, dropped: Callable[[], None], *, limit: int, concurrency: int
    ) -> None:
        self._clock = clock
        self._log = log
        self._dropped = dropped
        self._limit = limit
        self._concurrency = concurrency
        self._pending: dict[str, deque[Job]] = {}
        # The keys of _pending that have nothing running, in the order of their turns.
        self._ready: deque[str] = deque()
        self._running: dict[str, Deferred[None]] = {}
        self._waiting = 0
        self._lost = 0
        self._stopping = False
        self._pump_call: IDelayedCall | None = None
        self._idle: list[Deferred[None]] = []

    def submit(self, key: str, job: Job) -> None:
        """Let C{job} run when its turn comes, or drop it; returns at once and never raises."""
        if self._stopping or self._waiting >= self._limit:
            self._lose()
            return
        queue = self._pending.get(key)
        if queue is None:
            queue = self._pending[key] = deque()
            if key not in self._running:
                self._ready.append(key)
        queue.append(job)
        self._waiting += 1
        self._schedule()

    async def stop(self, grace: float) -> None:
        """Take nothing more; let what waits and runs end for C{grace} seconds, then drop and interrupt it.

        Returns when nothing runs any more.
        """
        self._stopping = True
        if self._busy() and grace > 0:
            await self._until_idle(grace)
        if self._busy():
            self._drop_all()
        if self._busy():
            await self._until_idle(None)
        if self._pump_call is not None:
            self._pump_call.cancel()
            self._pump_call = None

    def _busy(self) -> bool:
        return bool(self._waiting or self._running)

    def _schedule(self) -> None:
        if self._pump_call is None and self._ready and len(self._running) < self._concurrency:
            self._pump_call = self._clock.callLater(0, self._pump)

    def _pump(self) -> None:
        self._pump_call = None
        if not self._ready:  # all were dropped meanwhile
            return
        key = self._ready.popleft()
        queue = self._pending[key]
        job = queue.popleft()
        if not queue:
            del self._pending[key]
        self._waiting -= 1
        running = self._running[key] = Deferred.fromCoroutine(self._run(job))
        running.addCallback(self._ended, key)
        # One a turn: to start a process takes milliseconds, in which nobody else is served.
        self._schedule()

    async def _run(self, job: Job) -> None:
        try:
            await job()
        except CancelledError:
            self._dropped()
        except Exception as error:
            self._log.failure("a hook failed in an unexpected way", error)
            self._dropped()

    def _ended(self, _result: None, key: str) -> None:
        del self._running[key]
        if key in self._pending:
            self._ready.append(key)
        if self._lost and self._waiting <= self._limit // 2:
            # Only now, so that a queue that stays full does not fill the log too.
            self._log.warn(f"{self._lost} events were dropped while the queue of hooks was full")
            self._lost = 0
        self._schedule()
        if not self._busy():
            idle, self._idle = self._idle, []
            for waiter in idle:
                waiter.callback(None)

    def _lose(self) -> None:
        self._dropped()
        if self._stopping:
            self._log.warn("an event came after the hooks were stopped, it is dropped")
            return
        if not self._lost:
            self._log.warn(f"the queue of hooks is full with {self._limit} events, new ones are dropped")
        self._lost += 1

    def _drop_all(self) -> None:
        count = self._waiting
        self._pending.clear()
        self._ready.clear()
        self._waiting = 0
        self._log.warn(f"hooks are stopped: {len(self._running)} interrupted, {count} waiting events dropped")
        for _ in range(count):
            self._dropped()
        for running in list(self._running.values()):
            running.cancel()

    async def _until_idle(self, seconds: float | None) -> None:
        waiter: Deferred[None] = Deferred()
        self._idle.append(waiter)
        timer = self._clock.callLater(seconds, self._give_up, waiter) if seconds is not None else None
        await waiter
        if timer is not None and timer.active():
            timer.cancel()

    def _give_up(self, waiter: Deferred[None]) -> None:
        self._idle.remove(waiter)
        waiter.callback(None)
