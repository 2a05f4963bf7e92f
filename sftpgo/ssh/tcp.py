"""TCP that reads into and sends from its protocol's own buffers.

This is the only file that leans on the inside of L{twisted.internet.tcp}: C{doRead}, C{doWrite}, C{socket},
C{_postLoseConnection}, C{disconnecting}, C{_writeDisconnected}, C{Port.transport} and C{Port._fromListeningDescriptor}.
It is tested with Twisted 26.4 to 26.x; with any other version or reactor L{listen} and L{adopt} give ordinary ports,
which cost about twice the CPU per byte and behave the same.
"""

from __future__ import annotations

import socket
from typing import Any, Final

from twisted.copyright import version as twisted_version
from twisted.internet import main, tcp
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.posixbase import PosixReactorBase
from zope.interface import implementer

from sftpgo.ssh import lowwater
from sftpgo.ssh.link import IDirectProtocol, IDirectTransport

TESTED: Final = ((26, 4), (27, 0))
"""The versions of Twisted that the private names were tested with: from the first, below the second."""

LEAST_READ: Final = 16 * 1024
"""Room that one read is given at least, in bytes."""


@implementer(IDirectTransport)
class DirectServer(tcp.Server):
    """One connection.  Over a protocol that is no L{IDirectProtocol} it is an ordinary one."""

    _protocol: Any = None
    _failed = False
    _filled = False
    _fast = False
    _low_water: lowwater.LowWater | None = None

    def _queues(self) -> Any:
        """The protocol, if it has the queues."""
        if self._protocol is None and self.connected and IDirectProtocol.providedBy(self.protocol):
            self._protocol = self.protocol
        return self._protocol

    def doRead(self) -> Any:
        """Receive into the protocol's inbox (L{tcp.Connection.doRead})."""
        protocol = self._queues()
        if protocol is None:
            return super().doRead()
        size = self._receive(protocol)
        if size is None:
            return None
        if size <= 0:
            return main.CONNECTION_LOST if size else main.CONNECTION_DONE
        self._fast = size >= lowwater.FAST
        protocol.received()
        return None

    def _receive(self, protocol: IDirectProtocol) -> int | None:
        """Receive into the inbox; how much, C{None} for nothing yet, 0 at the end, less when the connection is lost."""
        inbox = protocol.inbox
        if not inbox.reserve(LEAST_READ) and not inbox.reserve(1):
            # The protocol takes nothing and has not paused us: neither spin nor hang.
            return -1
        tail = inbox.tail
        self._filled = False
        room = inbox.view[tail : tail + protocol.at_once]
        try:
            size = self.socket.recv_into(room)
        except BlockingIOError:
            inbox.settle()
            return None
        except OSError:
            return -1
        inbox.tail = tail + size
        self._filled = size == len(room)
        return size

    def receiveMore(self) -> bool:
        """See L{IDirectTransport}."""
        # An end or an error is for the reactor to hear: it calls doRead again.
        if not self._filled or not self.connected:
            return False
        size = self._receive(self._queues())
        return size is not None and size > 0

    def expect(self, missing: int) -> None:
        """See L{IDirectTransport}."""
        low_water = self._low_water
        if low_water is None:
            if not self._fast or missing < lowwater.FAST or not lowwater.SUPPORTED:
                return
            reactor: Any = self.reactor
            self._low_water = low_water = lowwater.LowWater(self.socket, reactor)
        if self.connected:
            low_water.expect(missing if self._fast else 0)

    def connectionLost(self, reason: Any) -> None:
        """The connection is gone (L{tcp.Connection.connectionLost})."""
        if self._low_water is not None:
            self._low_water.close()
        super().connectionLost(reason)

    def sendQueued(self) -> bool:
        """See L{IDirectTransport}."""
        outbox = self._queues().outbox
        waiting = outbox.tail - outbox.head
        if not waiting:
            return True
        if not self.connected or self._failed:
            return False
        try:
            sent = self.socket.send(outbox.view[outbox.head : outbox.tail])
        except BlockingIOError:
            sent = 0
        except OSError:
            # The reactor is told from doWrite: here we are deep inside the protocol.
            self._failed = True
            sent = 0
        outbox.head += sent
        if sent == waiting:
            outbox.settle()
            return True
        self.startWriting()
        return False

    def sendSoon(self) -> None:
        """See L{IDirectTransport}."""
        if self.connected:
            self.startWriting()

    def doWrite(self) -> Any:
        """Send from the protocol's outbox (L{tcp.Connection.doWrite})."""
        protocol = self._queues()
        if protocol is None:
            return super().doWrite()
        if self._failed:
            return main.CONNECTION_LOST
        if not self.sendQueued():
            return main.CONNECTION_LOST if self._failed else None
        self.stopWriting()
        if self.disconnecting:
            return self._postLoseConnection()
        protocol.drained()
        # What that has put into the outbox must not wait for somebody else's event.
        if self.connected and len(protocol.outbox):
            self.startWriting()
        return None

    def write(self, data: bytes) -> None:
        """Put bytes behind the packets that wait (ITransport)."""
        protocol = self._queues()
        if protocol is None:
            super().write(data)
        elif self.connected and not self._writeDisconnected:
            protocol.outbox.append(data)
            self.startWriting()

    def writeSequence(self, iovec: Any) -> None:
        """See L{write} (ITransport)."""
        self.write(b"".join(iovec))


class DirectPort(tcp.Port):
    """A listening port whose connections are L{DirectServer}s."""

    transport = DirectServer


def is_supported(reactor: Any) -> bool:
    """Whether L{DirectPort} works with this reactor and the Twisted that is installed."""
    first, beyond = TESTED
    major, minor = twisted_version.split(".")[:2]
    return isinstance(reactor, PosixReactorBase) and first <= (int(major), int(minor)) < beyond


def listen(
    reactor: Any, port: int, factory: IProtocolFactory, backlog: int = 128, interface: str = ""
) -> IListeningPort:
    """Listen on TCP, in the fastest way there is here; like C{reactor.listenTCP}."""
    if not is_supported(reactor):
        return reactor.listenTCP(port, factory, backlog, interface)  # type: ignore[no-any-return]
    listening = DirectPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening


def adopt(reactor: Any, listening: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """Accept connections from a socket that listens already, in the fastest way there is here.

    @param listening: not blocking, of IPv4 or IPv6; it is duplicated, so the caller closes it.
    """
    if not is_supported(reactor):
        return reactor.adoptStreamPort(listening.fileno(), listening.family, factory)  # type: ignore[no-any-return]
    port: DirectPort = DirectPort._fromListeningDescriptor(reactor, listening.fileno(), listening.family, factory)
    port.startListening()
    return port
