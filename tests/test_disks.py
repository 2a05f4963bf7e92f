from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo import disks
from sftpgo.disks import DiskReport, Disks
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError
from sftpgo.log import Log


class Users:
    """A provider of so many users.

    @ivar pages: how often it was asked for some.
    """

    def __init__(self, homes: Sequence[str]) -> None:
        self.users = [User(username=f"{number:06}", home_dir=home) for number, home in enumerate(homes)]
        self.pages = 0
        self.wrong: Exception | None = None

    async def dump(self, after: str = "", limit: int = 1000) -> Sequence[User]:
        self.pages += 1
        if self.wrong is not None:
            raise self.wrong
        return [user for user in self.users if user.username > after][:limit]


class DisksTests(SynchronousTestCase):
    def make(self, homes: Sequence[str], run_in_thread: Any = maybeDeferred) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        self.users = Users(homes)
        self.disks = Disks(self.users, run_in_thread, self.clock, Log("httpd", self.events.append))

    def ask(self) -> Deferred[DiskReport]:
        return Deferred.fromCoroutine(self.disks.report())

    def test_homes_are_counted_where_they_are(self) -> None:
        home = self.mktemp()
        os.mkdir(home)
        absolute = os.path.abspath(home)
        # One that is not made yet will be where its parent is; /proc is always another file system.
        self.make([absolute, f"{absolute}/not/yet", "/proc/self"])
        report = self.successResultOf(self.ask())
        self.assertTrue(report.complete)
        proc, own = sorted(report.file_systems, key=lambda found: found.path != "/proc")
        self.assertEqual((proc.path, proc.homes, own.homes, own.error), ("/proc", 1, 2, ""))
        told = os.statvfs(absolute)
        self.assertEqual(own.size, told.f_blocks * told.f_frsize)
        self.assertTrue(os.path.ismount(own.path))
        self.assertEqual(os.stat(own.path).st_dev, os.stat(absolute).st_dev)

    def test_by_pages(self) -> None:
        self.make(["/"] * (2 * disks.PAGE + 1))
        report = self.successResultOf(self.ask())
        self.assertEqual(
            (report.complete, [found.homes for found in report.file_systems]), (True, [2 * disks.PAGE + 1])
        )
        self.assertEqual(self.users.pages, 3)

    def test_nobody_is_no_disk(self) -> None:
        self.make([])
        self.assertEqual(self.successResultOf(self.ask()), DiskReport(complete=True))

    def test_walks_are_rare(self) -> None:
        self.make(["/"])
        measured: list[object] = []
        really = disks._measure
        self.patch(disks, "_measure", lambda found: measured.append(found) or really(found))
        for _ in range(20):
            self.successResultOf(self.ask())
            self.clock.advance(1)
        self.assertEqual((self.users.pages, len(measured)), (1, 2))
        self.clock.advance(disks.WALK_AGAIN)
        self.successResultOf(self.ask())
        self.assertEqual(self.users.pages, 2)

    def test_nobody_waits_for_a_disk_that_does_not_answer(self) -> None:
        asked: list[Deferred[Any]] = []

        def hang(*_args: object) -> Deferred[Any]:
            asked.append(Deferred())
            return asked[-1]

        self.make(["/"], hang)
        for _ in range(3):
            report = self.ask()
            self.assertNoResult(report)
            self.clock.advance(disks.WAIT)
            self.assertEqual(self.successResultOf(report), DiskReport())
            self.clock.advance(1000)
        # One thread hangs, not three; and nobody is remembered who has gone.
        self.assertEqual((len(asked), self.disks._waiting), (1, []))

    def test_a_provider_that_fails_is_told_of_and_asked_again(self) -> None:
        self.make(["/"])
        self.users.wrong = ProviderError("gone")
        self.assertEqual(self.successResultOf(self.ask()), DiskReport())
        self.assertIn("gone", str(self.events))
        self.users.wrong = None
        self.clock.advance(disks.ASK_AGAIN)
        self.assertTrue(self.successResultOf(self.ask()).complete)

    def test_a_disk_that_has_gone(self) -> None:
        found = disks._Found()
        found.homes[1], found.mounts[1] = 3, str(Path(self.mktemp()).absolute())
        (told,) = disks._measure(found)
        self.assertEqual((told.homes, told.size, told.error), (3, 0, "No such file or directory"))

    def test_it_stops(self) -> None:
        waiting: Deferred[Any] = Deferred()
        self.make(["/"] * 3000, lambda *_args: waiting)
        report = self.ask()
        self.disks.stop()
        self.successResultOf(report)
        waiting.callback(())
        self.assertEqual(self.users.pages, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_it_starts_again(self) -> None:
        self.make(["/"])
        self.disks.stop()
        self.assertEqual(self.successResultOf(self.ask()), DiskReport())
        self.disks.start()
        self.assertTrue(self.successResultOf(self.ask()).complete)
