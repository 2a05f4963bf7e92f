"""Conch's own log lines, as far as an administrator needs them."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger, LogLevel

_STEPS = frozenset((LogLevel.debug, LogLevel.info))


class QuietLogger(Logger):
    """For Conch's base classes that tell each of their steps without saying whose: only what went wrong is kept."""

    def emit(self, level: Any, format: str | None = None, **fields: Any) -> None:
        """See L{Logger.emit}."""
        if level not in _STEPS:
            super().emit(level, format, **fields)
