"""What the doctor finds."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Level: TypeAlias = Literal["ok", "warn", "fail"]


@attrs.frozen
class Finding:
    """One thing that was looked at.

    @ivar level: C{ok}; C{warn}: it works, and somebody should look at it; C{fail}: something does not work, or is not
        safe.
    @ivar check: what was looked at, in a word or two.
    @ivar text: what is so, in one line.
    @ivar do: what to do about it, in one line; empty where it is in order.
    """

    level: Level
    check: str
    text: str
    do: str = ""


def ok(check: str, text: str) -> Finding:
    """It is in order."""
    return Finding("ok", check, text)


def warn(check: str, text: str, do: str) -> Finding:
    """It works, and somebody should look at it."""
    return Finding("warn", check, text, do)


def fail(check: str, text: str, do: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding("fail", check, text, do)
