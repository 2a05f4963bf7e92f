"""Limits of bandwidth: exact over time, shared by all of a user's transfers, at nobody else's cost."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.bandwidth import UNLIMITED, Gates
from sftpgo.domain.user import User
from tests.avatars.ground import Ground

BLOCK = 32 * 1024


class GatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def gates(self, *, per_transfer: bool = False) -> Gates:
        return Gates(self.clock, self.clock.seconds, per_transfer=per_transfer)

    def user(self, name: str = "u", up: int = 0, down: int = 0) -> User:
        return User(username=name, upload_bandwidth=up, download_bandwidth=down)

    def run_flows(self, flows: list, seconds: float, block: int = BLOCK, outstanding: int = 4) -> list[int]:
        """Bytes that pass, each flow wanting as much as it gets, with so many requests at once."""
        passed = [0] * len(flows)

        def again(_result: object, number: int) -> None:
            passed[number] += block
            ask(number)

        def ask(number: int) -> None:
            waiting = flows[number].wait(block)
            if waiting is None:
                again(None, number)
            else:
                waiting.addCallback(again, number)
                waiting.addErrback(lambda failure: failure.trap(ConnectionAbortedError))

        for number in range(len(flows)):
            for _ in range(outstanding):
                ask(number)
        for _ in range(int(seconds * 100)):
            self.clock.advance(0.01)
        return passed

    def test_within_five_percent_over_thirty_seconds(self) -> None:
        for kilobytes in (10, 64, 1000, 50_000):
            self.clock = Clock()
            flow = self.gates().enter(self.user(up=kilobytes)).upload()
            (passed,) = self.run_flows([flow], 30.0, block=min(BLOCK, kilobytes * 250))
            self.assertApproximates(passed / (30 * kilobytes * 1000), 1.0, 0.05)

    def test_shared_by_sessions_and_transfers(self) -> None:
        gates = self.gates()
        sessions = [gates.enter(self.user(up=1000)) for _ in range(3)]
        flows = [session.upload() for session in sessions for _ in range(2)]
        passed = self.run_flows(flows, 30.0)
        self.assertApproximates(sum(passed) / 30e6, 1.0, 0.05)
        self.assertLess(max(passed) - min(passed), 250_000 + 3 * BLOCK)  # the burst was the first one's

    def test_fair_to_one_who_asks_less_at_once(self) -> None:
        gates = self.gates()
        greedy, modest = (gates.enter(self.user(down=1000)).download() for _ in range(2))
        counts = {greedy: 0, modest: 0}

        def run(flow, outstanding: int) -> None:
            def again(_result: object) -> None:
                counts[flow] += BLOCK
                ask()

            def ask() -> None:
                while (waiting := flow.wait(BLOCK)) is None:
                    counts[flow] += BLOCK
                waiting.addCallback(again).addErrback(lambda f: f.trap(ConnectionAbortedError))

            for _ in range(outstanding):
                ask()

        run(greedy, 64)
        run(modest, 1)
        for _ in range(3000):
            self.clock.advance(0.01)
        self.assertApproximates(counts[greedy] / counts[modest], 1.0, 0.1)

    def test_per_transfer(self) -> None:
        session = self.gates(per_transfer=True).enter(self.user(up=100))
        passed = self.run_flows([session.upload(), session.upload()], 30.0)
        for bytes_ in passed:
            self.assertApproximates(bytes_ / 3e6, 1.0, 0.05)

    def test_directions_and_users_are_apart(self) -> None:
        gates = self.gates()
        both = gates.enter(self.user(up=100, down=200))
        other = gates.enter(self.user("v", up=300))
        passed = self.run_flows([both.upload(), both.download(), other.upload()], 30.0)
        for bytes_, rate in zip(passed, (1e5, 2e5, 3e5), strict=True):
            self.assertApproximates(bytes_ / (30 * rate), 1.0, 0.05)
        self.assertIsNone(other.download())

    def test_no_limit_costs_nothing(self) -> None:
        for limit in (0, -1):
            self.assertIs(self.gates().enter(self.user(up=limit, down=limit)), UNLIMITED)

    def test_new_limit_holds_for_all_sessions(self) -> None:
        gates = self.gates()
        flow = gates.enter(self.user(up=100)).upload()
        gates.enter(self.user(up=1000))
        (passed,) = self.run_flows([flow], 30.0)
        self.assertApproximates(passed / 30e6, 1.0, 0.05)

    def test_forgotten_with_the_last_session(self) -> None:
        gates = self.gates()
        first, second = gates.enter(self.user(up=1)), gates.enter(self.user(up=1))
        first.left()
        self.assertEqual(len(gates._gates), 1)
        second.left()
        self.assertEqual((len(gates._gates), len(gates._sessions)), (0, 0))

    def test_one_timer_at_most_and_none_when_all_is_still(self) -> None:
        session = self.gates().enter(self.user(up=10))
        flows = [session.upload() for _ in range(20)]
        waits = [flow.wait(1000) for flow in flows for _ in range(10)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for flow in flows:
            flow.end()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for wait in waits:
            if wait is not None:
                self.failureResultOf(wait, ConnectionAbortedError)

    def test_clock_of_its_own(self) -> None:
        """Timers run by the reactor; how much has been paid is told by the clock that does not jump."""
        steady = [0.0]
        gate = Gates(self.clock, lambda: steady[0], per_transfer=False).enter(self.user(up=1)).upload()
        gate.wait(250)
        wait = gate.wait(1000)
        self.clock.advance(86400)  # somebody set the clock
        self.assertNoResult(wait)
        steady[0] = 1.0
        self.clock.advance(1.0)
        self.assertIsNone(self.successResultOf(wait))


class LimitedTransferTests(SynchronousTestCase):
    """An open file of a limited user."""

    def setUp(self) -> None:
        self.ground = Ground()
        self.addCleanup(self.ground.end)
        gates = Gates(self.ground.clock, self.ground.clock.seconds, per_transfer=False)
        self.files = self.ground.login(
            bandwidth=gates.enter(User(username="u", upload_bandwidth=1, download_bandwidth=2))
        )

    def test_upload(self) -> None:
        file = self.files.open_for_writing(b"/f")
        self.assertFalse(file.writeFrom(memoryview(b"x"), 0))
        self.assertIsNone(file.writeChunk(0, b"x" * 250))
        second = file.writeChunk(250, b"x" * 1000)
        self.assertEqual((self.ground.home / "f").stat().st_size, 1250)
        self.assertEqual(file.transfer.waiting, 1)
        self.ground.clock.advance(0.99)
        self.assertNoResult(second)
        self.ground.clock.advance(0.02)
        self.assertIsNone(self.successResultOf(second))
        self.assertEqual(file.transfer.waiting, 0)
        self.assertIsNone(file.close())

    def test_download_is_read_when_it_is_paid_for(self) -> None:
        (self.ground.home / "f").write_bytes(b"x" * 3000)
        file = self.files.open_for_reading(b"/f")
        self.assertIsNone(file.readInto(memoryview(bytearray(10)), 0))
        self.assertEqual(len(file.readChunk(0, 500)), 500)
        second = file.readChunk(500, 2000)
        last = file.readChunk(2500, 99999)
        self.assertEqual(file.transfer.size, 500)
        self.ground.clock.advance(1.0)
        self.assertEqual(len(self.successResultOf(second)), 2000)
        self.assertNoResult(last)
        self.ground.clock.advance(0.25)
        self.assertEqual(len(self.successResultOf(last)), 500)
        self.assertEqual(file.readChunk(3000, 99999), b"")
        self.assertIsNone(file.close())

    def test_close_waits_and_abort_does_not(self) -> None:
        (self.ground.home / "f").write_bytes(b"x" * 3000)
        file = self.files.open_for_reading(b"/f")
        reads = [file.readChunk(0, 500), file.readChunk(0, 2000)]
        closing = file.close()
        self.assertNoResult(closing)
        self.ground.clock.advance(1.0)
        self.assertEqual(len(self.successResultOf(reads[1])), 2000)
        self.assertIsNone(self.successResultOf(closing))
        file = self.files.open_for_reading(b"/f")
        pending = [file.readChunk(0, 2000) for _ in range(3)]
        file.abort()
        for read in pending:
            self.assertIsInstance(read, Deferred)
            self.failureResultOf(read)
        self.assertEqual(self.ground.clock.getDelayedCalls(), [])
        self.assertEqual(self.ground.registry.transfers(), 0)
