from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.actions.queue import HookQueue, Job
from sftpgo.log import Log
from tests.doubles import Events


class World:
    """A queue whose jobs end when the test says so."""

    def __init__(self, limit: int = 100, concurrency: int = 2) -> None:
        self.clock = Clock()
        self.events = Events()
        self.drops = 0
        self.started: list[str] = []
        self.ended: list[str] = []
        self.open: dict[str, Deferred[None]] = {}
        self.queue = HookQueue(
            self.clock, Log("actions", self.events), self._drop, limit=limit, concurrency=concurrency
        )

    def _drop(self) -> None:
        self.drops += 1

    def job(self, name: str) -> Job:
        async def run() -> None:
            self.started.append(name)
            self.open[name] = Deferred()
            await self.open[name]
            self.ended.append(name)

        return run

    def submit(self, *names: str) -> None:
        """Names are C{user} and a digit; the user is the key."""
        for name in names:
            self.queue.submit(name[0], self.job(name))

    def turn(self) -> None:
        self.clock.advance(0)

    def end(self, name: str) -> None:
        self.open.pop(name).callback(None)
        self.turn()

    def texts(self) -> list[str]:
        return [event["text"] for event in self.events]

    def stop(self, grace: float) -> Deferred[None]:
        return Deferred.fromCoroutine(self.queue.stop(grace))


class Order(SynchronousTestCase):
    def test_a_later_turn(self) -> None:
        world = World()
        world.submit("a1")
        self.assertEqual(world.started, [])
        world.turn()
        self.assertEqual(world.started, ["a1"])

    def test_one_after_the_other_for_a_user(self) -> None:
        world = World(concurrency=8)
        world.submit("a1", "a2", "b1", "a3")
        world.turn()
        self.assertEqual(world.started, ["a1", "b1"])
        world.end("b1")
        self.assertEqual(world.started, ["a1", "b1"])
        world.end("a1")
        self.assertEqual(world.started, ["a1", "b1", "a2"])
        world.end("a2")
        self.assertEqual(world.started[-1], "a3")

    def test_concurrency(self) -> None:
        world = World(concurrency=2)
        world.submit("a1", "b1", "c1", "d1")
        world.turn()
        self.assertEqual(world.started, ["a1", "b1"])
        world.end("b1")
        self.assertEqual(world.started, ["a1", "b1", "c1"])

    def test_a_user_with_many_events_waits_for_the_others(self) -> None:
        world = World(concurrency=1)
        world.submit("a1", "a2", "a3", "b1")
        world.turn()
        world.end("a1")
        self.assertEqual(world.started, ["a1", "b1"])

    def test_a_job_that_raises(self) -> None:
        world = World()

        async def broken() -> None:
            raise RuntimeError("boom")

        world.queue.submit("a", broken)
        world.submit("a1")
        world.turn()
        world.turn()
        self.assertEqual((world.drops, world.started), (1, ["a1"]))
        self.assertIn("unexpected", world.texts()[0])

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.one_of(st.sampled_from("abc"), st.integers(0, 9)), max_size=60), st.integers(1, 4))
    def test_any_history(self, history: list[str | int], concurrency: int) -> None:
        world = World(concurrency=concurrency)
        submitted: list[str] = []
        for step in history:
            if isinstance(step, str):
                submitted.append(f"{step}{len(submitted)}")
                world.submit(submitted[-1])
                world.turn()
            elif world.open:
                world.end(sorted(world.open)[step % len(world.open)])
            running = list(world.open)
            self.assertLessEqual(len(running), concurrency)
            self.assertEqual(len({name[0] for name in running}), len(running))
            # Nothing waits that could run.
            waiting = {name[0] for name in submitted} - {name[0] for name in running}
            if len(running) < concurrency:
                self.assertFalse([n for n in submitted if n not in world.started and n[0] in waiting])
        while world.open:
            world.end(next(iter(world.open)))
        for key in "abc":
            self.assertEqual([n for n in world.ended if n[0] == key], [n for n in submitted if n[0] == key])


class Bound(SynchronousTestCase):
    def test_overflow_is_counted_and_told_twice(self) -> None:
        world = World(limit=4, concurrency=1)
        world.submit("a0")
        world.turn()
        world.submit(*(f"a{number}" for number in range(1, 8)))
        self.assertEqual(world.drops, 3)
        self.assertEqual(world.texts(), ["the queue of hooks is full with 4 events, new ones are dropped"])
        world.end("a0")
        world.submit("a8")  # takes the place that came free
        world.submit("a9")
        self.assertEqual((world.drops, len(world.texts())), (4, 1))
        for name in ("a1", "a2", "a3", "a4"):
            world.end(name)
        self.assertEqual(world.texts()[1:], ["4 events were dropped while the queue of hooks was full"])
        world.end("a8")
        self.assertEqual(world.ended, ["a0", "a1", "a2", "a3", "a4", "a8"])


class Stopping(SynchronousTestCase):
    def test_idle(self) -> None:
        world = World()
        self.successResultOf(world.stop(5))
        self.assertEqual((world.texts(), world.clock.getDelayedCalls()), ([], []))

    def test_all_ends_within_the_grace(self) -> None:
        world = World(concurrency=1)
        world.submit("a1", "a2")
        world.turn()
        stopped = world.stop(5)
        world.end("a1")
        self.assertNoResult(stopped)
        world.end("a2")
        self.successResultOf(stopped)
        self.assertEqual((world.drops, world.texts(), world.clock.getDelayedCalls()), (0, [], []))

    def test_the_grace_passes(self) -> None:
        world = World(concurrency=1)
        world.submit("a1", "a2", "b1")
        world.turn()
        stopped = world.stop(5)
        world.clock.advance(4.9)
        self.assertNoResult(stopped)
        world.clock.advance(0.2)
        self.successResultOf(stopped)
        self.assertEqual((world.drops, world.ended), (3, []))
        self.assertEqual(world.texts(), ["hooks are stopped: 1 interrupted, 2 waiting events dropped"])
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_waits_for_the_end_of_what_was_interrupted(self) -> None:
        world = World()
        killed: Deferred[None] = Deferred()

        async def stubborn() -> None:
            try:
                await Deferred[Any]()
            except CancelledError:
                await killed
                raise

        world.queue.submit("a", stubborn)
        world.turn()
        stopped = world.stop(0)
        self.assertNoResult(stopped)
        killed.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(world.drops, 1)

    def test_before_the_first_turn(self) -> None:
        world = World()
        world.submit("a1")
        self.successResultOf(world.stop(0))
        world.turn()
        self.assertEqual((world.started, world.drops), ([], 1))

    def test_afterwards_events_are_dropped(self) -> None:
        world = World()
        self.successResultOf(world.stop(0))
        world.submit("a1")
        world.turn()
        self.assertEqual((world.started, world.drops), ([], 1))
        self.assertEqual(world.texts(), ["an event came after the hooks were stopped, it is dropped"])
