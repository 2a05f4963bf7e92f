"""Runs the targets in turn, and keeps what went wrong."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Protocol

from .oracle import Counts, LoggedErrors
from .sftp_target import SFTPTarget
from .transport_target import TransportTarget
from .userauth_target import UserAuthTarget


class Target(Protocol):
    """One thing to be fuzzed."""

    name: str
    counts: Counts

    def run(self, random: Random, fresh: bool = False) -> None:
        """One case, which raises when a promise is broken."""

    def close(self) -> None:
        """Let go of what is held."""


TARGETS: tuple[Callable[[], Any], ...] = (TransportTarget, SFTPTarget, UserAuthTarget)


class Crash:
    """A case that broke a promise.

    @ivar place: tells two crashes apart.
    """

    def __init__(self, target: str, seed: int, error: BaseException) -> None:
        self.target = target
        self.seed = seed
        self.text = "".join(traceback.format_exception(error))
        self.place = f"{target} {type(error).__name__} {str(error)[:120]}"

    def __str__(self) -> str:
        return f"{self.target}, case {self.seed}:\n{self.text}"


@contextmanager
def opened() -> Iterator[list[Target]]:
    """All targets."""
    targets: list[Target] = [make() for make in TARGETS]
    try:
        yield targets
    finally:
        for target in targets:
            target.close()


def run_case(target: Target, seed: int, errors: LoggedErrors, fresh: bool = False) -> Crash | None:
    """One case by its number."""
    try:
        target.run(Random(f"{target.name} {seed}"), fresh)
        errors.check()
    except Exception as error:
        errors.seen.clear()
        return Crash(target.name, seed, error)
    return None


def fuzz(seconds: float, seed: int, told: Callable[[Crash], object]) -> tuple[dict[str, Counts], int]:
    """Run cases until the time is over; what each target has seen, and how many cases there were."""
    known: set[str] = set()
    end = time.monotonic() + seconds
    case = seed
    with opened() as targets, LoggedErrors() as errors:
        while time.monotonic() < end:
            for target in targets:
                crash = run_case(target, case, errors)
                target.counts["cases"] += 1
                if crash is None:
                    continue
                target.counts["crashes"] += 1
                if crash.place not in known:
                    known.add(crash.place)
                    told(crash)
            case += 1
        return {target.name: target.counts for target in targets}, case - seed
