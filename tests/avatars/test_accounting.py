"""From the ledger to the data provider: once a transfer, later when it is down, and after a kill."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.accounting import QUIET, RETRY_MOST
from sftpgo.avatars.recovery import Recovery
from sftpgo.avatars.upload import UploadSettings
from sftpgo.errors import ProviderError, QuotaExceeded
from sftpgo.log import Log
from sftpgo.storage.unsettled import Unsettled
from sftpgo.storage.upload import Temporary, new_identifier, temporary_name
from tests.avatars.ground import Ground, ShakyProvider, result_of
from tests.doubles import run_now


class AccountingCase(SynchronousTestCase):
    def begin(self, mode: int = 0, **fields) -> Ground:
        options = {"track_quota": 1} | {k: fields.pop(k) for k in ("track_quota",) if k in fields}
        self.ground = Ground(settings=UploadSettings(mode), **options, **fields)
        self.addCleanup(self.ground.end)
        return self.ground

    def put(self, files, path: bytes = b"/f", content: bytes = b"12345") -> None:
        file = files.open_for_writing(path, truncate=True)
        file.writeChunk(0, content)
        file.close()

    def unsettled(self) -> set[str]:
        """Whom a server would look after that starts now."""
        copy = self.mktemp()
        with open(self.ground.unsettled.path, "rb") as file, open(copy, "wb") as other:
            other.write(file.read())
        unsettled = Unsettled(copy)
        try:
            return set(unsettled.open())
        finally:
            unsettled.close()


class PauseTests(AccountingCase):
    """A burst of small files is reported as one; what is not reported yet is written down."""

    def test_burst(self) -> None:
        ground = self.begin(pause=0.5)
        files = ground.login()
        for number in range(10):
            self.put(files, b"/%d" % number)
        self.assertEqual(ground.provider.updates, [(1, 5, False)])  # the first one at once
        self.assertEqual(self.unsettled(), {"u"})
        ground.clock.advance(0.4)
        files.remove(b"/0")
        self.assertEqual(ground.provider.updates, [(1, 5, False)])
        ground.clock.advance(0.2)
        self.assertEqual(ground.provider.updates[1:], [(8, 40, False)])
        self.assertEqual(ground.used(), ground.on_disk())
        self.put(files, b"/more")
        self.assertEqual(len(ground.provider.updates), 2)
        ground.clock.advance(0.5)
        self.assertEqual(ground.used(), ground.on_disk())
        ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), set())
        self.put(files, b"/after the quiet")
        self.assertEqual(len(ground.provider.updates), 4)
        self.assertEqual(ground.used(), ground.on_disk())

    def test_end(self) -> None:
        """At its end the server waits for no pause."""
        ground = self.begin(pause=0.5)
        files = ground.login()
        for number in range(3):
            self.put(files, b"/%d" % number)
        files.close()
        result_of(Deferred.fromCoroutine(ground.ledgers.stop()))
        self.assertEqual(ground.used(), ground.on_disk())
        self.assertEqual(ground.clock.getDelayedCalls(), [])

    def test_login_in_between(self) -> None:
        """Who logs in between two reports sees what was not reported yet."""
        ground = self.begin(pause=0.5, quota_files=3)
        files = ground.login()
        for number in range(3):
            self.put(files, b"/%d" % number)
        self.assertEqual(ground.used(), (1, 5))
        other = ground.login()
        self.assertEqual(other.account.ledger.files, 3)
        with self.assertRaises(QuotaExceeded):
            self.put(other, b"/more")


class ProviderDownTests(AccountingCase):
    def test_delays_the_accounting_not_the_transfer(self) -> None:
        ground = self.begin()
        files = ground.login()
        ground.provider.down = True
        for number in range(10):
            self.put(files, b"/%d" % number)
        files.remove(b"/0")
        self.assertEqual(ground.used(), (0, 0))
        self.assertEqual(files.account.ledger.size, 45)
        ground.clock.advance(5)
        ground.provider.down = False
        self.assertEqual(ground.provider.updates, [])
        ground.clock.advance(RETRY_MOST)
        self.assertEqual(ground.provider.updates, [(9, 45, False)])
        self.assertEqual(ground.used(), ground.on_disk())

    def test_asked_less_and_less_often(self) -> None:
        ground = self.begin()
        files = ground.login()
        ground.provider.down = True
        self.put(files)
        tries = []
        real = ground.provider.update_quota

        async def update_quota(*args):
            tries.append(ground.clock.seconds())
            await real(*args)

        ground.provider.update_quota = update_quota
        for _ in range(2000):
            ground.clock.advance(0.5)
        gaps = [round(b - a) for a, b in zip([0.0, *tries], tries, strict=False)]
        self.assertEqual(gaps[:8], [1, 2, 4, 8, 16, 32, 60, 60])
        ground.provider.down = False
        ground.clock.advance(60)
        self.assertEqual(ground.used(), (1, 5))
        self.put(files, b"/g")
        self.assertEqual(ground.used(), (2, 10))  # and at once again

    def test_slow_provider_is_told_one_thing_at_a_time(self) -> None:
        ground = self.begin()
        files = ground.login()
        answers: list[Deferred[None]] = []
        told = []

        async def update_quota(username, files_, size, now, reset=False):
            told.append((files_, size))
            answer: Deferred[None] = Deferred()
            answers.append(answer)
            await answer

        ground.provider.update_quota = update_quota
        for number in range(5):
            self.put(files, b"/%d" % number)
        self.assertEqual(told, [(1, 5)])
        answers.pop().callback(None)
        self.assertEqual(told, [(1, 5), (4, 20)])
        answers.pop().errback(ProviderError("lost"))
        ground.clock.advance(1)
        self.assertEqual(told[2], (4, 20))

    def test_user_gone(self) -> None:
        ground = self.begin()
        files = ground.login()
        result_of(ground.provider.delete(1))
        self.put(files)
        ground.clock.advance(1000)
        self.assertEqual(
            [text for text in ground.texts() if "is gone" in text], ['user "u" is gone, its usage is not kept']
        )

    def test_fresh_at_each_login(self) -> None:
        ground = self.begin(quota_size=100)
        first = ground.login()
        self.put(first)
        result_of(ground.provider.update_quota("u", 3, 60, 0, True))
        self.assertEqual(ground.login().account.ledger.size, 60)
        self.assertEqual(first.account.ledger.size, 60)

    def test_login_while_something_is_to_be_told(self) -> None:
        ground = self.begin(quota_size=100)
        files = ground.login()
        ground.provider.down = True
        self.put(files)
        ground.provider.down = False
        self.assertEqual(ground.login().account.ledger.size, 5)
        ground.clock.advance(2)
        self.assertEqual(ground.login().account.ledger.size, 5)
        self.assertEqual(ground.used(), (1, 5))

    def test_usage_that_cannot_be_read(self) -> None:
        """The login has read the record a moment ago: that must do."""
        ground = self.begin(quota_size=100)
        result_of(ground.provider.update_quota("u", 1, 70, 0))
        user = result_of(ground.provider.user_by_name("u"))
        ground.provider.down = True
        account = result_of(ground.ledgers.enter(user))
        self.assertEqual(account.ledger.size, 70)


class UnsettledTests(AccountingCase):
    def test_written_before_the_first_byte_and_taken_back_when_quiet(self) -> None:
        ground = self.begin()
        files = ground.login()
        file = files.open_for_writing(b"/f")
        self.assertEqual(self.unsettled(), {"u"})
        ground.clock.advance(3600)
        self.assertEqual(self.unsettled(), {"u"})
        file.writeChunk(0, b"12345")
        file.close()
        self.assertEqual(self.unsettled(), {"u"})
        ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), set())
        files.remove(b"/f")
        self.assertEqual(self.unsettled(), {"u"})

    def test_only_whose_usage_or_files_are_at_stake(self) -> None:
        for mode, track, marked in ((0, 0, set()), (0, 2, set()), (1, 0, {"u"}), (0, 1, {"u"})):
            ground = self.begin(mode, track_quota=track)
            file = ground.login().open_for_writing(b"/f")
            self.assertEqual(self.unsettled(), marked, (mode, track))
            file.abort()

    def test_a_file_that_cannot_be_written_stops_nobody(self) -> None:
        ground = self.begin()
        os.close(ground.unsettled._descriptor)
        ground.unsettled._descriptor = os.open(os.devnull, os.O_RDONLY)
        files = ground.login()
        self.put(files)
        self.put(files)
        self.assertEqual(len([text for text in ground.texts() if "cannot be written" in text]), 1)
        self.assertEqual(ground.used(), (1, 5))


class RescanTests(AccountingCase):
    def rescan(self):
        user = result_of(self.ground.provider.user_by_name("u"))
        return result_of(self.ground.ledgers.rescan(user, self.ground.files[0].home))

    def test_sets_memory_and_provider(self) -> None:
        ground = self.begin(quota_size=1000)
        files = ground.login()
        (ground.home / "by hand").write_bytes(b"123")
        usage = self.rescan()
        self.assertEqual((usage.files, usage.size), (1, 3))
        self.assertEqual((ground.used(), files.account.ledger.size), ((1, 3), 3))

    def test_beside_uploads(self) -> None:
        """What is being written counts once, whenever the scan comes."""
        for mode in (0, 1, 2):
            for limit in (0, 1000):
                ground = self.begin(mode, quota_size=limit)
                files = ground.login()
                self.put(files, b"/old")
                first, second = files.open_for_writing(b"/old", truncate=True), files.open_for_writing(b"/new")
                first.writeChunk(0, b"123")
                second.writeChunk(0, b"1")
                self.rescan()
                first.writeChunk(3, b"4567")
                first.close()
                second.close()
                self.assertEqual(ground.used(), ground.on_disk(), (mode, limit))
                self.assertEqual(ground.used(), (2, 8))

    def test_repeated_when_something_changes_meanwhile(self) -> None:
        ground = self.begin()
        files = ground.login()
        scans = []

        def slow(function, *args):
            scans.append(function)
            result = run_now(function, *args)
            if len(scans) < 2:
                self.put(files, b"/more")
            return result

        ground.ledgers._run_in_thread = slow
        self.rescan()
        self.assertEqual(len(scans), 2)
        self.assertEqual(ground.used(), (1, 5))

    def test_a_result_that_is_not_stored_stays_on_the_list(self) -> None:
        ground = self.begin()
        self.put(ground.login())
        ground.clock.advance(QUIET)
        ground.provider.down = True
        with self.assertRaises(ProviderError):
            self.rescan_down()
        self.put(ground.files[0], b"/g")
        ground.provider.down = False
        ground.clock.advance(1000)
        self.assertEqual(self.unsettled(), {"u"})
        self.rescan()
        ground.clock.advance(QUIET)
        self.assertEqual((self.unsettled(), ground.used()), (set(), (2, 10)))

    def rescan_down(self):
        return result_of(self.ground.ledgers.rescan(self.ground.user, self.ground.files[0].home))


class RecoveryTests(AccountingCase):
    """What a start and a login do after a kill."""

    def after_a_kill(self, mode: int, **fields) -> Recovery:
        ground = self.begin(mode, **fields)
        (ground.home / "d").mkdir()
        (ground.home / "d" / os.fsdecode(temporary_name(b"new", new_identifier()))).write_bytes(b"part")
        (ground.home / os.fsdecode(temporary_name(b"old", new_identifier()))).write_bytes(b"part")
        (ground.home / "old").write_bytes(b"whole")
        ground.unsettled.add("u")
        return self.recovery({"u"})

    def recovery(self, names: set[str]) -> Recovery:
        ground = self.ground
        log = Log("sftpd", ground.events)
        return Recovery(ground.provider, ground.ledgers, names, ground.settings.mode, run_now, log)

    def test_at_start(self) -> None:
        for mode, left in ((0, ["d", "old"]), (1, ["d", "old"]), (2, ["d", "d/new", "old"])):
            recovery = self.after_a_kill(mode)
            result_of(recovery.at_start())
            self.assertEqual(self.ground.names_on_disk(), left)
            self.assertEqual((self.ground.home / "old").read_bytes(), b"whole")
            self.assertEqual(self.ground.used(), self.ground.on_disk())
            self.ground.clock.advance(QUIET)
            self.assertEqual(self.unsettled(), set())

    def test_at_the_login_when_the_start_could_not(self) -> None:
        for mode in (0, 1, 2):
            recovery = self.after_a_kill(mode)
            self.ground.provider.down = True
            result_of(recovery.at_start())
            self.assertEqual(len([name for name in self.ground.names_on_disk() if "upload" in name]), 2)
            self.assertEqual(self.unsettled(), {"u"})
            self.ground.provider.down = False
            files = self.ground.login()
            result_of(recovery.at_login(files.user, files.home))
            self.assertEqual([name for name in self.ground.names_on_disk() if "upload" in name], [])
            self.assertEqual(self.ground.used(), self.ground.on_disk())
            self.ground.clock.advance(QUIET)
            self.assertEqual(self.unsettled(), set())

    def test_home_not_there(self) -> None:
        """Perhaps it is not mounted: nothing is counted as gone."""
        recovery = self.after_a_kill(1)
        result_of(self.ground.provider.update_quota("u", 7, 70, 0))
        moved = self.ground.directory / "moved"
        self.ground.home.rename(moved)
        result_of(recovery.at_start())
        self.assertEqual((self.ground.used(), self.unsettled()), ((7, 70), {"u"}))
        moved.rename(self.ground.home)
        files = self.ground.login()
        result_of(recovery.at_login(files.user, files.home))
        self.assertEqual(self.ground.used(), (1, 5))

    def test_stopped_in_between(self) -> None:
        """A server that is stopped does not go through a large home first; the next one does."""
        recovery = self.after_a_kill(1)
        real = recovery._run_in_thread

        def run(function, *args):
            recovery.stop()
            return real(function, *args)

        recovery._run_in_thread = run
        result_of(recovery.at_start())
        self.assertEqual(len([name for name in self.ground.names_on_disk() if "upload" in name]), 2)
        self.assertEqual(self.unsettled(), {"u"})

    def test_not_forgotten_before_it_is_looked_after(self) -> None:
        """A user who comes and goes before the recovery has got there is still on the list."""
        self.after_a_kill(1)
        self.ground.ledgers._left_over.add("u")
        self.put(self.ground.login())
        self.ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), {"u"})
        result_of(self.recovery({"u"}).at_start())
        self.ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), set())

    def test_user_gone(self) -> None:
        recovery = self.after_a_kill(1)
        result_of(self.ground.provider.delete(1))
        result_of(recovery.at_start())
        self.assertEqual(self.unsettled(), set())

    def test_every_home_once_where_uploads_are_atomic(self) -> None:
        """Nobody knows what another server, or the original, has left."""
        for mode, left in ((0, 2), (1, 0), (2, 0)):
            self.after_a_kill(mode)
            recovery = self.recovery(set())
            files = self.ground.login()
            result_of(self.ground.ledgers.rescan(self.ground.user, files.home))
            result_of(recovery.at_login(files.user, files.home))
            self.assertEqual(len([name for name in self.ground.names_on_disk() if "upload" in name]), left)
            self.assertEqual(self.ground.used(), self.ground.on_disk())
            self.after_login_again(recovery, files)

    def after_login_again(self, recovery: Recovery, files) -> None:
        stray = self.ground.home / os.fsdecode(temporary_name(b"x", new_identifier()))
        stray.touch()
        result_of(recovery.at_login(files.user, files.home))
        self.assertTrue(stray.exists())

    def test_uploads_of_the_living_are_left_alone(self) -> None:
        recovery = self.after_a_kill(1)
        files = self.ground.login()
        file = files.open_for_writing(b"/living")
        with files.home.locate(b"/another", follow=False) as place:
            foreign = Temporary.create(place, 0o600)  # of another server
        self.addCleanup(os.close, foreign.descriptor)
        self.addCleanup(foreign.release)
        result_of(recovery.at_start())
        self.assertEqual(len([name for name in self.ground.names_on_disk() if "upload" in name]), 2)
        file.writeChunk(0, b"123")
        file.close()
        self.assertEqual((self.ground.home / "living").read_bytes(), b"123")
        self.assertEqual(self.ground.used(), self.ground.on_disk())


class ShakyProviderTests(SynchronousTestCase):
    """The double itself."""

    def test_down(self) -> None:
        provider = ShakyProvider()
        provider.down = True
        self.assertRaises(ProviderError, result_of, provider.used_quota("u"))
