"""The command line of an C{exec} request (RFC 4254, section 6.5), split into words as a POSIX shell would.

Clients quote for a shell, so quotes and backslashes are understood; but there is no shell.  Nothing is expanded and
nothing is special: C{$HOME}, C{;}, C{|} and C{`id`} are characters of a word like any other.  What a client may mean
as a wildcard is kept apart from the same characters in quotes, for commands that expand names inside the home.
"""

from __future__ import annotations

import re

import attrs

_TOKEN = re.compile(
    rb"""(?P<blank>[ \t\n]+)
    | '(?P<single>[^']*)'
    | "(?P<double>(?:[^"\\]|\\.)*)"
    | \\(?P<escaped>.)
    | (?P<plain>[^ \t\n'"\\]+)""",
    re.VERBOSE | re.DOTALL,
)
_DOUBLE_ESCAPE = re.compile(rb'\\([$`"\\\n])')
_WILDCARD = re.compile(rb"[*?\[]")


class Unreadable(ValueError):
    """The line cannot be split: an open quote, a backslash at the end, or a NUL."""


@attrs.frozen
class Word:
    """One word.

    @ivar text: as a program's argument, quotes gone.
    @ivar pattern: the same as an C{fnmatch} pattern, in which only unquoted C{*}, C{?} and C{[} have a meaning.
    @ivar wild: whether it has such a character.
    @ivar tilde: whether it starts with an unquoted C{~} that stands for the user's own home.
    """

    text: bytes
    pattern: bytes
    wild: bool = False
    tilde: bool = False


@attrs.define
class _Building:
    """The word that is being read."""

    text: bytearray = attrs.field(factory=bytearray)
    pattern: bytearray = attrs.field(factory=bytearray)
    started: bool = False
    wild: bool = False
    tilde: bool = False

    def quoted(self, piece: bytes) -> None:
        self.started = True
        self.text += piece
        self.pattern += _WILDCARD.sub(rb"[\g<0>]", piece)

    def plain(self, piece: bytes) -> None:
        if not self.started:
            self.tilde = piece == b"~" or piece.startswith(b"~/")
        self.started = True
        self.wild = self.wild or _WILDCARD.search(piece) is not None
        self.text += piece
        self.pattern += piece

    def word(self) -> Word:
        tilde = self.tilde and (self.text == b"~" or self.text.startswith(b"~/"))
        return Word(bytes(self.text), bytes(self.pattern), self.wild, tilde)


def split(line: bytes) -> list[Word]:
    """The words of a command line.

    @raise Unreadable: for a line that no shell would take.
    """
    if b"\0" in line:
        raise Unreadable("a NUL in a command")
    words: list[Word] = []
    building = _Building()
    position = 0
    while position < len(line):
        match = _TOKEN.match(line, position)
        if match is None:
            raise Unreadable("an open quote, or a backslash at the end of a command")
        position = match.end()
        if match["blank"] is not None:
            if building.started:
                words.append(building.word())
                building = _Building()
        else:
            _add(building, match)
    if building.started:
        words.append(building.word())
    return words


def _add(building: _Building, match: re.Match[bytes]) -> None:
    if match["single"] is not None:
        building.quoted(match["single"])
    elif match["double"] is not None:
        building.quoted(_DOUBLE_ESCAPE.sub(lambda found: b"" if found[1] == b"\n" else found[1], match["double"]))
    elif match["escaped"] is not None:
        if match["escaped"] != b"\n":  # a backslash at the end of a line joins it with the next
            building.quoted(match["escaped"])
    else:
        building.plain(match["plain"])
