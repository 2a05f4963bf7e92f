"""Delayed calls that may not be there any more."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall


def cancel(call: IDelayedCall | None) -> None:
    """Cancel a call that was made, unless it has run or was cancelled."""
    if call is not None and call.active():
        call.cancel()
