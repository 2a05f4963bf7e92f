"""The queue of those who have more to do than one turn's worth."""

from __future__ import annotations

import struct

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh import codec
from sftpgo.ssh.sftp import MAX_PACKET, SFTPSession
from sftpgo.ssh.turns import Turns
from tests.doubles import make_filesystem

from .channels import ChannelCase, Session, uint32


class Iterations(Clock):
    """A clock that runs what was due when the step began, as a reactor does; a C{Clock} goes on with what is new."""

    def step(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call.called = 1
            call.func(*call.args, **call.kw)


class TurnsTests(SynchronousTestCase):
    def test_only_so_much_in_one_iteration(self) -> None:
        clock, turns, done = Iterations(), Turns(100), []
        for name in "abcd":
            turns.request(clock, lambda name=name: done.append(name) or 60)
        self.assertEqual(done, [])
        clock.step()
        self.assertEqual(done, ["a", "b"])
        clock.step()
        self.assertEqual(done, ["a", "b", "c", "d"])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_round_robin(self) -> None:
        clock, turns, done = Clock(), Turns(1000), []

        def work(name: str) -> int:
            done.append(name)
            if len(done) < 9:
                turns.request(clock, lambda: work(name))
            return 1

        for name in "abc":
            turns.request(clock, lambda name=name: work(name))
        while clock.getDelayedCalls():
            clock.advance(0)
        self.assertEqual(done[:9], list("abc" * 3))

    def test_one_that_fails_does_not_stop_the_others(self) -> None:
        clock, turns, done = Iterations(), Turns(100), []
        turns.request(clock, lambda: 1 // 0)
        turns.request(clock, lambda: done.append("b") or 60)
        with self.assertRaises(ZeroDivisionError):
            clock.step()
        self.assertTrue(turns.busy)
        clock.step()
        self.assertEqual(done, ["b"])
        turns.request(clock, lambda: done.append("c") or 60)
        clock.step()
        self.assertEqual((done, turns.busy), (["b", "c"], False))


class GreedyStreamTests(ChannelCase):
    def test_a_queued_stream_waits_for_its_turn(self) -> None:
        """Window, data and wake-ups do not get it more than the others."""
        channel = self.stream()
        self.data(channel, uint32(200_000) * 50)
        served = channel.handler.served
        self.data(channel, uint32(1))
        self.adjust(channel, 1000)
        channel.stream.wake()
        self.assertEqual(channel.handler.served, served)
        self.client.clock.advance(0)
        self.assertGreater(channel.handler.served, served)

    def test_small_requests_are_served_at_once_beside_a_queue(self) -> None:
        """A large one waits for its turn, which comes in the next iteration."""
        greedy, modest, other = self.stream(), self.stream(remote=8), self.stream(remote=9)
        self.data(greedy, uint32(200_000) * 50)
        self.client.server.settings.turns.request(self.client.clock, lambda: 0)
        self.data(modest, uint32(100))
        self.data(other, uint32(40_000) * 4)
        self.assertEqual((modest.handler.served, other.handler.served), (1, 0))
        self.client.clock.advance(0)
        self.assertEqual(other.handler.served, 4)

    def test_a_lost_connection_has_no_turn(self) -> None:
        channel = self.stream()
        self.data(channel, uint32(200_000) * 50)
        served = channel.handler.served
        self.client.lose()
        self.client.clock.advance(0)
        self.assertEqual((channel.handler.served, channel.handler.gone), (served, 1))
        self.assertEqual(self.client.clock.getDelayedCalls(), [])


class LargestWriteTests(ChannelCase):
    def test_beside_a_queue(self) -> None:
        """The largest request that is taken at all has its turn, however many others wait for theirs."""
        files = UserSFTPServer(make_filesystem(self))
        self.patch(Session, "make", lambda _, stream: SFTPSession(stream, files))
        channel, clock = self.stream(), self.client.clock
        turns, rounds = self.client.server.settings.turns, []

        def wait() -> int:
            rounds.append(1)
            if len(rounds) < 100:
                turns.request(clock, wait)
            return 0

        opened = codec.string(b"/f") + uint32(codec.OPEN_WRITE | codec.OPEN_CREAT) + uint32(0)
        self.data(channel, codec.reply(codec.OPEN, 1, opened))
        handle = self.sent()[9:]
        turns.request(clock, wait)
        content = bytes(MAX_PACKET - 5 - len(handle) - 12)
        write = codec.reply(codec.WRITE, 2, handle + struct.pack(">QL", 0, len(content)) + content)
        for start in range(0, len(write), 32768):
            self.data(channel, write[start : start + 32768])
        self.assertEqual(self.sent(), codec.status(2, codec.OK, b""))
        self.assertEqual(len(rounds), 100)
