"""Stopping without cutting anybody off in the middle: running transfers are waited for, within limits."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from twisted.internet.task import deferLater

from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.log import Log

_STEP: Final = 0.1
"""Seconds between two looks."""

_LAST_WORDS: Final = 2.0
"""Seconds that clients get to take our last bytes."""


class Drain:
    """Ends connections: after their transfers, then politely, then at once."""

    def __init__(self, reactor: Any, registry: ConnectionRegistry, log: Log) -> None:
        self._reactor = reactor
        self._registry = registry
        self._log = log
        self._hurried = False

    def hurry(self) -> None:
        """Wait for nobody any more: connections are cut."""
        self._hurried = True

    @property
    def hurried(self) -> bool:
        """Whether somebody wants the end now."""
        return self._hurried

    async def connections(self, transports: Collection[Any], grace: float) -> None:
        """End every connection, and give running transfers C{grace} seconds to end by themselves."""
        if self._registry.transfers() and grace:
            self._log.info(f"waiting up to {grace:g} s for running transfers")
        await self._until(lambda: not self._registry.transfers(), grace)
        for transport in list(transports):
            transport.loseConnection()
        await self._until(lambda: not transports, _LAST_WORDS)
        for transport in list(transports):
            transport.transport.abortConnection()
        # The reactor needs a moment to tell everybody, however much we are in a hurry.
        await self._until(lambda: not transports, _LAST_WORDS, hurry=False)

    async def _until(self, done: Callable[[], bool], seconds: float, *, hurry: bool = True) -> None:
        end = self._reactor.seconds() + seconds
        while not done() and not (hurry and self._hurried) and self._reactor.seconds() < end:
            await deferLater(self._reactor, _STEP, lambda: None)
