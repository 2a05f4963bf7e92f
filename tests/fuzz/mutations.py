"""Bytes made worse: the mutations that the fuzzer's targets share."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_NUMBERS = (0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 255, 256, 32768, 35000, 65535, 1 << 20, 2**31 - 1, 2**31, 2**32 - 1)
_BYTES = (0, 1, 4, 20, 21, 30, 50, 80, 94, 127, 128, 200, 255)


def _flip(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _byte(random: Random, data: bytearray) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(_BYTES)


def _number(random: Random, data: bytearray) -> None:
    """Overwrite four bytes, which are often a length, by a number at an edge."""
    if len(data) >= 4:
        start = random.randrange(len(data) - 3)
        data[start : start + 4] = struct.pack(">L", random.choice(_NUMBERS))


def _nearby(random: Random, data: bytearray) -> None:
    """Make four bytes, taken as a number, a little larger or smaller."""
    if len(data) >= 4:
        start = random.randrange(len(data) - 3)
        number = struct.unpack_from(">L", data, start)[0] + random.randrange(-5, 6)
        data[start : start + 4] = struct.pack(">L", number & 0xFFFFFFFF)


def _insert(random: Random, data: bytearray) -> None:
    start = random.randrange(len(data) + 1)
    data[start:start] = random.randbytes(random.choice((1, 2, 4, 8, 40)))


def _remove(random: Random, data: bytearray) -> None:
    if data:
        start = random.randrange(len(data))
        del data[start : start + random.choice((1, 2, 4, 8, 40))]


def _repeat(random: Random, data: bytearray) -> None:
    if data:
        start = random.randrange(len(data))
        part = data[start : start + random.choice((1, 4, 9, 30))]
        data[start:start] = part * random.choice((1, 2, 50))


def _truncate(random: Random, data: bytearray) -> None:
    if data:
        del data[random.randrange(len(data)) :]


_MUTATIONS: Sequence[Callable[[Random, bytearray], None]] = (
    _flip,
    _byte,
    _number,
    _nearby,
    _insert,
    _remove,
    _repeat,
    _truncate,
)


def mutated(random: Random, data: bytes, most: int = 4) -> bytes:
    """A copy with one to C{most} mutations."""
    changed = bytearray(data)
    for _ in range(random.randint(1, most)):
        random.choice(_MUTATIONS)(random, changed)
    return bytes(changed)


def maybe(random: Random, data: bytes, chance: float) -> bytes:
    """Mutated with a chance."""
    return mutated(random, data) if random.random() < chance else data


def pieces(random: Random, data: bytes) -> list[bytes]:
    """Cut as a network might: mostly whole, sometimes in a few pieces, rarely byte by byte."""
    drawn = random.random()
    if drawn < 0.7 or len(data) < 2:
        return [data]
    if drawn < 0.75 and len(data) < 300:
        return [data[start : start + 1] for start in range(len(data))]
    cuts = sorted(random.randrange(len(data)) for _ in range(random.randint(1, 4)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def choose(random: Random, *weighted: tuple[float, Any]) -> Any:
    """One of several, by weight."""
    return random.choices([choice for _, choice in weighted], [weight for weight, _ in weighted])[0]
