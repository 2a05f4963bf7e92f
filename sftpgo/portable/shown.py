"""Text that came over the network, made fit for a terminal: what it shows, how wide it is, and where it is cut."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from sftpgo.printable import printable

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


def quoted(text: str) -> str:
    """The text in quotes, on one line."""
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def _cells(character: str) -> int:
    """Columns that a character takes (Unicode Standard Annex 11)."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def width(text: str) -> int:
    """Columns that a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def fitted(text: str, columns: int, ellipsis: str = "…") -> str:
    """The text in exactly so many columns: its middle left out, or blanks behind it."""
    missing = columns - width(text)
    if missing >= 0:
        return text + " " * missing
    if columns <= len(ellipsis):
        return ellipsis[: max(0, columns)]
    room = columns - len(ellipsis)
    head = _taken(text, room - room // 2)
    tail = _taken(reversed(text), room // 2)[::-1]
    cut = head + ellipsis + tail
    return cut + " " * (columns - width(cut))


def _taken(characters: Iterable[str], columns: int) -> str:
    taken = []
    for character in characters:
        columns -= _cells(character)
        if columns < 0:
            break
        taken.append(character)
    return "".join(taken)


def amount(number: float) -> str:
    """Bytes in units of 1000, in at most seven columns: C{999 B}, C{1.5 KB}, C{123 MB}."""
    unit = 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number /= 1000
        unit += 1
    digits = 0 if unit == 0 or number >= 99.95 else 1
    return f"{number:.{digits}f} {_UNITS[unit]}"
