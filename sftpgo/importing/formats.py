"""The formats a source may have, and how to tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

from sftpgo.importing.found import Opener, Options, Source, SourceError
from sftpgo.importing.original import open_dump, open_sqlite
from sftpgo.importing.passwd import open_passwd, open_proftpd
from sftpgo.importing.pureftpd import open_pureftpd

AUTO: Final = "auto"
FORMATS: Final[Mapping[str, Callable[[str, Options], AbstractContextManager[Source]]]] = {
    "dump": open_dump,
    "sqlite": open_sqlite,
    "passwd": open_passwd,
    "pureftpd": open_pureftpd,
    "proftpd": open_proftpd,
}

_BBOLT = bytes.fromhex("edda0ced")
_LMDB = bytes.fromhex("dec0efbe")


def opener(path: str, wanted: str, options: Options) -> tuple[str, Opener]:
    """The format, and how to open the source.

    @param wanted: C{auto} or one of L{FORMATS}.
    @raise SourceError: it cannot be read, or is of none of them.
    """
    start = _start(path)
    if start[16:20] == _BBOLT:
        raise SourceError(
            f'"{path}" is a key/value file of the original (bbolt), which only Go programs can read: let the original '
            "save its users with GET /api/v1/dumpdata?output_file=users.json, and import that dump"
        )
    name = _recognised(path, start) if wanted == AUTO else wanted
    return name, partial(FORMATS[name], path, options)


def _start(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4096)
    except OSError as error:
        raise SourceError(f'cannot read "{path}": {error.strerror}') from error


def _recognised(path: str, start: bytes) -> str:
    if start.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if start[16:20] == _LMDB:
        raise SourceError(f'"{path}" is a key/value file of this server: use it with the driver bolt')
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return "dump"
    for line in text.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if line.startswith("#") or not line.strip():
            continue
        if len(fields) > 7:
            return "pureftpd"
        if len(fields) == 7:
            # In a system's file the hash is elsewhere, or the account is locked.
            return "proftpd" if fields[1].startswith("$") else "passwd"
        break
    raise SourceError(f'"{path}" is of none of the known formats: name it with --format ({", ".join(FORMATS)})')
