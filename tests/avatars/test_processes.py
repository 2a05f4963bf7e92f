"""A child and a channel: the pace of the slower side, counts, and an end for both."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from sftpgo.avatars import processes
from sftpgo.avatars.bandwidth import Gate
from sftpgo.avatars.processes import Child, Direction
from sftpgo.avatars.streams import HIGH, CommandStream, Exit, Killed
from sftpgo.domain.connection import Transfer
from tests.avatars.fakechannel import FakeChannel


def transfer(kind: str) -> Transfer:
    return Transfer(kind, "/", 0, 0)


class ChildTests(TestCase):
    """Real children under the real reactor."""

    def setUp(self) -> None:
        self.upload = Direction(transfer("upload"), None, lambda: 5.0)
        self.download = Direction(transfer("download"), None, lambda: 5.0)
        self.child: Child | None = None

    def start(self, *arguments: str) -> FakeChannel:
        """Run a program as the command of a channel."""
        setsid = shutil.which("setsid")
        if setsid is None:
            self.skipTest("not installed: setsid")
        self.ended: Deferred[Exit] = Deferred()

        async def run(stream: CommandStream) -> Exit:
            child = self.child = Child(reactor, stream, self.upload, self.download)
            pipes = {0: "w", 1: child.output.child_end, 2: "r"}
            reactor.spawnProcess(
                child, setsid, ["setsid", *arguments], env={"PATH": os.environ["PATH"]}, childFDs=pipes
            )
            fed = Deferred.fromCoroutine(child.feed())
            exit = await child.ended
            self.assertIsNone(self.successResultOf(fed) if fed.called else None)
            reactor.callLater(0, self.ended.callback, exit)  # when the channel has it, too
            return exit

        return FakeChannel(CommandStream(run))

    def until(self, condition: Any) -> Deferred[None]:
        """Fires once C{condition()} holds."""

        async def wait() -> None:
            while not condition():
                await deferLater(reactor, 0.01)

        return Deferred.fromCoroutine(wait())

    async def test_both_ways(self) -> None:
        """Every byte, counted, in order, through a child that is slower than its client."""
        channel = self.start("cat")
        data = os.urandom(4_000_000)
        for start in range(0, len(data), 100_000):
            channel.send(data[start : start + 100_000])
            while channel.paused:
                await deferLater(reactor, 0.001)
        channel.end()
        self.assertEqual(await self.ended, 0)
        self.assertEqual(hashlib.sha256(channel.output).digest(), hashlib.sha256(data).digest())
        self.assertEqual((self.upload.transfer.size, self.download.transfer.size), (len(data), len(data)))
        self.assertEqual(self.upload.transfer.last_activity, 5000)
        self.assertEqual(channel.exit, 0)

    async def test_child_that_does_not_read(self) -> None:
        """The client's window is shut: no more is held than the buffers on the way."""
        channel = self.start("sleep", "1000")
        sent = 0
        for _ in range(400):
            if channel.paused:
                break
            channel.send(bytes(64 * 1024))
            sent += 64 * 1024
            await deferLater(reactor, 0.001)
        self.assertTrue(channel.paused)
        self.assertLess(sent, HIGH + 16 * processes.CHUNK)
        channel.vanish()
        await self.ended

    async def test_client_that_does_not_read(self) -> None:
        """The child has to wait; what it writes afterwards comes through."""
        channel = self.start("head", "-c", "3000000", "/dev/zero")
        channel.producer.pauseProducing()
        await deferLater(reactor, 0.2)
        self.assertLess(len(channel.output), 1_000_000)
        channel.producer.resumeProducing()
        self.assertEqual(await self.ended, 0)
        self.assertEqual(len(channel.output), 3_000_000)

    async def test_ends_of_all_kinds(self) -> None:
        for script, exit, on_wire in (
            ("exit 0", 0, 0),
            ("exit 3", 3, 3),
            ("kill -TERM $$", Killed("TERM"), b"TERM"),
            ("kill -XFSZ $$", Killed("XFSZ"), b"XFSZ"),
            ("kill -40 $$", Killed("40"), b"40"),
            ("echo out; echo err >&2; exit 5", 5, 5),
        ):
            channel = self.start("sh", "-c", script)
            self.assertEqual(await self.ended, exit, script)
            self.assertEqual(channel.exit, on_wire)
        self.assertEqual((channel.output, channel.errors), (b"out\n", b"err\n"))

    async def test_output_after_the_end(self) -> None:
        """A child that has ended while its client did not read: nothing of its output is lost."""
        channel = self.start("sh", "-c", "echo first; head -c 60000 /dev/zero; exit 4")
        channel.producer.pauseProducing()
        assert self.child is not None
        await self.until(lambda: self.child._exited)
        channel.producer.resumeProducing()
        self.assertEqual(await self.ended, 4)
        self.assertEqual(len(channel.output), 60_006)

    async def test_client_leaves(self) -> None:
        """The child and what it started end; politely where it listens, at once where it does not."""
        self.patch(processes, "PATIENCE", 0.2)
        for script in ("sleep 1000 & sleep 1000", "trap '' TERM; sleep 1000 & while :; do sleep 1; done"):
            channel = self.start("sh", "-c", f"echo $$; {script}")
            await self.until(lambda channel=channel: b"\n" in channel.output)
            group = int(channel.output)
            channel.vanish()
            self.assertIsInstance(await self.ended, Killed)
            await self.until(lambda group=group: not _lives(group))

    async def test_what_it_started_does_not_outlive_it(self) -> None:
        channel = self.start("sh", "-c", "echo $$; sleep 1000 >/dev/null 2>&1 & exit 0")
        self.assertEqual(await self.ended, 0)
        group = int(channel.output)
        await self.until(lambda: not _lives(group))

    async def test_bandwidth(self) -> None:
        """Nothing goes on before it is paid for, in either direction."""
        clock = Clock()
        gate = Gate(100_000.0, clock, clock.seconds)
        self.upload = Direction(transfer("upload"), gate.flow(), lambda: 5.0)
        channel = self.start("cat")
        channel.send(bytes(200_000))
        channel.end()
        await self.until(lambda: len(channel.output) >= 0 and clock.getDelayedCalls())
        await deferLater(reactor, 0.1)
        self.assertLess(len(channel.output), 100_000)
        while not self.ended.called:
            clock.advance(0.5)
            await deferLater(reactor, 0.005)
        self.assertEqual(len(channel.output), 200_000)
        self.assertGreaterEqual(clock.seconds(), 1.5)

    async def test_bandwidth_down(self) -> None:
        clock = Clock()
        gate = Gate(100_000.0, clock, clock.seconds)
        self.download = Direction(transfer("download"), gate.flow(), lambda: 5.0)
        channel = self.start("head", "-c", "400000", "/dev/zero")
        await self.until(clock.getDelayedCalls)
        await deferLater(reactor, 0.1)
        self.assertLess(len(channel.output), 400_000)
        while not self.ended.called:
            clock.advance(0.5)
            await deferLater(reactor, 0.005)
        self.assertEqual(len(channel.output), 400_000)
        self.assertGreaterEqual(clock.seconds(), 3.0)


def _lives(group: int) -> bool:
    """Whether any process of a group runs; one that only waits to be reaped does not."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False
