"""Sizes as people write them: C{10 GB}, C{1.5 GiB}, C{500}."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

#: From small to large; a KB is 1000 bytes here.
UNITS: Final = (("KB", 10**3), ("MB", 10**6), ("GB", 10**9), ("TB", 10**12), ("PB", 10**15))
_BINARY: Final = (("KiB", 2**10), ("MiB", 2**20), ("GiB", 2**30), ("TiB", 2**40), ("PiB", 2**50))

#: With and without the last letter, in any case.
_FACTORS: Final = {
    name.lower(): factor for unit, factor in (*UNITS, *_BINARY) for name in (unit, unit.removesuffix("B"))
} | {"b": 1}

_SIZE: Final = re.compile(r"([+-]?[0-9]{1,20}(?:\.[0-9]{1,18})?)\s*([A-Za-z]*)", re.ASCII)


def parse_size(text: str, *, bare: int = 1) -> int:
    """Bytes.

    @param bare: how many bytes a number without a unit counts for.
    @raise ValueError: for what is no size or no whole number of bytes.
    """
    found = _SIZE.fullmatch(text.strip())
    factor = (_FACTORS.get(found[2].lower()) if found[2] else bare) if found else None
    if found is None or factor is None:
        raise ValueError(f'expected a size such as "10 GB", "1.5 GiB" or "500", found "{text.strip()}"')
    octets = Decimal(found[1]) * factor
    if octets != octets.to_integral_value():
        raise ValueError(f'"{text.strip()}" is no whole number of bytes')
    return int(octets)


def size_text(octets: int) -> str:
    """Exactly this size in as few digits as that takes, so that it can be typed again: C{10 GB}, C{1.5 GiB}."""
    written = [_written(octets, name, factor) for name, factor in (*UNITS, *_BINARY) if abs(octets) >= factor]
    return min([f"{octets} B", *(text for text in written if text)], key=lambda text: len(text.partition(" ")[0]))


def _written(octets: int, name: str, factor: int) -> str:
    hundredths, rest = divmod(octets * 100, factor)
    if rest:
        return ""
    whole = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".") if abs(hundredths) < 10**9 else ""
    return f"{whole} {name}" if whole else ""
