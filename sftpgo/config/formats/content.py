"""What a file of any format comes down to: a tree of typed values, or a flat list of dotted names and texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


class Malformed(Exception):
    """A file that breaks the rules of its format.

    @ivar line: counted from 1, if known (and so the column).
    """

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        place = [f"{name} {number}" for name, number in (("line", line), ("column", column)) if number is not None]
        super().__init__(f"{', '.join(place)}: {message}" if place else message)


class Blocks(list[Any]):
    """Sections of one name given one after the other, as HCL has them: together they are one section."""


@attrs.frozen
class Tree:
    """The content of a format that has sections and types of its own."""

    root: Mapping[Any, Any]


@attrs.frozen
class Line:
    """One assignment: a dotted name and its text; C{number} is the line in the file, from 1."""

    name: str
    text: str
    number: int | None = None


@attrs.frozen
class Lines:
    """The content of a format that knows nothing but text."""

    lines: tuple[Line, ...]


Content = Tree | Lines


def tree(root: object) -> Tree:
    """The tree of a parsed file: a mapping, or nothing at all for an empty file."""
    if root is None:
        return Tree({})
    if not isinstance(root, Mapping):
        raise Malformed("expected sections of keys at the top of the file")
    return Tree(root)
