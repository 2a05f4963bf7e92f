"""The pool and the back-off by themselves, without a database and without waiting."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider.backoff import Backoff, DatabaseDown
from sftpgo.dataprovider.pool import Pool
from sftpgo.dataprovider.waiting import started
from sftpgo.errors import ProviderError, StartupError


@attrs.define(eq=False)
class Line:
    opened: float
    usable: bool = True
    closed: bool = False

    def close(self) -> None:
        self.closed = True


class Pools(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[Line] = []
        self.down = False
        self.attempts = 0

    async def connect(self) -> Line:
        self.attempts += 1
        if self.down:
            raise DatabaseDown("nobody there")
        self.lines.append(Line(self.clock.seconds()))
        return self.lines[-1]

    def pool(self, size: int = 2) -> Pool[Line]:
        return Pool(self.connect, size, seconds=self.clock.seconds, backoff=Backoff(self.clock.seconds), life=100.0)

    async def use(self, pool: Pool[Line], until: Deferred[None] | None = None, spoil: bool = False) -> Line:
        async with pool.connection() as line:
            if until is not None:
                await until
            line.usable = not spoil
            return line

    def begun(self, *arguments: Any, **named: Any) -> Deferred[Line]:
        return Deferred.fromCoroutine(self.use(*arguments, **named))

    def test_used_again(self) -> None:
        pool = self.pool()
        first = self.successResultOf(self.begun(pool))
        self.assertIs(self.successResultOf(self.begun(pool)), first)
        self.assertEqual(len(self.lines), 1)

    def test_no_more_than_allowed(self) -> None:
        pool = self.pool()
        ends: list[Deferred[None]] = [Deferred() for _ in range(5)]
        users = [self.begun(pool, end) for end in ends]
        self.assertEqual(len(self.lines), 2)
        for end, user in zip(ends, users, strict=True):
            self.assertNoResult(user)
            end.callback(None)
            self.successResultOf(user)
        self.assertEqual(len(self.lines), 2)

    def test_a_broken_one_is_replaced(self) -> None:
        pool = self.pool()
        first = self.successResultOf(self.begun(pool, spoil=True))
        self.assertTrue(first.closed)
        second = self.successResultOf(self.begun(pool))
        self.assertIsNot(first, second)
        second.usable = False
        third = self.successResultOf(self.begun(pool))
        self.assertIsNot(second, third)
        self.assertTrue(second.closed)

    def test_an_old_one_is_replaced(self) -> None:
        pool = self.pool()
        first = self.successResultOf(self.begun(pool))
        self.clock.advance(101)
        self.assertIsNot(self.successResultOf(self.begun(pool)), first)
        self.assertTrue(first.closed)

    def test_an_error_gives_its_place_back(self) -> None:
        pool = self.pool(1)

        async def fail() -> None:
            async with pool.connection():
                raise ProviderError("x")

        for _ in range(3):
            self.failureResultOf(Deferred.fromCoroutine(fail()), ProviderError)
        self.successResultOf(self.begun(pool))

    def test_backs_off(self) -> None:
        """However many ask: attempts are 0.1, 0.2, 0.4 ... and at most 5 seconds apart."""
        pool = self.pool()
        self.down = True
        tried = []
        for tick in range(400):
            before = self.attempts
            error = self.failureResultOf(self.begun(pool), ProviderError)
            self.assertEqual(error.getErrorMessage(), "nobody there")
            if self.attempts > before:
                tried.append(tick)
            self.clock.advance(0.05)
        gaps = [(later - earlier) * 0.05 for earlier, later in pairwise(tried)]
        for gap, want in zip(gaps, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0), strict=False):
            self.assertLess(abs(gap - want), 0.06)
        self.assertGreater(len(gaps), 6)
        self.down = False
        self.clock.advance(5)
        self.successResultOf(self.begun(pool))
        self.down = True
        self.lines[-1].usable = False
        self.failureResultOf(self.begun(pool), ProviderError)
        before = self.attempts
        self.clock.advance(0.11)
        self.failureResultOf(self.begun(pool), ProviderError)
        self.assertEqual(self.attempts, before + 1, "the delays start anew")

    def test_closing_waits_for_who_is_in(self) -> None:
        pool = self.pool(1)
        end: Deferred[None] = Deferred()
        inside, queued = self.begun(pool, end), self.begun(pool)
        closing = Deferred.fromCoroutine(pool.close())
        self.failureResultOf(self.begun(pool), ProviderError)
        self.assertNoResult(closing)
        end.callback(None)
        self.successResultOf(inside)
        self.successResultOf(queued)
        self.successResultOf(closing)
        self.assertTrue(all(line.closed for line in self.lines))


class Starting(SynchronousTestCase):
    """The wait for a database at the start."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.said: list[str] = []
        self.attempts = 0
        self.until = 0
        self.error: type[StartupError] = DatabaseDown

    async def start(self) -> None:
        self.attempts += 1
        if self.attempts <= self.until:
            raise self.error("nobody there")

    def starting(self, seconds: float) -> Deferred[None]:
        return Deferred.fromCoroutine(started(self, seconds, clock=self.clock, said=self.said.append))

    def test_at_once(self) -> None:
        self.successResultOf(self.starting(0))
        self.assertEqual(self.said, [])

    def test_no_wait(self) -> None:
        self.until = 1
        self.failureResultOf(self.starting(0), DatabaseDown)
        self.assertEqual((self.attempts, self.said), (1, []))

    def test_comes_up(self) -> None:
        self.until = 5
        starting = self.starting(10)
        self.clock.pump([1] * 4)
        self.assertNoResult(starting)
        self.clock.advance(1)
        self.successResultOf(starting)
        self.assertEqual(self.said, ["nobody there; waiting for it up to 10 s"])

    def test_does_not_come_up(self) -> None:
        self.until = 99
        starting = self.starting(10)
        self.clock.pump([1] * 9)
        self.assertNoResult(starting)
        self.clock.advance(1)
        self.failureResultOf(starting, DatabaseDown)

    def test_refusal(self) -> None:
        self.until, self.error = 1, StartupError
        self.failureResultOf(self.starting(10), StartupError)
        self.assertEqual(self.attempts, 1)
