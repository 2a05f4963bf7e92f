"""A command's streams: bytes in any pieces, memory that is bounded both ways, and an end whoever goes first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.streams import HIGH, LOW, ClientGone, CommandStream, Exit, Killed
from tests.avatars.fakechannel import FakeChannel


class StreamTests(SynchronousTestCase):
    """Reading and writing."""

    def run_command(self, command) -> FakeChannel:
        return FakeChannel(CommandStream(command))

    @settings(deadline=None, max_examples=60)
    @given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 70))
    def test_bytes_in_pieces(self, data: bytes, piece: int, limit: int) -> None:
        """What is read is what was sent, whatever the pieces."""

        async def echo(stream: CommandStream) -> Exit:
            while got := await stream.read(limit):
                self.assertLessEqual(len(got), limit)
                stream.write(got)
            return 7

        channel = self.run_command(echo)
        channel.send(data, piece=piece)
        self.assertIsNone(channel.exit)
        channel.end()
        self.assertEqual((channel.output, channel.exit), (data, 7))

    @settings(deadline=None, max_examples=60)
    @given(st.lists(st.binary(max_size=20).map(lambda b: b.replace(b"\n", b""))), st.integers(1, 50))
    def test_lines_in_pieces(self, lines: list[bytes], piece: int) -> None:
        found: list[bytes] = []

        async def read(stream: CommandStream) -> Exit:
            while (line := await stream.read_line(20)) is not None:
                found.append(line)
            return 0

        channel = self.run_command(read)
        channel.send(b"".join(line + b"\n" for line in lines), piece=piece)
        channel.end()
        self.assertEqual((found, channel.exit), (lines, 0))

    def test_long_lines(self) -> None:
        """A line over the limit, or one without an end, is an error and not kept."""
        for data, ends in ((b"x" * 21 + b"\n", False), (b"x" * 30, False), (b"x" * 5, True)):
            caught: list[ValueError] = []

            async def read(stream: CommandStream, caught: list[ValueError] = caught) -> Exit:
                try:
                    await stream.read_line(20)
                except ValueError as error:
                    caught.append(error)
                return 0

            channel = self.run_command(read)
            channel.send(data)
            if ends:
                channel.end()
            self.assertEqual(len(caught), 1, data)

    def test_client_must_wait(self) -> None:
        """The window is shut while a command does not read, and opened again when it has."""
        go: Deferred[None] = Deferred()

        async def slow(stream: CommandStream) -> Exit:
            await go
            while await stream.read(64 * 1024):
                pass
            return 0

        channel = self.run_command(slow)
        channel.send(bytes(HIGH - 1))
        self.assertFalse(channel.paused)
        channel.send(b"x")
        self.assertTrue(channel.paused)
        go.callback(None)
        self.assertFalse(channel.paused)
        self.assertLess(LOW, HIGH)

    def test_command_must_wait(self) -> None:
        """C{drain} waits while the client does not read."""
        written: list[int] = []

        async def write(stream: CommandStream) -> Exit:
            for number in range(3):
                stream.write(b"x")
                written.append(number)
                await stream.drain()
            return 0

        channel = self.run_command(self._paused_first(write))
        self.assertEqual(written, [0])
        channel.producer.resumeProducing()
        self.assertEqual((written, channel.exit), ([0, 1, 2], 0))

    @staticmethod
    def _paused_first(command):
        async def run(stream: CommandStream) -> Exit:
            stream.pauseProducing()
            return await command(stream)

        return run

    def test_client_gone(self) -> None:
        """Whatever the command waits for, it hears that the client is gone, and nothing is sent any more."""
        for wait in (lambda s: s.read(1), lambda s: s.read_line(9), lambda s: s.drain()):
            heard: list[str] = []

            async def command(stream: CommandStream, wait=wait, heard: list[str] = heard) -> Exit:
                stream.on_leaving(lambda: heard.append("left"))
                stream.pauseProducing()
                try:
                    await wait(stream)
                except ClientGone:
                    heard.append("gone")
                    stream.write(b"late")
                    stream.write_error(b"late")
                    raise
                return 0

            channel = self.run_command(command)
            channel.vanish()
            self.assertEqual(heard, ["left", "gone"])
            self.assertEqual((channel.output, channel.errors, channel.exit), (b"", b"", None))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_defect(self) -> None:
        """An exception nobody expected is logged, and the client gets a status."""

        async def broken(stream: CommandStream) -> Exit:
            raise ZeroDivisionError

        channel = self.run_command(broken)
        self.assertEqual((channel.exit, channel.errors), (1, b"internal error\n"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_signal(self) -> None:
        async def killed(stream: CommandStream) -> Exit:
            return Killed("TERM")

        self.assertEqual(self.run_command(killed).exit, b"TERM")
