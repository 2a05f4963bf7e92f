"""The ledger of one user."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.quota import Ledger, Limits
from sftpgo.errors import QuotaExceeded


class LedgerTests(SynchronousTestCase):
    def used(self, ledger: Ledger) -> tuple[int, int]:
        return ledger.files, ledger.size

    def test_reached_is_refused(self) -> None:
        limits = Limits(files=2, size=100)
        for files, size, new_file, refused in [
            (1, 99, True, False),
            (2, 99, True, True),
            (2, 99, False, False),
            (1, 100, False, True),
            (0, 100, True, True),
        ]:
            ledger = Ledger(files, size)
            if refused:
                self.assertRaises(QuotaExceeded, ledger.require_room, limits, new_file=new_file)
            else:
                ledger.require_room(limits, new_file=new_file)

    def test_no_limit(self) -> None:
        for limits in (Limits(), Limits(-1, -5)):
            ledger = Ledger(10**9, 10**18)
            ledger.require_room(limits, new_file=True)
            ledger.grow(ledger.created("a"), 10**18, limits)

    def test_text_names_the_limit(self) -> None:
        ledger = Ledger(3, 100)
        error = self.assertRaises(QuotaExceeded, ledger.require_room, Limits(size=100), new_file=True)
        self.assertEqual(str(error), "Quota exceeded: no more than 100 bytes may be stored")
        error = self.assertRaises(QuotaExceeded, ledger.require_room, Limits(files=3), new_file=True)
        self.assertEqual(str(error), "Quota exceeded: no more than 3 files may be stored")

    def test_a_refused_write_takes_nothing(self) -> None:
        ledger = Ledger(0, 0)
        stake = ledger.created("a")
        ledger.grow(stake, 60, Limits(size=100))
        self.assertRaises(QuotaExceeded, ledger.grow, stake, 101, Limits(size=100))
        ledger.grow(stake, 100, Limits(size=100))
        ledger.grow(stake, 30, Limits(size=100))
        self.assertEqual(self.used(ledger), (1, 100))

    def test_held_takes_room_but_is_not_used(self) -> None:
        ledger, limits = Ledger(1, 40), Limits(files=2, size=100)
        first = ledger.held("a", credit=0, new_file=True)
        ledger.grow(first, 60, limits)
        self.assertEqual(self.used(ledger), (1, 40))
        self.assertRaises(QuotaExceeded, ledger.require_room, limits, new_file=False)
        ledger.require_commit(first, None, limits)
        ledger.commit(first)
        ledger.closed(first)
        self.assertEqual((self.used(ledger), ledger.held_files, ledger.held_size), ((2, 100), 0, 0))

    def test_credit_is_what_the_commit_frees(self) -> None:
        ledger, limits = Ledger(1, 90), Limits(size=100)
        stake = ledger.held("new", credit=90, new_file=False)
        ledger.grow(stake, 100, limits)
        self.assertEqual(ledger.held_size, 10)
        old = ledger.lookup("old", 90)
        ledger.require_commit(stake, old, limits)
        ledger.unlinked("old", 90)
        ledger.commit(stake)
        self.assertEqual(self.used(ledger), (1, 100))

    def test_credit_that_is_gone_is_refused_at_the_commit(self) -> None:
        """The file to be replaced was renamed away meanwhile: its bytes are not freed after all."""
        ledger, limits = Ledger(1, 90), Limits(files=1, size=100)
        stake = ledger.held("new", credit=90, new_file=False)
        ledger.grow(stake, 100, limits)
        self.assertRaises(QuotaExceeded, ledger.require_commit, stake, None, limits)
        stake = ledger.held("small", credit=90, new_file=False)
        ledger.grow(stake, 1, limits)
        self.assertRaises(QuotaExceeded, ledger.require_commit, stake, None, Limits(files=1))

    def test_removed_while_it_is_written(self) -> None:
        """It is no usage any more, but its blocks are still taken until it is closed."""
        ledger, limits = Ledger(), Limits(size=100)
        stake = ledger.created("a")
        ledger.grow(stake, 80, limits)
        ledger.unlinked("a", 80)
        self.assertEqual((self.used(ledger), ledger.held_size), ((0, 0), 80))
        self.assertRaises(QuotaExceeded, ledger.grow, stake, 101, limits)
        ledger.closed(stake)
        self.assertEqual(ledger.held_size, 0)

    def test_two_handles_are_one_file(self) -> None:
        ledger = Ledger(1, 10)
        first, second = ledger.opened("a", 10), ledger.opened("a", 10)
        self.assertIs(first, second)
        ledger.settle(first, 50)
        ledger.closed(first)
        ledger.settle(second, 20)
        ledger.closed(second)
        self.assertEqual(self.used(ledger), (1, 20))
        self.assertEqual(ledger.open_inodes(), frozenset())

    def test_never_negative(self) -> None:
        ledger = Ledger(0, 5)
        ledger.unlinked("somebody else's", 100)
        self.assertEqual(self.used(ledger), (0, 0))
        self.assertEqual(ledger.changes(), (-1, -100))

    def test_changes_are_told_once_or_given_back(self) -> None:
        ledger = Ledger()
        ledger.count(1, 10)
        taken = ledger.take_changes()
        ledger.count(1, 5)
        self.assertEqual((taken, ledger.changes()), ((1, 10), (1, 5)))
        ledger.give_back(*taken)
        self.assertEqual(ledger.changes(), (2, 15))
        ledger.loaded(100, 1000)
        self.assertEqual(self.used(ledger), (102, 1015))

    def test_reset_counts_what_is_open_beside_the_scan(self) -> None:
        ledger = Ledger(9, 999)
        open_file = ledger.opened("a", 10)
        ledger.held("b", credit=0, new_file=True)
        ledger.settle(open_file, 30)
        self.assertEqual(ledger.reset(4, 400), (5, 430))
        self.assertEqual(ledger.changes(), (0, 0))
        ledger.settle(open_file, 50)
        self.assertEqual(self.used(ledger), (5, 450))

    def test_resize_by_name(self) -> None:
        ledger, limits = Ledger(2, 60), Limits(size=100)
        ledger.resize("a", 10, 50, limits)
        self.assertEqual(ledger.size, 100)
        self.assertRaises(QuotaExceeded, ledger.resize, "a", 50, 51, limits)
        stake = ledger.opened("a", 50)
        ledger.resize("a", 50, 0, limits)
        self.assertEqual((ledger.size, stake.size), (50, 0))
