"""Who may end the server, and when it waits no longer."""

from __future__ import annotations

import signal

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.portable.stopping import Stopping


class FakeReactor(Clock):
    """Counts how often it is stopped; a real one takes that once."""

    stops = 0

    def stop(self) -> None:
        self.stops += 1


class StoppingTests(SynchronousTestCase):
    """The steps of it."""

    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
        self.reactor = FakeReactor()
        self.registry = ConnectionRegistry()
        self.closed: list[str] = []
        for name in ("busy", "idle"):
            self.registry.opened(
                name, client_version="", remote_address="", close=lambda name=name: self.closed.append(name), now=0
            )
        self.said: list[str] = []
        self.stopping = Stopping(self.reactor, self.registry, self.said.append)

    def test_nothing_runs(self) -> None:
        self.stopping.interrupted()
        self.assertEqual((self.reactor.stops, self.said, self.closed), (1, [], []))

    def test_twice(self) -> None:
        """The second time ends what runs, and no other connection: those have been told already."""
        self.registry.transfer_started("busy", "upload", "/a", 0)
        self.registry.transfer_started("busy", "download", "/b", 0)
        self.stopping.interrupted()
        self.assertEqual(self.closed, [])
        self.assertIn("2 transfers may end. Ctrl-C again ends them at once.", self.said[0])
        self.stopping.interrupted()
        self.assertEqual((self.reactor.stops, self.closed), (1, ["busy"]))
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.SIG_DFL)

    def test_terminated(self) -> None:
        """Nobody will press again: after 30 seconds it is over, once."""
        self.registry.transfer_started("busy", "upload", "/a", 0)
        self.stopping.terminated()
        self.reactor.advance(29)
        self.stopping.terminated()
        self.assertEqual((self.reactor.stops, self.closed), (1, []))
        self.reactor.advance(1)
        self.assertEqual(self.closed, ["busy"])
        self.reactor.advance(100)
        self.assertEqual((self.reactor.stops, self.closed), (1, ["busy"]))

    def test_terminated_after_ctrl_c(self) -> None:
        """Who waited without an end is given one."""
        self.registry.transfer_started("busy", "upload", "/a", 0)
        self.stopping.interrupted()
        self.stopping.terminated()
        self.reactor.advance(30)
        self.assertEqual(self.closed, ["busy"])
