from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import ProviderError
from sftpgo.health import HealthCheck
from sftpgo.log import Log


class Health(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[bool] = []
        self.lines: list[str] = []
        self.asked = 0
        self.answer: Deferred[None] | Exception | None = None
        log = Log("dataProvider", lambda event: self.lines.append(event["text"]))
        provider: Any = self
        self.health = HealthCheck(provider, self.clock, log, self.told.append)

    async def check(self) -> None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            await self.answer

    def test_each_half_minute(self) -> None:
        self.health.start()
        self.assertEqual((self.asked, self.told), (1, [True]))
        self.clock.pump([10, 10, 9.9])
        self.assertEqual(self.asked, 1)
        self.clock.pump([0.1, 30, 30])
        self.assertEqual((self.asked, self.told), (4, [True] * 4))
        self.assertEqual(self.lines, ["the data provider is available"])

    def test_goes_and_comes(self) -> None:
        self.health.start()
        self.answer = ProviderError("nobody there")
        self.clock.pump([30, 30, 30])
        self.assertFalse(self.health.available)
        self.answer = None
        self.clock.advance(30)
        self.assertEqual(self.told, [True, False, False, False, True])
        self.assertEqual(
            self.lines,
            [
                "the data provider is available",
                "the data provider is not available: nobody there",
                "the data provider is available",
            ],
        )

    def test_anything_that_goes_wrong_is_no_end_of_it(self) -> None:
        self.answer = ZeroDivisionError()
        self.health.start()
        self.clock.advance(30)
        self.assertEqual((self.asked, self.told), (2, [False, False]))
        self.assertEqual(self.lines, ["the data provider is not available: ZeroDivisionError"])

    def test_silence_is_not_waited_for(self) -> None:
        self.answer = Deferred()
        self.health.start()
        self.clock.advance(9.9)
        self.assertEqual(self.told, [])
        self.clock.advance(0.1)
        self.assertEqual(self.told, [False])
        self.assertIn("no answer within 10 s", self.lines[0])

    def test_stop(self) -> None:
        self.answer = Deferred()
        self.health.start()
        self.health.stop()
        self.assertEqual((self.told, self.lines), ([False], []))
        self.clock.pump([30, 30])
        self.assertEqual(self.asked, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
