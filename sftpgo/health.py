"""Asks the data provider for a sign of life every half minute, and tells whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall

from sftpgo.interfaces import IDataProvider
from sftpgo.log import Log

INTERVAL = 30.0
_TIMEOUT = 10.0


class HealthCheck:
    """The repeated check.

    @ivar available: whether the store answered when last asked; C{False} before the first time.
    """

    def __init__(self, provider: IDataProvider, clock: Any, log: Log, tell: Callable[[bool], None]) -> None:
        """Take what is needed; nothing is asked before L{start}.

        @param clock: an C{IReactorTime}.
        @param tell: called with L{available} after each check, and when the checks end.
        """
        self.available = False
        self._provider = provider
        self._clock = clock
        self._log = log
        self._tell = tell
        self._loop = LoopingCall(lambda: Deferred.fromCoroutine(self.check()))
        self._loop.clock = clock
        self._asking: Deferred[None] | None = None
        self._complained = False

    def start(self) -> None:
        """Ask now, and every half minute from now on."""
        ended = self._loop.start(INTERVAL)
        ended.addErrback(lambda failure: self._log.failure("the health check ended", failure))

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()
        if self._asking is not None:
            self._asking.cancel()
        self._became(False, "")

    async def check(self) -> None:
        """Ask once.  Never raises: what is wrong goes to the log, when it begins."""
        self._asking = asking = Deferred.fromCoroutine(_ask(self._provider))
        asking.addTimeout(_TIMEOUT, self._clock, _too_late)
        try:
            await asking
        except CancelledError:
            return
        except Exception as error:
            # Whatever it is: a check that died would show the last state for ever.
            self._became(False, str(error) or type(error).__name__)
        else:
            self._became(True, "")
        finally:
            self._asking = None

    def _became(self, available: bool, why: str) -> None:
        before, self.available = self.available, available
        if available and not before:
            self._log.info("the data provider is available")
        elif why and not self._complained:
            self._log.error(f"the data provider is not available: {why}")
        self._complained = bool(why)
        self._tell(available)


class _TooLate(Exception):
    """The store did not answer in time."""


def _too_late(_result: object, seconds: float) -> None:
    raise _TooLate(f"no answer within {seconds:g} s")


async def _ask(provider: Any) -> None:
    await provider.check()
