"""The file systems that users' homes are on: found by a walk over all users, in pages, when somebody looks.

Which file system a home is on seldom changes, so the walk is repeated rarely; how full they are is asked for often.
Both happen in threads and nobody waits long for them: a file server that does not answer holds up one thread.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sftpgo.domain.activity import FileSystem
from sftpgo.errors import SFTPGoError
from sftpgo.log import Log

#: Users asked for at once.
PAGE = 1000

#: Seconds after which users are walked over again, and file systems are asked again, when somebody looks.
WALK_AGAIN = 900.0
ASK_AGAIN = 10.0

#: Seconds that somebody who looks waits for an answer that is on its way.
WAIT = 1.0


@attrs.frozen
class DiskReport:
    """What is known.

    @ivar complete: all homes have been looked at.
    @ivar file_systems: by where they are mounted.
    """

    complete: bool = False
    file_systems: tuple[FileSystem, ...] = ()


@attrs.define
class _Found:
    """Homes by the number of their device, and where each is mounted."""

    homes: Counter[int] = attrs.field(factory=Counter)
    mounts: dict[int, str] = attrs.field(factory=dict)


class Disks:
    """Looks at the disks on behalf of whoever asks.

    @param provider: an L{sftpgo.interfaces.IDataProvider}.
    @param run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    """

    def __init__(
        self, provider: Any, run_in_thread: Callable[..., Awaitable[Any]], clock: IReactorTime, log: Log
    ) -> None:
        self._provider = provider
        self._run_in_thread = run_in_thread
        self._clock = clock
        self._log = log
        self._report = DiskReport()
        self._found = _Found()
        self._walked = self._asked = float("-inf")
        self._busy = False
        self._stopped = False
        self._waiting: list[Deferred[None]] = []

    async def report(self) -> DiskReport:
        """What is known now; a newer look is begun when it is due, and waited for a moment."""
        if not self._busy and not self._stopped and self._clock.seconds() - self._asked >= ASK_AGAIN:
            self._busy = True
            Deferred.fromCoroutine(self._look()).addErrback(
                lambda failure: self._log.failure("the disks of the homes could not be looked at", failure)
            )
        if self._busy:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting.addTimeout(WAIT, self._clock, lambda _result, _timeout: None)
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        return self._report

    def start(self) -> None:
        """Look again, after L{stop}."""
        self._stopped = False

    def stop(self) -> None:
        """Look no more; what runs ends with its page."""
        self._stopped = True
        self._wake()

    async def _look(self) -> None:
        try:
            if self._clock.seconds() - self._walked >= WALK_AGAIN:
                await self._walk()
            else:
                await self._ask(self._found, complete=True)
        finally:
            self._busy = False
            self._asked = self._clock.seconds()
            self._wake()

    async def _walk(self) -> None:
        first = not self._report.complete
        found, after = _Found(), ""
        while not self._stopped:
            try:
                users = await self._provider.dump(after, PAGE)
            except SFTPGoError as error:
                self._log.warn(f"the disks of the homes: {error}")
                return
            await self._run_in_thread(_place, found, [user.home_dir for user in users])
            complete = len(users) < PAGE
            if first or complete:
                await self._ask(found, complete=complete)
                self._wake()
            if complete:
                self._found, self._walked = found, self._clock.seconds()
                return
            after = users[-1].username

    async def _ask(self, found: _Found, *, complete: bool) -> None:
        file_systems = await self._run_in_thread(_measure, found)
        self._report = DiskReport(complete, file_systems)

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for somebody in waiting:
            if not somebody.called:  # who has waited long enough is about to take himself off the list
                somebody.callback(None)


def _place(found: _Found, homes: Sequence[str]) -> None:
    """Count each home where it is; one that is not made yet, where it will be."""
    for home in homes:
        path = _existing(home)
        try:
            device = os.stat(path).st_dev
        except OSError:
            continue
        found.homes[device] += 1
        if device not in found.mounts:
            found.mounts[device] = _mount_point(os.path.realpath(path), device)


def _existing(path: str) -> str:
    while path not in ("", os.sep) and not os.path.exists(path):
        path = os.path.dirname(path)
    return path or os.sep


def _mount_point(path: str, device: int) -> str:
    """The topmost directory on the way to C{path} that is on the same device."""
    while (parent := os.path.dirname(path)) != path:
        try:
            if os.stat(parent).st_dev != device:
                break
        except OSError:
            break
        path = parent
    return path


def _measure(found: _Found) -> tuple[FileSystem, ...]:
    """How full each file system is (C{statvfs}, POSIX.1)."""
    measured = []
    for device, path in found.mounts.items():
        homes = found.homes[device]
        try:
            told = os.statvfs(path)
        except OSError as error:
            measured.append(FileSystem(path, homes, error=error.strerror or str(error)))
            continue
        unit = told.f_frsize
        measured.append(
            FileSystem(path, homes, told.f_blocks * unit, told.f_bavail * unit, told.f_files, told.f_favail)
        )
    return tuple(sorted(measured, key=lambda file_system: file_system.path))
