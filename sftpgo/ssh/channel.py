"""The session channel (RFC 4254, section 6): one subsystem or one command, and the stream between it and the client."""

from __future__ import annotations

import struct
from typing import Any

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import getNS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IConsumer, IHalfCloseableProtocol, IPushProducer, ITransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

#: Bytes a client may send ahead of what was consumed, and the longest piece of them.
WINDOW = 2 * 1024 * 1024
MAX_PACKET = 256 * 1024

_EXIT_STATUS = struct.Struct(">L")


class SessionChannel(SSHChannel):
    """A C{session} channel.

    C{subsystem} asks the avatar's C{lookupSubsystem} for a protocol.  C{exec} asks the avatar's C{lookupCommand}, when
    it has one, for a protocol that talks to the client through a L{ChannelTransport}.  Everything else (pty-req, shell,
    env, x11-req, auth-agent-req) is refused.
    """

    name = b"session"
    _log = Logger()
    avatar: Any
    conn: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(localWindow=WINDOW, localMaxPacket=MAX_PACKET, **kwargs)
        self._protocol: Any = None
        self._transport = ChannelTransport(self)

    # Requests.

    def requestReceived(self, requestType: bytes, data: bytes) -> Any:
        """Serve a channel request; one whose payload ends too early is refused."""
        try:
            return super().requestReceived(requestType, data)
        except struct.error:
            self._log.info("a malformed {kind!r} request is refused", kind=requestType)
            return 0

    def request_subsystem(self, data: bytes) -> int:
        """Start a subsystem (RFC 4254, section 6.5)."""
        name, _rest = getNS(data)
        return self._start(lambda: self.avatar.lookupSubsystem(name, data))

    def request_exec(self, data: bytes) -> int:
        """Start a command (RFC 4254, section 6.5)."""
        command, _rest = getNS(data)
        lookup = getattr(self.avatar, "lookupCommand", None)
        if lookup is None:
            return 0
        return self._start(lambda: lookup(command))

    def _start(self, lookup: Any) -> int:
        """Connect what C{lookup} returns; only the first request of a channel may start something."""
        if self._protocol is not None:
            return 0
        try:
            protocol = lookup()
        except Exception:
            self._log.failure("Starting a subsystem or command failed")
            return 0
        if protocol is None:
            return 0
        self._protocol = protocol
        protocol.makeConnection(self._transport)
        return 1

    # The stream.

    def dataReceived(self, data: bytes) -> None:
        """Hand the client's bytes on; those before anything runs are dropped."""
        if self._protocol is not None:
            self._protocol.dataReceived(data)

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Drop extended data: no client has a reason to send it."""

    def eofReceived(self) -> None:
        """The client will send no more."""
        if self._protocol is None:
            self.loseConnection()
            return
        if IHalfCloseableProtocol.providedBy(self._protocol):
            self._protocol.readConnectionLost()
        else:
            self._transport.loseConnection()

    def closed(self) -> None:
        """The channel is gone: tell the protocol, once."""
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(ConnectionDone()))

    def stopWriting(self) -> None:
        """The window is shut: replies would pile up."""
        self._transport.pause()

    def startWriting(self) -> None:
        """The window is open again."""
        self._transport.resume()


@implementer(ITransport, IConsumer)
class ChannelTransport:
    """What a subsystem or command sees of its channel: a transport that asks its producer to wait."""

    disconnecting = False

    def __init__(self, channel: SessionChannel) -> None:
        self._channel = channel
        self._producer: Any = None
        self._paused = False

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
        if self.disconnecting:
            return
        self.disconnecting = True
        channel = self._channel
        if not channel.localClosed:
            channel.conn.sendRequest(channel, b"exit-status", _EXIT_STATUS.pack(exit_status))
        channel.loseConnection()

    abortConnection = loseConnection

    def getPeer(self) -> Any:
        """Where the client is."""
        return self._channel.conn.transport.getPeer()

    def getHost(self) -> Any:
        """Where the client reached us."""
        return self._channel.conn.transport.getHost()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember whom to ask to wait; only push producers are served."""
        if not streaming:
            raise ValueError("only push producers can write to a channel")
        self._producer = IPushProducer(producer)
        if self._paused:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None

    def pause(self) -> None:
        """The window is shut."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resume(self) -> None:
        """The window is open."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()
