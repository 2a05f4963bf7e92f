"""Numbers and times in the words people use; never cut short when they are typed again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sftpgo.domain.sizes import UNITS, size_text

_MILLISECOND: Final = 1000
_TIME: Final = re.compile(r"[1-9]\d{3}-\d\d-\d\d \d\d:\d\d(:\d\d)?", re.ASCII)


def size(octets: int) -> str:
    """Bytes rounded to three digits or so, for looking at: C{1.5 GB}."""
    value, unit = float(octets), "B"
    for name, factor in UNITS:
        if abs(octets) >= factor:
            value, unit = octets / factor, name
    return f"{octets} B" if unit == "B" else f"{value:.1f}".removesuffix(".0") + f" {unit}"


def rate(octets: float) -> str:
    """Bytes in a second: C{98.3 KB/s}."""
    return f"{size(round(octets))}/s"


def elapsed(milliseconds: int) -> str:
    """C{mm:ss}, or C{hh:mm:ss} from an hour on."""
    minutes, seconds = divmod(max(0, milliseconds) // _MILLISECOND, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def span(milliseconds: int) -> str:
    """A long time in its two largest units: C{3 d 4 h}, C{5 min}."""
    hours, minutes = divmod(max(0, milliseconds) // (60 * _MILLISECOND), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def count(number: int) -> str:
    """In groups of three digits: C{12,345}."""
    return f"{number:,}"


def bandwidth(kilobytes: int) -> str:
    """KB/s as it may be typed again; C{unlimited} for 0 and less."""
    return f"{size_text(kilobytes * 1000)}/s" if kilobytes > 0 else "unlimited"


def utc(milliseconds: int) -> str:
    """A time in UTC as the C{datetime} attribute takes it; empty for what no calendar has."""
    moment = moment_of(milliseconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def day(milliseconds: int) -> str:
    """The day of a time, in UTC; the bare number for what no calendar has."""
    moment = moment_of(milliseconds)
    return moment.strftime("%Y-%m-%d") if moment else str(milliseconds)


def moment_of(milliseconds: int) -> datetime | None:
    """The time, when it is between the years 1000 and 9999."""
    try:
        moment = datetime.fromtimestamp(milliseconds // _MILLISECOND, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.year >= 1000 else None


def is_calendar_text(text: str) -> bool:
    """Whether a browser's picker of times can hold this; what it cannot it would show as nothing."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
