"""Waiting for a database that is not there yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import deferLater

from sftpgo.dataprovider.backoff import DatabaseDown

_STEP = 1.0


async def started(provider: Any, seconds: float, *, clock: Any, said: Callable[[str], None]) -> None:
    """Start a data provider; while its database is down, try again for so long.

    @param provider: an L{sftpgo.interfaces.IDataProvider}.
    @param clock: an C{IReactorTime}.
    @param said: told once why there is a wait.
    @raise StartupError: what is no outage, at once; an outage when the time is over.
    """
    end = clock.seconds() + seconds
    waiting = False
    while True:
        try:
            return await provider.start()  # type: ignore[no-any-return]
        except DatabaseDown as error:
            if clock.seconds() + _STEP > end:
                raise
            if not waiting:
                said(f"{error}; waiting for it up to {seconds:g} s")
            waiting = True
        await deferLater(clock, _STEP, lambda: None)
