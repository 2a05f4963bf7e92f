"""Dumps of the users: all of them to a file, and from a file back."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import attrs
from zope.interface import implementer

from sftpgo.backupfile import BackupWriter, components
from sftpgo.domain.backups import ADDED, REFUSED, UPDATED, BackupRefused, LoadReport, Outcome
from sftpgo.domain.user import User
from sftpgo.errors import MethodDisabled, NotFound, ValidationError
from sftpgo.interfaces import IAccounts, IBackups, IDataProvider, IScans
from sftpgo.jsons import user_from_json
from sftpgo.jsonstream import members

_PAGE = 1000
_BATCH = 200

SCAN_ALL = 1
SCAN_LIMITED = 2


@attrs.frozen
class _Member:
    """One user of a dump, or what is wrong with it."""

    index: int
    user: User
    error: str = ""


@implementer(IBackups)
@attrs.define(eq=False)
class Backups:
    """L{IBackups} over a directory.

    @ivar directory: absolute path; made when it is needed.
    @ivar accounts: an L{IAccounts}: everything that is loaded goes through its rules.
    @ivar provider: an L{IDataProvider}, for dumps.
    @ivar scans: an L{IScans}.
    @ivar run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    """

    directory: str
    accounts: IAccounts
    provider: IDataProvider
    scans: IScans
    run_in_thread: Callable[..., Any]

    async def save(self, name: str) -> int:
        """Write all users to C{name} below the directory; what was there is replaced when all is written.

        @return: how many.
        @raise BackupRefused: for a name that is absolute, leads upwards, or through a link.
        @raise OSError: when writing fails.
        """
        names = components(name)
        writer: BackupWriter = await self.run_in_thread(BackupWriter.open, self.directory, names)
        try:
            after = ""
            while page := await self.provider.dump(after, _PAGE):
                await self.run_in_thread(writer.write, page)
                after = page[-1].username
            await self.run_in_thread(writer.commit)
        finally:
            await self.run_in_thread(writer.close)
        return writer.count

    async def load(
        self, path: str, scan_quota: int = 0, partial: bool = False, max_size: int | None = None
    ) -> LoadReport:
        """Check all users of a file, then add or replace them in its order.

        @raise BackupRefused: when nothing was changed; with C{partial} only for a file that cannot be read as a whole.
        @raise MethodDisabled: when users are not managed here.
        @raise ProviderError: when storing failed in the middle; the users before stay as they are stored by then.
        """
        file: BinaryIO = await self.run_in_thread(_open, path, max_size)
        try:
            await self._check(file, partial)
            report = LoadReport()
            async for member in self._members(file):
                await self._restore(member, scan_quota, report, partial)
            return report
        finally:
            await self.run_in_thread(file.close)

    async def _check(self, file: BinaryIO, partial: bool) -> None:
        """Read over the whole file, and refuse it before anything has been changed."""
        report = LoadReport()
        async for member in self._members(file):
            if member.error:
                report.note(_refused(member, member.error))
        if report.refused and not partial:
            first = report.outcomes[0]
            more = f", and {report.refused - 1} more" if report.refused > 1 else ""
            raise BackupRefused(f'user {first.index} "{first.username}": {first.error}{more}', report=report)

    async def _members(self, file: BinaryIO) -> Any:
        await self.run_in_thread(file.seek, 0)
        found = enumerate(members(file, "users"))
        while batch := await self.run_in_thread(self._read, found):
            for member in batch:
                yield member

    def _read(self, found: Iterator[tuple[int, object]]) -> list[_Member]:
        """Some more users of the file, checked; in a thread."""
        try:
            return [self._judged(index, value) for index, value in islice(found, _BATCH)]
        except ValueError as error:
            raise BackupRefused(str(error), "Unable to parse the backup file") from error

    def _judged(self, index: int, value: object) -> _Member:
        try:
            user = user_from_json(value, User())
        except ValueError as error:
            return _Member(index, User(username=_name_in(value)), str(error))
        try:
            self.accounts.check(user)
        except ValidationError as error:
            return _Member(index, user, str(error))
        return _Member(index, user)

    async def _restore(self, member: _Member, scan_quota: int, report: LoadReport, partial: bool) -> None:
        if member.error:
            report.note(_refused(member, member.error))
            return
        try:
            stored, result = await self._store(member.user)
        except ValidationError as error:
            # What no check can foresee: the file has changed meanwhile, or two of its users are in each other's way.
            if not partial:
                raise
            report.note(_refused(member, str(error)))
            return
        report.note(Outcome(member.index, stored.username, result, stored.id))
        if scan_quota == SCAN_ALL or (scan_quota == SCAN_LIMITED and stored.has_quota_restrictions()):
            self._scan(stored)

    async def _store(self, user: User) -> tuple[User, str]:
        try:
            known = await self.accounts.by_name(user.username)
        except NotFound:
            return await self.accounts.add(user), ADDED
        return await self.accounts.update(attrs.evolve(user, id=known.id)), UPDATED

    def _scan(self, user: User) -> None:
        try:
            self.scans.start(user)
        except MethodDisabled:
            return  # used quota is not kept: there is nothing that a scan would set


def _refused(member: _Member, error: str) -> Outcome:
    return Outcome(member.index, member.user.username, REFUSED, error=error)


def _name_in(value: object) -> str:
    name = value.get("username") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""


def _open(path: str, max_size: int | None) -> BinaryIO:
    """The file, if it is one: a pipe or a device would never end, or stir something."""
    if not path.startswith("/"):
        raise BackupRefused(f"Invalid input_file {path!r}: it must be an absolute path")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise BackupRefused(f"input_file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BackupRefused("Invalid input_file: it holds a NUL character") from error
    try:
        _require_readable(os.fstat(descriptor), max_size)
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _require_readable(status: os.stat_result, max_size: int | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BackupRefused("input_file is no regular file")
    if max_size is not None and status.st_size > max_size:
        raise BackupRefused(message=f"Backup file size too big: {status.st_size}/{max_size} bytes")
