"""One account as a source tells of it, and what sources have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Final, TypeAlias

import attrs

from sftpgo.domain.user import User
from sftpgo.errors import SFTPGoError

#: What a dump or a database of the original tells of a user; the rest the server counts itself.
EVERYTHING: Final = frozenset(
    {
        "status",
        "expiration_date",
        "password",
        "public_keys",
        "home_dir",
        "uid",
        "gid",
        "max_sessions",
        "quota_size",
        "quota_files",
        "permissions",
        "upload_bandwidth",
        "download_bandwidth",
        "filters",
    }
)


class SourceError(SFTPGoError):
    """The source as a whole cannot be read; the text says which, where and why."""


@attrs.frozen
class Found:
    """An account in the source.

    @ivar where: its place there, as C{line 3}.
    @ivar user: the account, or as much of it as is known.
    @ivar known: the fields the source says something of: those of an account that is here already and stands
        otherwise there are changed, others are not.
    @ivar refusal: why it cannot be taken; empty when it can.
    @ivar notes: what of it is left out.
    """

    where: str
    user: User
    known: frozenset[str] = EVERYTHING
    refusal: str = ""
    notes: tuple[str, ...] = ()


@attrs.frozen
class Source:
    """A source that is open for reading.

    @ivar accounts: all of them; reading on may block, and raises L{SourceError}.
    @ivar progress: how much of it was read, from 0 to 1.
    """

    accounts: Iterator[Found]
    progress: Callable[[], float]


#: Opens a source; the context closes it.
Opener: TypeAlias = Callable[[], AbstractContextManager[Source]]


@attrs.frozen
class Options:
    """What the command line says of a source.

    @ivar table: the table of users in a database.
    @ivar shadow: the file with the hashes of a C{passwd} file; empty for C{shadow} beside it.
    @ivar uids: the lowest and the highest of a system's accounts to take.
    @ivar permissions: what an account gets where the source knows no permissions.
    """

    table: str = "users"
    shadow: str = ""
    uids: tuple[int, int] = (1000, 60000)
    permissions: tuple[str, ...] = ("*",)


def joined(texts: Iterable[str]) -> str:
    """A list in words."""
    return ", ".join(texts)


@contextmanager
def opened(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file to read accounts from, and its size in bytes, at least 1: what is read of it tells how far one is.

    @raise SourceError: it cannot be opened.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 -- closed below
    except OSError as error:
        raise SourceError(f'cannot read "{path}": {error.strerror}') from error
    with file:
        yield file, max(1, os.fstat(file.fileno()).st_size)
