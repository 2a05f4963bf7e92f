"""What the data provider knows at the end of the server, and what is written down for the next start."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from sftpgo.avatars.accounting import QUIET
from tests.avatars.ground import result_of
from tests.avatars.test_accounting import AccountingCase


class StopTests(AccountingCase):
    def test_tells_what_is_left(self) -> None:
        ground = self.begin()
        files = ground.login()
        ground.provider.down = True
        self.put(files)
        ground.provider.down = False
        result_of(ground.ledgers.stop())
        self.assertEqual(ground.used(), (1, 5))
        self.assertEqual(self.unsettled(), set())
        self.assertEqual(ground.clock.getDelayedCalls(), [])

    def test_what_cannot_be_told_is_written_down(self) -> None:
        ground = self.begin()
        files = ground.login()
        self.put(files)
        ground.clock.advance(QUIET)
        ground.provider.down = True
        self.put(files, b"/g")
        result_of(ground.ledgers.stop())
        self.assertEqual(self.unsettled(), {"u"})

    def test_tells_what_came_while_it_was_telling(self) -> None:
        """The data provider is closed next: it has to know all by then."""
        ground = self.begin()
        files = ground.login()
        slow: list[Deferred[None]] = []
        real = ground.provider.update_quota

        async def update_quota(*args) -> None:
            slow.append(Deferred())
            await slow[-1]
            await real(*args)

        ground.provider.update_quota = update_quota
        for number in range(3):
            self.put(files, b"/%d" % number)
        files.close()
        stopped: list[None] = []
        Deferred.fromCoroutine(ground.ledgers.stop()).addCallback(stopped.append)
        slow[0].callback(None)
        self.assertEqual(([], 2), (stopped, len(slow)))
        slow[1].callback(None)
        self.assertEqual([None], stopped)
        self.assertEqual(ground.used(), ground.on_disk())
        self.assertEqual(self.unsettled(), set())

    def test_a_defect_of_the_provider_is_one_users_alone(self) -> None:
        ground = self.begin(pause=0.5)
        real = ground.provider.update_quota
        other = attrs.evolve(ground.user, id=0, username="other")
        account = result_of(ground.ledgers.enter(result_of(ground.provider.add(other))))
        files = ground.login()

        async def update_quota(username: str, *args: Any) -> None:
            if username == "u":
                raise RuntimeError("a defect")
            await real(username, *args)

        for number in range(2):  # the second is not told before the end
            self.put(files, b"/%d" % number)
            account.ledger.count(1, 7)
            account.flush()
        files.close()
        ground.provider.update_quota = update_quota
        result_of(ground.ledgers.stop())
        self.assertEqual(result_of(ground.provider.used_quota("other")), (2, 14))
        self.assertEqual(self.unsettled(), {"u"})
        self.assertTrue(any("could not be stored" in event.get("text", "") for event in ground.events))
