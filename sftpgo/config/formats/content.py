"""What a file of any format comes down to: a tree of typed values, or a flat list of dotted names and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """The content of a format that has sections and types of its own.

    @ivar twice: of names of one section that differ in case only, the first and the second one -> the lines where the
        second one stands, from 1.
    """

    root: Mapping[Any, Any]
    twice: Mapping[tuple[str, str], Sequence[int]] = attrs.field(factory=dict)


class Twice:
    """Looks for names that a section has twice.

    @ivar found: those that differ in case only, as L{Tree} has them.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], list[int]] = {}

    def section(self) -> Names:
        """A section begins."""
        return Names(self.found)


class Names:
    """The names of one section, so far."""

    def __init__(self, found: dict[tuple[str, str], list[int]]) -> None:
        self._found = found
        self._taken: set[str] = set()
        self._first: dict[str, str] = {}

    def take(self, name: str, line: int, column: int | None = None) -> None:
        """The next one, which may not have been there.

        @raise Malformed: it was.
        """
        if name in self._taken:
            raise Malformed(f"the key {name!r} is given twice in one section", line, column)
        self._taken.add(name)
        self.look(name, line)

    def look(self, name: str, line: int) -> None:
        """The next one, which may be given again, but not in another case."""
        first = self._first.setdefault(name.lower(), name)
        if first != name:
            self._found.setdefault((first, name), []).append(line)


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


def tree(root: object, twice: Mapping[tuple[str, str], Sequence[int]] | None = None) -> Tree:
    """The tree of a parsed file: a mapping, or nothing at all for an empty file."""
    if root is None:
        return Tree({})
    if not isinstance(root, Mapping):
        raise Malformed("expected sections of keys at the top of the file")
    return Tree(root, twice or {})
