"""A pool of connections that are used from the reactor's thread, opened when they are first needed."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore

from sftpgo.dataprovider.backoff import Backoff
from sftpgo.errors import ProviderError, StartupError


class Pooled(Protocol):
    """What the pool must know of a connection.

    @ivar opened: when it was, by the pool's clock.
    @ivar usable: whether the next query has a chance.
    """

    opened: float

    @property
    def usable(self) -> bool:
        """Tell whether the next query has a chance."""

    def close(self) -> None:
        """End it; may be called twice."""


C = TypeVar("C", bound=Pooled)


class Pool(Generic[C]):
    """At most so many connections; who finds none free waits, in order.

    A connection that is broken or old is closed, and another one opened when it is needed.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[C]],
        size: int,
        *,
        seconds: Callable[[], float],
        backoff: Backoff,
        life: float = 1800.0,
    ) -> None:
        """Take how to connect; nothing is opened yet.

        @param connect: raises L{StartupError} when it cannot.
        @param life: how long a connection is used, in seconds.
        """
        self._connect = connect
        self._places = DeferredSemaphore(size)
        self._free: deque[C] = deque()
        self._seconds = seconds
        self._backoff = backoff
        self._life = life
        self._used = 0
        self._closed = False
        self._idle: list[Deferred[None]] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[C]:
        """A connection for the time of the block.

        @raise ProviderError: none can be had.
        """
        if self._closed:
            raise ProviderError("the data provider is stopped")
        self._used += 1
        try:
            await self._places.acquire()
            try:
                taken = await self._take()
                try:
                    yield taken
                finally:
                    self._give_back(taken)
            finally:
                self._places.release()
        finally:
            self._used -= 1
            self._wake()

    async def close(self) -> None:
        """Refuse new work, let the pending end, close every connection."""
        self._closed = True
        if self._used:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle
        while self._free:
            self._free.pop().close()

    async def _take(self) -> C:
        while self._free:
            # The one used last: those no longer needed grow old and are closed.
            connection = self._free.pop()
            if self._good(connection):
                return connection
            connection.close()
        try:
            self._backoff.check()
            connection = await self._connect()
        except StartupError as error:
            self._backoff.failed(error)
            raise ProviderError(str(error)) from error
        self._backoff.succeeded()
        return connection

    def _give_back(self, connection: C) -> None:
        if self._good(connection):
            self._free.append(connection)
        else:
            connection.close()

    def _good(self, connection: C) -> bool:
        return connection.usable and self._seconds() - connection.opened < self._life

    def _wake(self) -> None:
        if not self._used:
            waiting, self._idle = self._idle, []
            for idle in waiting:
                idle.callback(None)
