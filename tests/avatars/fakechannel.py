"""A command's channel without a wire: what the client sends is put in, what it would see is kept."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sftpgo.avatars.commands import Commands, CommandSession
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.streams import CommandStream


class FakeChannel:
    """The transport of a L{CommandStream}.

    @ivar output: standard output so far, C{errors}: standard error.
    @ivar exit: the exit status or the signal's name, once the command has ended.
    @ivar paused: the client is not granted more window.
    """

    def __init__(self, stream: CommandStream) -> None:
        self.stream = stream
        self.output = b""
        self.errors = b""
        self.exit: int | bytes | None = None
        self.paused = False
        self.producer: Any = None
        stream.makeConnection(self)

    # What a command calls.

    def write(self, data: bytes) -> None:
        assert self.exit is None
        self.output += data

    def writeError(self, data: bytes) -> None:
        assert self.exit is None
        self.errors += data

    def loseConnection(self, exit_status: int = 0) -> None:
        assert self.exit is None
        self.exit = exit_status

    def loseConnectionBySignal(self, signal: bytes) -> None:
        assert self.exit is None
        self.exit = signal

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    # What a test does.

    def send(self, data: bytes, *, piece: int = 0) -> None:
        """The client sends, at once or in pieces."""
        for start in range(0, len(data), piece or len(data) or 1):
            self.stream.dataReceived(data[start : start + (piece or len(data))])

    def end(self) -> None:
        """The client has sent its last."""
        self.stream.readConnectionLost()

    def vanish(self) -> None:
        """The channel is closed."""
        self.stream.connectionLost(Failure(ConnectionDone()))

    def take(self) -> bytes:
        """The output since the last call."""
        output, self.output = self.output, b""
        return output


def start(
    files: UserFilesystem, line: bytes, *enabled: str, commands: Commands | None = None, clock: Any = None
) -> FakeChannel:
    """Run a command line for a user; by default every command is enabled that needs no other program."""
    wait, clock = clock is not None, clock or Clock()
    if commands is None:
        names = enabled or ("scp", "md5sum", "sha1sum", "sha256sum", "sha384sum", "sha512sum", "cd", "pwd")
        commands = Commands(frozenset(names), clock)
    commands.clock = clock
    session = CommandSession(files, files.journal.registry, files.journal.connection_id, files.clock)
    protocol = commands.lookup(session, line)
    assert isinstance(protocol, CommandStream), "not served"
    channel = FakeChannel(protocol)
    if not wait:
        clock.advance(0)
    return channel
