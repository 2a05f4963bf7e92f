"""Rotated log files: their names, which of them have had their time, and their compression.

A backup of C{sftpgo.log} is C{sftpgo-2026-11-23T11-36-07.680.log}, in UTC, with C{.gz} when it is compressed.  All
functions here block: they are for a thread.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from attrs import frozen

_STAMP = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}"
_UNFINISHED = ".gz.tmp"
_CHUNK = 256 * 1024


@frozen
class Retention:
    """How many backups are kept, and how.

    @ivar max_backups: how many at most; 0 for all.
    @ivar max_age_days: how long; 0 for ever.
    @ivar compress: whether they are gzipped.
    """

    max_backups: int
    max_age_days: int
    compress: bool


@frozen
class Backups:
    """The backups of one log file.

    @ivar path: the log file's absolute path.
    """

    path: str

    def fresh(self, when: float) -> str:
        """A path that no backup has, for a rotation at C{when} (unix seconds)."""
        millisecond = round(when * 1000)
        # Two rotations in one millisecond must not share a name: the later one borrows the next free millisecond.
        while True:
            path = self._named(_stamp(millisecond))
            if not any(os.path.lexists(path + ending) for ending in ("", ".gz", _UNFINISHED)):
                return path
            millisecond += 1

    def tidy(self, retention: Retention, now: float) -> list[str]:
        """Remove what an interrupted run left and what has had its time, then compress the rest.

        @param now: unix seconds.
        @return: what went wrong, a line each; one file's trouble does not keep the others from being done.
        """
        found = dict(self._found())
        stamps = {stamp for path, stamp in found.items() if not path.endswith(_UNFINISHED)}
        expired = _expired(stamps, retention, now)
        doomed = [path for path, stamp in found.items() if path.endswith(_UNFINISHED) or stamp in expired]
        plain = [path for path in found if not path.endswith((".gz", _UNFINISHED)) and path not in doomed]
        # Removal comes first: it makes the room that compression needs.
        problems = _each(_remove, doomed)
        if retention.compress:
            problems += _each(_compress, plain)
        return problems

    def _named(self, stamp: str) -> str:
        base, extension = os.path.splitext(self.path)
        return f"{base}-{stamp}{extension}"

    def _found(self) -> Iterator[tuple[str, str]]:
        """Every file that belongs to a backup, oldest first, with its stamp."""
        directory, name = os.path.split(self.path)
        base, extension = os.path.splitext(name)
        form = re.compile(rf"{re.escape(base)}-({_STAMP}){re.escape(extension)}(?:\.gz|{re.escape(_UNFINISHED)})?")
        for candidate in sorted(os.listdir(directory)):
            match = form.fullmatch(candidate)
            if match:
                yield os.path.join(directory, candidate), match[1]


def _expired(stamps: set[str], retention: Retention, now: float) -> set[str]:
    # Stamps are of one width, so their order as text is their order in time.
    newest_first = sorted(stamps, reverse=True)
    expired = set(newest_first[retention.max_backups :]) if retention.max_backups else set()
    if retention.max_age_days:
        oldest = _stamp(round((now - retention.max_age_days * 86400) * 1000))
        expired.update(stamp for stamp in stamps if stamp < oldest)
    return expired


def _each(work: Callable[[str], None], paths: list[str]) -> list[str]:
    problems = []
    for path in paths:
        try:
            work(path)
        except OSError as error:
            problems.append(f"log backup {path}: {error.strerror or error}")
    return problems


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _stamp(millisecond: int) -> str:
    second, rest = divmod(millisecond, 1000)
    return f"{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime(second))}.{rest:03d}"


def _compress(path: str) -> None:
    """Replace a backup by its gzip file, which appears only when all of it is on the disk."""
    unfinished = path + _UNFINISHED
    try:
        with open(path, "rb") as source:
            mode = os.fstat(source.fileno()).st_mode & 0o777
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            with open(descriptor, "wb") as target:
                with gzip.GzipFile(filename="", fileobj=target, mode="wb") as packed:
                    shutil.copyfileobj(source, packed, _CHUNK)
                target.flush()
                os.fchmod(target.fileno(), mode)
                os.fsync(target.fileno())
        os.rename(unfinished, path + ".gz")
        os.unlink(path)
    except OSError:
        _remove(unfinished)
        raise
