"""Connections on which nothing happens."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.idle import IdleWatch, SteadyClock
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.log import Log
from tests.doubles import Events


class IdleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.wall = 1e9
        self.steady = SteadyClock(lambda: self.wall, self.clock.seconds)
        self.registry = ConnectionRegistry()
        self.closed: list[str] = []
        self.events = Events()

    def watch(self, minutes: int = 2) -> IdleWatch:
        watch = IdleWatch(self.registry, minutes, self.clock, self.steady, Log("sftpd", self.events))
        watch.start()
        self.addCleanup(watch.stop)
        return watch

    def now(self) -> int:
        return int(self.steady() * 1000)

    def connect(self, name: str) -> None:
        self.registry.opened(
            name, client_version="", remote_address="", close=lambda: self.closed.append(name), now=self.now()
        )
        self.registry.try_login(name, "u", 0, self.now())

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)

    def test_without_a_channel_too(self) -> None:
        self.watch()
        self.connect("bare")
        self.connect("with channel")
        self.registry.channel_opened("with channel", "SFTP", self.now())
        self.pass_time(119)
        self.assertEqual(self.closed, [])
        self.pass_time(40)
        self.assertEqual(self.closed[:2], ["bare", "with channel"])
        texts = [event["text"] for event in self.events]
        self.assertEqual(texts[0], 'close idle connection, user "u", idle for 150 s')

    def test_told_again_until_it_is_gone(self) -> None:
        self.watch()
        self.connect("a")
        self.pass_time(200)
        self.assertGreater(len(self.closed), 1)
        self.registry.closed("a")
        told = len(self.closed)
        self.pass_time(200)
        self.assertEqual(len(self.closed), told)

    def test_busy_ones_stay(self) -> None:
        self.watch()
        for name in ("requests", "moving", "waiting"):
            self.connect(name)
        moving = self.registry.transfer_started("moving", "upload", "/f", self.now())
        waiting = self.registry.transfer_started("waiting", "download", "/f", self.now())
        waiting.waiting = 1  # limited to a byte a second, say
        for _ in range(100):
            self.pass_time(10)
            self.registry.touched("requests", self.now())
            moving.last_activity = self.now()
        self.assertEqual(self.closed, [])
        waiting.waiting = 0
        self.pass_time(60)
        self.assertEqual(set(self.closed), {"waiting"})

    def test_never(self) -> None:
        self.watch(0)
        self.connect("a")
        self.clock.advance(10**9)
        self.assertEqual((self.closed, self.clock.getDelayedCalls()), ([], []))

    def test_a_clock_that_jumps_a_day(self) -> None:
        """Whichever way it jumps: nobody is closed early, nobody is missed."""
        for jump in (86400.0, -86400.0):
            self.setUp()
            self.watch()
            self.connect("a")
            self.wall += jump
            self.pass_time(119)
            self.assertEqual(self.closed, [])
            self.connect("b")
            self.pass_time(40)
            self.assertEqual(set(self.closed), {"a"})
            self.pass_time(120)
            self.assertEqual(set(self.closed), {"a", "b"})
