"""The quota while something else writes into the home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.account import Account
from sftpgo.avatars.usagewatch import ENOUGH, Quota, QuotaKeeper, UsageWatch
from sftpgo.domain.quota import Ledger, Limits
from sftpgo.storage.confined import Home
from tests.doubles import make_filesystem, run_now


class _Case(SynchronousTestCase):
    limits = Limits(files=5, size=1000)

    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[str] = []
        self.account = Account(
            Ledger(2, 100),
            self.limits,
            flush=lambda: self.told.append("flush"),
            began=lambda: self.told.append("began"),
            ended=lambda: self.told.append("ended"),
        )
        self.rescanned: list[int] = []
        self.stopped: list[tuple[int, int]] = []
        self.home = Path(self.mktemp())
        (self.home / "r").mkdir(parents=True)
        self.write("r/old", 60)
        self.write("elsewhere", 40)

    def write(self, name: str, size: int) -> None:
        (self.home / name).write_bytes(bytes(size))

    async def rescan(self, home: Home) -> None:
        self.rescanned.append(len(os.listdir(self.home)))
        home.locate(b"/r", follow=True).close()  # it is open still

    def watch(self, place: str | None = "r") -> UsageWatch:
        watch = UsageWatch(
            Quota(self.account, self.rescan),
            Home.open(str(self.home)),
            None if place is None else Home.open(str(self.home / place)),
            run_in_thread=run_now,
            clock=self.clock,
            stop=lambda: self.stopped.append(self.used()),
        )
        self.finish(watch.start())
        return watch

    def finish(self, coroutine: Any) -> None:
        self.successResultOf(Deferred.fromCoroutine(coroutine))

    def used(self) -> tuple[int, int]:
        return self.account.ledger.files, self.account.ledger.size


class WatchTests(_Case):
    """Over a directory of a home with a quota of 1000 bytes and 5 files."""

    def test_counts_as_it_goes(self) -> None:
        watch = self.watch()
        self.write("r/new", 300)
        self.assertEqual(self.used(), (2, 100))
        self.clock.advance(1)
        self.assertEqual(self.used(), (3, 400))
        os.unlink(self.home / "r" / "old")
        self.clock.advance(1)
        self.assertEqual(self.used(), (2, 340))
        self.write("r/new", 310)
        self.finish(watch.end())
        self.assertEqual(self.used(), (2, 350))
        self.assertEqual((self.told, self.stopped, self.rescanned), (["began", "ended"], [], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stops_at_the_limit(self) -> None:
        for name, size in (("bytes", 901), ("1 2 3 4", 1)):
            watch = self.watch()
            for part in name.split():
                self.write(f"r/{part}", size)
            self.clock.advance(1)
            self.assertEqual(len(self.stopped), 1, name)
            for part in name.split():
                os.unlink(self.home / "r" / part)
            self.finish(watch.end())
            self.assertEqual(self.used(), (2, 100))
            self.stopped.clear()

    def test_at_the_limit_is_fine(self) -> None:
        self.watch()
        self.write("r/new", 900)
        self.clock.advance(1)
        self.assertEqual((self.used(), self.stopped), ((3, 1000), []))

    def test_measures_sooner_when_much_arrives(self) -> None:
        watch = self.watch()
        self.write("r/new", 2000)
        watch.received(ENOUGH - 1)
        self.clock.advance(0)
        self.assertEqual(self.stopped, [])
        watch.received(1)
        self.clock.advance(0)
        self.assertEqual(len(self.stopped), 1)

    def test_what_is_not_there_elsewhere_does_not_count(self) -> None:
        self.watch()
        self.write("elsewhere2", 500)
        self.clock.advance(1)
        self.assertEqual(self.used(), (2, 100))

    def test_somebody_else_writes_too(self) -> None:
        """Then a whole scan makes it right."""
        watch = self.watch()
        self.account.ledger.count(1, 50)
        self.finish(watch.end())
        self.assertEqual(self.rescanned, [2])

    def test_whole_home(self) -> None:
        watch = self.watch(None)
        self.write("new", 5)
        self.finish(watch.end())
        self.assertEqual(self.rescanned, [3])

    def test_home_gone(self) -> None:
        """What cannot be measured is stopped."""
        self.watch()
        self.patch(os, "scandir", self._fails)
        self.clock.advance(1)
        self.assertEqual(len(self.stopped), 1)

    def _fails(self, *_arguments: object) -> None:
        raise OSError(5, "Input/output error")

    def test_start_that_failed(self) -> None:
        """What was never measured is not counted as new."""
        watch = UsageWatch(
            Quota(self.account, self.rescan),
            Home.open(str(self.home)),
            Home.open(str(self.home / "r")),
            run_in_thread=run_now,
            clock=self.clock,
            stop=lambda: None,
        )
        scandir = os.scandir
        self.patch(os, "scandir", self._fails)
        self.failureResultOf(Deferred.fromCoroutine(watch.start()), OSError)
        self.patch(os, "scandir", scandir)
        self.finish(watch.end())
        self.assertEqual((self.used(), self.rescanned, self.told), ((2, 100), [2], ["began", "ended"]))

    def test_ended_although_the_scan_fails(self) -> None:
        """The account must not count as busy for ever."""
        watch = self.watch()
        self.patch(os, "scandir", self._fails)
        self.failureResultOf(Deferred.fromCoroutine(watch.end()), OSError)
        self.assertEqual(self.told, ["began", "ended"])


class QuotaTests(_Case):
    """Room, and whose usage is kept."""

    def test_room(self) -> None:
        quota = Quota(self.account, self.rescan)
        self.assertEqual((quota.room(), quota.exceeded()), (900, False))
        self.account.ledger.count(0, 901)
        self.assertEqual((quota.room(), quota.exceeded()), (0, True))
        unlimited = Quota(Account(Ledger(9, 9), Limits()), self.rescan)
        self.assertEqual((unlimited.room(), unlimited.exceeded()), (None, False))
        self.assertTrue(Quota(Account(Ledger(6, 0), self.limits), self.rescan).exceeded())

    def test_keeper(self) -> None:
        plain, limited = make_filesystem(self), make_filesystem(self, quota_files=1)
        for track, kept in ((0, (False, False)), (1, (True, True)), (2, (False, True))):
            keeper = QuotaKeeper(track, lambda user, home: None)
            self.assertEqual(tuple(keeper.of(files) is not None for files in (plain, limited)), kept)
