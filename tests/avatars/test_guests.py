"""Guests: users whom no data provider knows, and what they use meanwhile."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.accounting import Ledgers
from sftpgo.avatars.guests import GuestProvider
from sftpgo.domain.user import User
from sftpgo.errors import QuotaExceeded
from sftpgo.hooks import account
from sftpgo.log import Log
from tests.avatars.ground import ShakyProvider, result_of
from tests.doubles import Events, run_now


class QuotaTests(SynchronousTestCase):
    """A guest's limits hold for all their connections together, as everybody's do."""

    def setUp(self) -> None:
        self.provider = ShakyProvider()
        self.guests = GuestProvider(self.provider)
        self.ledgers = Ledgers(
            self.guests,
            track_quota=2,
            writable=True,
            mark_all=False,
            scheduler=Clock(),
            now=lambda: 1.0,
            run_in_thread=run_now,
            log=Log("sftpd", Events()),
        )

    def login(self, guest: User):
        self.guests.welcome(guest)
        return result_of(self.ledgers.enter(guest))

    def test_no_more_room_by_another_login(self) -> None:
        guest = account("g", "/h", quota_files=3, used_quota_files=1)
        first = self.login(guest)
        for inode in range(2):
            first.ledger.created(inode)
        first.flush()
        second = self.login(guest)
        self.assertEqual(second.ledger.files, 3)
        with self.assertRaises(QuotaExceeded):
            second.require_room(new_file=True)
        first.left()
        with self.assertRaises(QuotaExceeded):
            self.login(guest).require_room(new_file=True)
        self.assertEqual(self.provider.updates, [])

    def test_from_the_record_again_when_they_were_gone(self) -> None:
        """What is in their home then, only the program around knows."""
        first = self.login(account("g", "/h", quota_files=3))
        first.ledger.created(1)
        first.flush()
        first.left()
        self.assertEqual(self.login(account("g", "/h", quota_files=3, used_quota_files=2)).ledger.files, 2)
