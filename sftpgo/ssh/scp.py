"""The grammar of SCP's protocol (as BSD's rcp left it and OpenSSH's C{scp -O} speaks it), without any I/O.

The side that sends writes control records, each a line: C{T} (times of what follows), C{C} (a file, followed by exactly
its bytes and one status byte), C{D} (a directory begins), C{E} (it ends).  The side that receives answers each with a
status byte: 0 for yes; 1 (warning: this one is skipped) or 2 (fatal) with a line of text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

import attrs

OK = b"\0"

#: The longest control record taken, without its newline: a name of 255 bytes as C{vis} writes it, and more.
MAX_RECORD = 4096

_TIMES = re.compile(rb"T(\d{1,19}) (\d{1,6}) (\d{1,19}) (\d{1,6})\Z")
_HEADER = re.compile(rb"([CD])([0-7]{3,4}) (\d{1,19}) (.*)\Z", re.DOTALL)
_NO_OPTIONS = b"--"
_FLAGS = frozenset(b"tfrpdvq")
_MAX_SIZE = 2**63 - 1


class SCPError(Exception):
    """The other side does not keep to the protocol; the text may be shown to it."""


@attrs.frozen
class Request:
    """What C{scp} was asked to do, from its arguments.

    @ivar upload: C{-t}, else C{-f}.
    @ivar recursive: C{-r}.
    @ivar preserve: C{-p}: modes and times are kept.
    @ivar directory: C{-d}: the target must be a directory.
    @ivar operands: how many of the arguments, at the end, are paths.
    """

    upload: bool
    recursive: bool
    preserve: bool
    directory: bool
    operands: int


@attrs.frozen
class Times:
    """C{T}: seconds since 1970."""

    modified: int
    accessed: int


@attrs.frozen
class File:
    """C{C}: a file of so many bytes; C{mode} has permission bits only."""

    mode: int
    size: int
    name: bytes


@attrs.frozen
class Directory:
    """C{D}: a directory, up to its L{End}."""

    mode: int
    name: bytes


@attrs.frozen
class End:
    """C{E}: the innermost directory is complete."""


@attrs.frozen
class Remark:
    """1 or 2 and a line: what the sender could not do."""

    fatal: bool
    text: bytes


Record: TypeAlias = Times | File | Directory | End | Remark


def parse_arguments(arguments: Sequence[bytes]) -> Request:
    """Understand C{scp}'s arguments: flags in any order, apart or together, then paths.

    @raise SCPError: for an unknown flag, neither or both of C{-t} and C{-f}, or no path.
    """
    flags: set[int] = set()
    rest = list(arguments)
    while rest and rest[0].startswith(b"-") and len(rest[0]) > 1:
        word = rest.pop(0)
        if word == _NO_OPTIONS:
            break
        unknown = set(word[1:]) - _FLAGS
        if unknown:
            raise SCPError(f"unknown option -{chr(min(unknown))}")
        flags.update(word[1:])
    upload, download = ord("t") in flags, ord("f") in flags
    if upload == download:
        raise SCPError("one of -t and -f is needed")
    if not rest:
        raise SCPError("a path is needed")
    if upload and len(rest) > 1:
        raise SCPError("ambiguous target")
    return Request(upload, ord("r") in flags, ord("p") in flags, ord("d") in flags, len(rest))


def parse_record(line: bytes) -> Record:
    """Understand a control record, given without its newline.

    @raise SCPError: when it is none, or names something that is no bare name.
    """
    kind = line[:1]
    if kind in (b"\1", b"\2"):
        return Remark(kind == b"\2", line[1:])
    if line == b"E":
        return End()
    if kind == b"T":
        return _times(line)
    header = _HEADER.match(line)
    if header is None:
        raise SCPError("protocol error: expected control record")
    mode, size, name = int(header[2], 8), int(header[3]), header[4]
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise SCPError("unexpected filename")
    if size > _MAX_SIZE:
        raise SCPError("size out of range")
    return File(mode, size, name) if header[1] == b"C" else Directory(mode, name)


def _times(line: bytes) -> Times:
    match = _TIMES.match(line)
    if match is None:
        raise SCPError("protocol error: times not delimited")
    return Times(int(match[1]), int(match[3]))


def times(modified: int, accessed: int) -> bytes:
    """A C{T} record; the protocol cannot say a time before 1970."""
    return b"T%d 0 %d 0\n" % (max(0, modified), max(0, accessed))


def file(mode: int, size: int, name: bytes) -> bytes:
    """A C{C} record."""
    return b"C%04o %d %s\n" % (mode & 0o7777, size, _one_line(name))


def directory(mode: int, name: bytes) -> bytes:
    """A C{D} record."""
    return b"D%04o 0 %s\n" % (mode & 0o7777, _one_line(name))


END = b"E\n"


def warning(text: str) -> bytes:
    """What could not be done, while the rest goes on."""
    return b"\1scp: %s\n" % _one_line(text.encode("utf-8", "surrogateescape"))


def fatal(text: str) -> bytes:
    """Why nothing more will be done."""
    return b"\2scp: %s\n" % _one_line(text.encode("utf-8", "surrogateescape"))


def _one_line(name: bytes) -> bytes:
    """A newline ends a record; in a name it is written as C{vis(3)} does, which is what OpenSSH sends."""
    return name.replace(b"\n", b"\\^J")
