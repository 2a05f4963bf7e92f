"""Password files: lines of fields with colons between them (passwd(5))."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from sftpgo.domain.user import User
from sftpgo.importing.found import Found, Source, SourceError, opened

_LONGEST = 64 * 1024
_LARGEST_ID = 65535


@attrs.frozen
class Line:
    """One account's line.

    @ivar where: C{line 3}.
    """

    where: str
    fields: tuple[str, ...]


class Malformed(ValueError):
    """A field does not hold what it should; the text says which."""


@contextmanager
def reading(path: str, convert: Callable[[Line], Found]) -> Iterator[Source]:
    """A password file as a source.

    @raise SourceError: it cannot be opened.
    """
    with opened(path) as (file, size):
        read = 0

        def accounts() -> Iterator[Found]:
            nonlocal read
            number = 0
            while raw := file.readline(_LONGEST):
                number += 1
                read += len(raw)
                line = _line(path, number, raw)
                if line is not None:
                    yield convert(line)

        yield Source(accounts(), lambda: min(1.0, read / size))


def lines_of(path: str) -> Iterator[Line]:
    """All lines of a file; raises L{SourceError}."""
    try:
        with open(path, "rb") as file:
            for number, raw in enumerate(file, 1):
                line = _line(path, number, raw)
                if line is not None:
                    yield line
    except OSError as error:
        raise SourceError(f'cannot read "{path}": {error.strerror}') from error


def number(fields: tuple[str, ...], index: int, name: str) -> int:
    """A field of digits; an empty one is 0.

    @raise Malformed: it is something else.
    """
    text = fields[index].strip() if index < len(fields) else ""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise Malformed(f"{name} is no number")
    return int(text)


def with_owner(user: User, fields: tuple[str, ...], notes: list[str]) -> User:
    """The user with the fields of uid and gid; what cannot be used of them is noted.

    @raise Malformed: they are no numbers.
    """
    ids = {"uid": number(fields, 2, "the uid"), "gid": number(fields, 3, "the gid")}
    for name, value in ids.items():
        if value > _LARGEST_ID:
            notes.append(f"{name} {value} is above {_LARGEST_ID} and left out")
            ids[name] = 0
    return attrs.evolve(user, uid=ids["uid"], gid=ids["gid"])


def require(fields: tuple[str, ...], least: int, most: int) -> None:
    """Refuse a line with too few or too many fields; raises L{Malformed}."""
    if not least <= len(fields) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        raise Malformed(f"{wanted} fields are expected, {len(fields)} found")


def home(text: str) -> str:
    """The home directory.

    @raise Malformed: for none that an account may be closed into.
    """
    if not text.startswith("/"):
        raise Malformed("its home is no absolute path")
    cleaned = posixpath.normpath("/" + text.lstrip("/"))
    if cleaned == "/":
        raise Malformed('its home is "/", which would show it the whole machine')
    return cleaned


def _line(path: str, number: int, raw: bytes) -> Line | None:
    if len(raw) >= _LONGEST:
        raise SourceError(f'"{path}", line {number}: longer than {_LONGEST} bytes, this is no password file')
    try:
        text = raw.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise SourceError(f'"{path}", line {number}: not UTF-8 text, this is no password file') from error
    if not text.strip() or text.startswith("#"):
        return None
    return Line(f"line {number}", tuple(text.split(":")))
