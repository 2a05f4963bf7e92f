"""One line for each running transfer: whose, how far, how fast."""

from __future__ import annotations

import attrs

from sftpgo.portable.shown import amount, fitted
from sftpgo.printable import printable

_BAR = 20
_LEAST_NAME = 8

#: Weight of the newest measure in the shown speed.
_NEWEST = 0.3


@attrs.frozen
class Style:
    """What a terminal can show."""

    done: str
    rest: str
    up: str
    down: str
    ellipsis: str


UNICODE = Style("█", "░", "↑", "↓", "…")
ASCII = Style("#", ".", "up", "down", "...")


@attrs.frozen
class View:
    """A transfer as it is now.

    @ivar total: bytes there are to move; None where nobody knows.
    @ivar speed: bytes a second.
    """

    upload: bool
    path: str
    user: str
    size: int
    total: int | None
    speed: float


def row(view: View, columns: int, style: Style) -> str:
    """The line of a transfer, in fewer than C{columns} columns whatever its name is."""
    arrow = style.up if view.upload else style.down
    right = f"{amount(view.size):>7}"
    if view.total:
        part = min(1.0, view.size / view.total)
        right = f"{right} of {amount(view.total):>7} {int(part * 100):>3}%"
    right += f" {amount(view.speed):>7}/s"
    room = columns - len(arrow) - len(right) - 4
    if view.total and room >= _BAR + 1 + _LEAST_NAME:
        filled = int(min(1.0, view.size / view.total) * _BAR)
        right = style.done * filled + style.rest * (_BAR - filled) + " " + right
        room -= _BAR + 1
    name = printable(view.path)
    if room >= 3 * _LEAST_NAME:
        name = f"{name} ({printable(view.user)})"
    if room < _LEAST_NAME:
        return fitted(f"{arrow} {name}", max(0, columns - 1), style.ellipsis).rstrip()
    return f"{arrow} {fitted(name, room, style.ellipsis)}  {right}"


@attrs.define
class Meter:
    """The speed of one transfer, smoothed."""

    size: int
    at: float
    speed: float = 0.0
    _measured: bool = False

    def measure(self, size: int, now: float) -> float:
        """Bytes a second; C{now} in seconds."""
        if now > self.at:
            newest = max(0, size - self.size) / (now - self.at)
            self.speed = newest if not self._measured else self.speed + _NEWEST * (newest - self.speed)
            self._measured = True
            self.size, self.at = size, now
        return self.speed
