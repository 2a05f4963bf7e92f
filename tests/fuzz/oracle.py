"""What must hold whatever is sent, and how the fuzzer learns that it does not."""

from __future__ import annotations

from collections import Counter
from types import TracebackType
from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure


class Broken(AssertionError):
    """A promise that does not hold."""


def require(holds: object, text: str) -> None:
    """Raise L{Broken} unless something holds."""
    if not holds:
        raise Broken(text)


class LoggedErrors:
    """Collects what is logged as an error while it is entered: nothing a client sends may be one.

    @ivar seen: the failures, or the texts where there are none.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, event: dict[str, Any]) -> None:
        failure = event.get("log_failure")
        if failure is not None or event.get("log_level") in (LogLevel.error, LogLevel.critical):
            self.seen.append(_short(failure) if isinstance(failure, Failure) else str(event.get("log_format")))

    def __enter__(self) -> LoggedErrors:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        globalLogPublisher.removeObserver(self)

    def check(self) -> None:
        """Raise L{Broken} when anything was logged."""
        seen, self.seen = self.seen, []
        require(not seen, "logged as an error: " + "; ".join(seen[:3]))


def _short(failure: Failure) -> str:
    """Type, text and place of an error: enough to tell two of them apart."""
    frames = " | ".join(line.strip() for line in failure.getTraceback(detail="brief").strip().splitlines()[-4:])
    return f"{failure.type.__name__}: {failure.getErrorMessage()[:200]} at {frames}"


class Counts(Counter[str]):
    """What a target has seen, for people: that it was not idle."""

    def lines(self) -> list[str]:
        return [f"  {name}: {number}" for name, number in sorted(self.items())]
