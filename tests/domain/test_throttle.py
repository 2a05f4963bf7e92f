"""Bytes a second, exactly and fairly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.throttle import BURST, Flow, Throttle


class ThrottleTests(SynchronousTestCase):
    def drain(self, throttle: Throttle, now: float = 0.0) -> list[tuple[float, object]]:
        """Everything that waits, each with the moment it passed."""
        passed = []
        while (due := throttle.next_at()) is not None:
            now = max(now, due)
            passed += [(now, item) for item in throttle.pop(now)]
        return passed

    def test_paid_before_it_passes(self) -> None:
        throttle: Throttle[str] = Throttle(1000.0)
        throttle.push(Flow(), 1250, "a", now=10.0)
        self.assertEqual(throttle.next_at(), 11.0)
        self.assertEqual(throttle.pop(10.99), [])
        self.assertEqual(throttle.pop(11.0), ["a"])
        self.assertIsNone(throttle.next_at())

    def test_a_pause_is_worth_the_burst_and_no_more(self) -> None:
        throttle: Throttle[str] = Throttle(1000.0)
        flow: Flow[str] = Flow()
        for now in (0.0, 5000.0):
            throttle.push(flow, int(1000 * BURST), "burst", now)
            throttle.push(flow, 100, "rest", now)
            self.assertEqual(throttle.pop(now), ["burst"])
            self.assertAlmostEqual(throttle.next_at(), now + 0.1)
            throttle.pop(now + 0.1)

    def test_late_timers_lose_nothing(self) -> None:
        """While somebody waits the time that passes is not lost, however late the timer."""
        throttle: Throttle[int] = Throttle(1000.0)
        flow: Flow[int] = Flow()
        for number in range(100):
            throttle.push(flow, 100, number, 0.0)
        self.assertEqual(len(throttle.pop(4.0)), 42)  # four seconds, and the burst's quarter
        self.assertEqual(len(throttle.pop(5.0)), 10)

    def test_equal_shares(self) -> None:
        """One who has much waiting and one who waits for each answer get the same."""
        throttle: Throttle[str] = Throttle(10_000.0)
        greedy: Flow[str] = Flow()
        modest: Flow[str] = Flow()
        for _ in range(64):
            throttle.push(greedy, 500, "greedy", 0.0)
        throttle.push(modest, 500, "modest", 0.0)
        counts = {"greedy": 0, "modest": 0}
        while sum(counts.values()) < 80:
            now = throttle.next_at()
            for item in throttle.pop(now):
                counts[item] += 1
                throttle.push(greedy if item == "greedy" else modest, 500, item, now)
        self.assertLessEqual(abs(counts["greedy"] - counts["modest"]), 2, counts)

    def test_shares_are_of_bytes(self) -> None:
        throttle: Throttle[int] = Throttle(1000.0)
        small: Flow[int] = Flow()
        large: Flow[int] = Flow()
        for _ in range(100):
            throttle.push(small, 10, 10, 0.0)
        for _ in range(10):
            throttle.push(large, 100, 100, 0.0)
        first = [item for _, item in self.drain(throttle)][:55]
        self.assertApproximates(sum(x for x in first if x == 10), sum(x for x in first if x == 100), 110)

    def test_drop(self) -> None:
        throttle: Throttle[str] = Throttle(10.0)
        leaving: Flow[str] = Flow()
        throttle.push(leaving, 100, "a", 0.0)
        throttle.push(leaving, 100, "b", 0.0)
        throttle.push(Flow(), 10, "c", 0.0)
        self.assertEqual(throttle.drop(leaving), ["a", "b"])
        self.assertEqual([item for _, item in self.drain(throttle)], ["c"])
        self.assertEqual(throttle.drop(leaving), [])

    @given(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5000), st.floats(0, 2)), max_size=60),
        st.sampled_from([100.0, 1000.0, 12345.0]),
    )
    @settings(max_examples=100, deadline=None)
    def test_never_ahead_and_never_idle(self, arrivals: list[tuple[int, int, float]], rate: float) -> None:
        """By any moment no more has passed than rate and burst allow, and with a queue no less."""
        throttle: Throttle[int] = Throttle(rate)
        flows: list[Flow[int]] = [Flow() for _ in range(4)]
        now = total = 0.0
        waiting = 0
        start = None
        for which, count, pause in arrivals:
            now += pause
            for item in throttle.pop(now):
                total += item
                waiting -= 1
            if not waiting:
                start, total = now, 0.0
            throttle.push(flows[which], count, count, now)
            waiting += 1
            self.assertLessEqual(total, (now - start + BURST) * rate + 1e-6)
        if start is not None:
            for at, item in self.drain(throttle, now):
                total += item
                self.assertLessEqual(total, (at - start + BURST) * rate * (1 + 1e-9) + 1e-3)
            end = max(at, now)
            self.assertGreaterEqual(
                total, (end - start) * rate * (1 - 1e-9) - max(count for _, count, _ in arrivals) if end > now else 0
            )
