"""TOML 1.0."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from sftpgo.config.formats.content import Malformed, Tree, tree

#: How the standard library begins when a key or a section is there already.
_TWICE: Final = ("Cannot overwrite a value", "Cannot declare ")
_LINE: Final = re.compile(r"at line (\d+)")
_PART: Final = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_NAME: Final = re.compile(rf"\s*\[{{0,2}}\s*({_PART}(?:\s*\.\s*{_PART})*)")


def parse(text: str) -> Tree:
    """Read TOML; the text of an error holds line and column, but what is given twice has to be looked for."""
    try:
        root = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        if str(error).startswith(_TWICE):
            raise _twice(text, str(error)) from None
        raise Malformed(f"not TOML: {error}") from None
    return tree(root, _differing_in_case(root, text))


def _differing_in_case(root: dict[str, Any], text: str) -> dict[tuple[str, str], list[int]]:
    """The library knows no lines: the assignment is the first one with which the second name is there."""
    pairs = Counter(_pairs(root))
    found: dict[tuple[str, str], list[int]] = {}
    lines, begin = text.split("\n"), 1
    for number in range(1, len(lines) + 1) if pairs else ():
        try:
            so_far = Counter(_pairs(tomllib.loads("\n".join(lines[:number]))))
        except ValueError:
            continue  # in the middle of a value
        for pair, count in so_far.items():
            places = found.setdefault(pair, [])
            places += [begin] * (count - len(places))
        begin = number + 1
    return found


def _pairs(value: object) -> Iterator[tuple[str, str]]:
    """The first and the second of names of one section that differ in case only."""
    if isinstance(value, list):
        for item in value:
            yield from _pairs(item)
    elif isinstance(value, dict):
        seen: dict[str, str] = {}
        for name, below in value.items():
            first = seen.setdefault(name.lower(), name)
            if first != name:
                yield first, name
            yield from _pairs(below)


def _twice(text: str, error: str) -> Malformed:
    """The error is found at the end of the assignment, which may be lines below its name or the end of the file."""
    lines = text.split("\n")
    found = _LINE.search(error)
    number = int(found[1]) if found else len(lines)
    while number > 1 and not _is_whole(lines[: number - 1]):
        number -= 1
    name = _NAME.match(lines[number - 1])
    return Malformed(f"the key {name[1]!r} is given twice" if name else "a key is given twice", number)


def _is_whole(lines: list[str]) -> bool:
    """Whether no value goes on after these."""
    try:
        tomllib.loads("\n".join(lines))
    except ValueError:
        return False
    return True
