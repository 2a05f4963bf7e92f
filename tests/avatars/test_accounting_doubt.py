"""A data provider that falls silent in the middle of a change: what is used is right again by itself."""

from __future__ import annotations

import shutil

from sftpgo.avatars.accounting import DOUBT, QUIET, RETRY_FIRST
from sftpgo.avatars.recovery import Recovery
from sftpgo.log import Log
from tests.avatars.ground import result_of
from tests.avatars.test_accounting import AccountingCase
from tests.doubles import run_now


class DoubtTests(AccountingCase):
    def doubtful(self) -> Recovery:
        """A file was stored and counted twice: the answer to the first time was lost."""
        ground = self.begin()
        files = ground.login()
        ground.provider.silent = True
        self.put(files)
        self.assertEqual(self.ground.used(), (1, 5))
        ground.clock.advance(RETRY_FIRST)
        self.assertEqual(self.ground.used(), (2, 10))
        return Recovery(ground.provider, ground.ledgers, (), 0, run_now, Log("sftpd", ground.events))

    def wait(self) -> None:
        self.ground.clock.advance(DOUBT)
        self.assertEqual(self.ground.recounted, ["u"])

    def test_counted_anew(self) -> None:
        recovery = self.doubtful()
        self.ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), {"u"})  # should it be killed now, the next start counts
        self.wait()
        recovery.recount("u")
        self.assertEqual(self.ground.used(), (1, 5))
        self.assertIn("did not say whether it had stored a change: 1 files, 5 bytes", self.ground.texts()[-1])
        self.ground.clock.advance(QUIET)
        self.assertEqual(self.unsettled(), set())
        self.put(self.ground.files[0], b"/g")
        self.ground.clock.advance(DOUBT)
        self.assertEqual((self.ground.used(), self.ground.recounted), ((2, 10), ["u"]))

    def test_not_when_nothing_was_made(self) -> None:
        """A change that was refused, or never sent, was not made."""
        ground = self.begin()
        files = ground.login()
        ground.provider.down = True
        self.put(files)
        ground.provider.down = False
        ground.clock.advance(RETRY_FIRST)
        ground.clock.advance(DOUBT)
        self.assertEqual((ground.used(), ground.recounted), ((1, 5), []))

    def test_nothing_is_left_to_tell(self) -> None:
        """The file was removed before the next report: that the first one was stored is wrong all the same."""
        ground = self.begin()
        files = ground.login()
        ground.provider.silent = True
        self.put(files)
        files.remove(b"/f")
        ground.clock.advance(RETRY_FIRST)
        self.assertEqual((ground.used(), ground.recounted), ((1, 5), []))
        self.wait()
        Recovery(ground.provider, ground.ledgers, (), 0, run_now, Log("sftpd", ground.events)).recount("u")
        self.assertEqual(ground.used(), (0, 0))

    def test_a_scan_ends_it(self) -> None:
        self.doubtful()
        result_of(self.ground.ledgers.rescan(self.ground.user, self.ground.files[0].home))
        self.ground.clock.advance(DOUBT)
        self.assertEqual((self.ground.used(), self.ground.recounted), ((1, 5), []))

    def test_home_not_there(self) -> None:
        """Told, and made up for at the next login."""
        recovery = self.doubtful()
        self.wait()
        moved = self.ground.directory / "moved"
        self.ground.home.rename(moved)
        recovery.recount("u")
        self.assertIn("the next login tries again", self.ground.texts()[-1])
        self.assertEqual((self.ground.used(), self.unsettled()), ((2, 10), {"u"}))
        moved.rename(self.ground.home)
        files = self.ground.login()
        result_of(recovery.at_login(files.user, files.home))
        self.assertEqual(self.ground.used(), (1, 5))

    def test_user_gone(self) -> None:
        recovery = self.doubtful()
        self.wait()
        result_of(self.ground.provider.delete(self.ground.user.id))
        shutil.rmtree(self.ground.home)
        recovery.recount("u")
        self.assertEqual(self.unsettled(), set())

    def test_server_that_ends_before(self) -> None:
        recovery = self.doubtful()
        result_of(self.ground.ledgers.stop())
        recovery.stop()
        recovery.recount("u")
        self.assertEqual(self.ground.clock.getDelayedCalls(), [])
        self.assertEqual((self.ground.recounted, self.ground.used()), ([], (2, 10)))
