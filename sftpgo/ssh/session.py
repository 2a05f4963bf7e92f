"""The session channel (RFC 4254, section 6): one subsystem or one command, and the stream between it and the client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.ssh.channel import Channel
from sftpgo.ssh.fields import Fields
from sftpgo.ssh.quiet import QuietLogger
from sftpgo.ssh.stream import ByteStream, StreamHandler

MakeHandler = Callable[[ByteStream], StreamHandler]


class SessionChannel(Channel):
    """A C{session} channel.

    C{subsystem} asks the avatar's C{lookupStream}, where it has one, for what makes a L{StreamHandler}, and then its
    C{lookupSubsystem} for a protocol.  C{exec} asks the avatar's C{lookupCommand}, where it has one, for a protocol.  A
    protocol talks to the client through a L{ChannelTransport}.  Everything else (pty-req, shell, env, x11-req,
    auth-agent-req) is refused.
    """

    name = b"session"
    _log = QuietLogger()
    avatar: Any

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._protocol: Any = None
        self._transport = ChannelTransport(self)

    # Requests.

    def request_subsystem(self, data: bytes) -> bool:
        """Start a subsystem (RFC 4254, section 6.5)."""
        fields = Fields(data)
        name = fields.string()
        if self._is_taken():
            return False
        make: MakeHandler | None = getattr(self.avatar, "lookupStream", lambda _name: None)(name)
        if make is not None:
            self.start_stream(make)
            return True
        return self._start(lambda: self.avatar.lookupSubsystem(name, data))

    def request_exec(self, data: bytes) -> bool:
        """Start a command (RFC 4254, section 6.5)."""
        command = Fields(data).string()
        lookup = getattr(self.avatar, "lookupCommand", None)
        if lookup is None or self._is_taken():
            return False
        return self._start(lambda: lookup(command))

    def _is_taken(self) -> bool:
        """Only the first request of a channel may start something."""
        return self._protocol is not None or self.stream is not None

    def _start(self, lookup: Callable[[], Any]) -> bool:
        """Connect the protocol that C{lookup} returns."""
        try:
            protocol = lookup()
        except Exception:
            self._log.failure("Starting a subsystem or command failed")
            return False
        if protocol is None:
            return False
        self._protocol = protocol
        protocol.makeConnection(self._transport)
        self.start_reading()
        return True

    # The stream of a protocol.

    def dataReceived(self, data: bytes) -> None:
        """Hand the client's bytes on."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def ended(self) -> None:
        """The client will send no more."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            self._protocol.readConnectionLost()
        else:
            self._transport.loseConnection()

    def closed(self) -> None:
        """The channel is gone: tell the protocol, once."""
        protocol, self._protocol = self._protocol, None
        try:
            super().closed()
        finally:
            if protocol is not None:
                protocol.connectionLost(Failure(ConnectionDone()))


@implementer(ITransport, IConsumer, IPushProducer)
class ChannelTransport:
    """What a subsystem or command sees of its channel.

    As a consumer it asks its producer to wait while the client does not read; as a producer it can be asked to grant
    the client no more to send.
    """

    disconnecting = False

    def __init__(self, channel: SessionChannel) -> None:
        self._channel = channel

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self._channel.write(data)

    def writeSequence(self, data: Any) -> None:
        """Send several pieces."""
        self._channel.write(b"".join(data))

    def writeError(self, data: bytes) -> None:
        """Send bytes to the client's standard error (RFC 4254, section 5.2)."""
        self._channel.writeExtended(1, data)

    def loseConnection(self, exit_status: int = 0) -> None:
        """Tell the exit status (RFC 4254, section 6.10) and close once everything is sent."""
        if not self.disconnecting:
            self.disconnecting = True
            self._channel.finish(exit_status)

    abortConnection = loseConnection

    def loseConnectionBySignal(self, signal: bytes) -> None:
        """Tell that a signal (its name without SIG) ended the command (RFC 4254, section 6.10), and close."""
        if not self.disconnecting:
            self.disconnecting = True
            self._channel.finish_by_signal(signal)

    def getPeer(self) -> Any:
        """Where the client is."""
        return self._channel.conn.transport.getPeer()

    def getHost(self) -> Any:
        """Where the client reached us."""
        return self._channel.conn.transport.getHost()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have C{producer} wait while the client does not read; only push producers are served."""
        self._channel.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._channel.unregisterProducer()

    def pauseProducing(self) -> None:
        """Grant the client no more to send."""
        self._channel.pauseProducing()

    def resumeProducing(self) -> None:
        """Grant it again."""
        self._channel.resumeProducing()

    def stopProducing(self) -> None:
        """Nobody wants what the client sends."""
        self._channel.pauseProducing()
