"""Where connections come in: who they are is known before the SSH server is told of them, whatever is in front of it.

A proxy's client is who the proxy says it is (L{sftpgo.ssh.proxyheader}), if the proxy is believed.  Until its header
has come a connection is a stranger of L{sftpgo.ssh.admission}, but its address is the proxy's and everybody's:
so it counts towards their total only, and where one has to go for another, all who wait count as those of one address.
With the header the client's own address counts, and the time of the login goes on from the accepted connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from attrs import evolve
from twisted.conch.ssh.address import SSHTransportAddress
from twisted.internet.address import IPv4Address as IPv4
from twisted.internet.address import IPv6Address as IPv6
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from sftpgo.ssh.admission import Ticket
from sftpgo.ssh.proxyheader import Client, MalformedHeader, NoHeader, parse
from sftpgo.ssh.timers import cancel

HEADER_TIMEOUT: Final = 5.0
"""Seconds in which a proxy must have sent its header; it sends it before anything else."""

OFF, ALLOWED, REQUIRED = range(3)

Network = IPv4Network | IPv6Network


class Proxies:
    """Who is believed.

    @param networks: addresses and networks in CIDR notation; raises L{ValueError} for what is none.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: list[Network] = [ip_network(text, strict=False) for text in networks]

    def believes(self, host: str) -> bool:
        """Whether a header from there counts."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


class Entrance(Factory):
    """The factory of one listening socket.

    @ivar server: the L{sftpgo.ssh.factory.ServerFactory} of new connections; L{replace} changes it.
    @ivar mode: L{OFF}, L{ALLOWED} or L{REQUIRED}: whether proxies may, or must, tell who their clients are.
    @ivar proxies: who is believed.
    """

    noisy = False

    def __init__(self, server: Any, mode: int = OFF, proxies: Proxies | None = None) -> None:
        self.server = server
        self.mode = mode
        self.proxies = proxies or Proxies()
        self._awaited: set[_Awaited] = set()

    def startFactory(self) -> None:
        """Start the server behind us."""
        self.server.doStart()

    def stopFactory(self) -> None:
        """Stop it; it does not know of those who wait yet, and may be gone when their header comes."""
        for awaited in list(self._awaited):
            awaited.turn_away("the server stops")
        self.server.doStop()

    def replace(self, server: Any, mode: int, proxies: Proxies) -> None:
        """Have new connections served by another server from now on; those that are here stay with theirs."""
        before, self.server = self.server, server
        self.mode, self.proxies = mode, proxies
        if self.numPorts:
            server.doStart()
            before.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        """One connection; None to close it at once."""
        peer = _plain(addr)
        if self.mode == OFF:
            return self.server.buildProtocol(peer)
        if self.proxies.believes(getattr(peer, "host", "")):
            return _Awaited(self.server, peer, self._awaited, required=self.mode == REQUIRED)
        if self.mode == ALLOWED:
            return self.server.buildProtocol(peer)
        self.server.auth_events.disconnected(_Stranger(peer), False, "not from a proxy of sftpd.proxy_allowed")
        return None


class _Stranger:
    """Somebody whom nobody but the log hears of."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def getPeer(self) -> SSHTransportAddress:
        return SSHTransportAddress(self._peer)


class _Awaited(Protocol):
    """A proxy's connection whose header has not come yet; then the SSH server takes its place.

    @param peer: the proxy.
    @param others: who waits, with us among them while we do.
    @param required: without a header there is no connection; else the proxy may be a client itself.
    """

    transport: Any

    def __init__(self, server: Any, peer: Any, others: set[_Awaited], *, required: bool) -> None:
        self._server = server
        self._peer = peer
        self._others = others
        self._required = required
        self._received = bytearray()
        self._ticket: Ticket | None = None
        self._deadline: IDelayedCall | None = None
        self._began = 0.0
        self._told = False

    def connectionMade(self) -> None:
        """Wait, for a moment."""
        server = self._server
        where = f"a client of the proxy {self._peer.host}"
        self._ticket = server.admission.enter(where, self.transport.abortConnection, alike=False)
        self._others.add(self)
        self._began = server.clock.seconds()
        limit = min(HEADER_TIMEOUT, server.settings.login_timeout)
        self._deadline = server.clock.callLater(limit, self.turn_away, "the PROXY header did not come in time")

    def dataReceived(self, data: bytes) -> None:
        """Look for the header; what follows it is the client's."""
        if self._told:
            return
        self._received += data
        try:
            header = parse(self._received)
        except NoHeader as error:
            if self._required:
                self.turn_away(str(error))
            else:
                self._hand_over(None, 0)
        except MalformedHeader as error:
            self.turn_away(str(error))
        else:
            if header is not None:
                self._hand_over(header.client, header.size)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Gone before the header was whole: a look whether somebody is there, as a rule."""
        self._leave()
        self._tell("no PROXY header came")

    def _hand_over(self, client: Client | None, size: int) -> None:
        self._leave()
        self._told = True
        peer = self._peer if client is None else _address(client)
        protocol = self._server.buildProtocol(peer)
        waited = self._server.clock.seconds() - self._began
        protocol.settings = evolve(protocol.settings, login_timeout=max(0.0, protocol.settings.login_timeout - waited))
        transport, self.transport = self.transport, None
        transport.protocol = protocol
        protocol.makeConnection(transport)
        rest = bytes(self._received[size:])
        self._received.clear()
        if rest and protocol.connected:
            protocol.dataReceived(rest)

    def turn_away(self, reason: str) -> None:
        """End it without an answer."""
        self._tell(reason)
        self._leave()
        self._received.clear()
        self.transport.abortConnection()

    def _tell(self, reason: str) -> None:
        if not self._told:
            self._told = True
            self._server.auth_events.disconnected(_Stranger(self._peer), False, reason)

    def _leave(self) -> None:
        cancel(self._deadline)
        self._others.discard(self)
        if self._ticket is not None:
            self._ticket.leave()


def _address(client: Client) -> IPv4 | IPv6:
    if ":" in client.host:
        return IPv6("TCP", client.host, client.port)
    return IPv4("TCP", client.host, client.port)


def _plain(peer: Any) -> Any:
    """An IPv4 client of a socket of both families as what it is."""
    if isinstance(peer, IPv6):
        try:
            mapped = IPv6Address(peer.host).ipv4_mapped
        except ValueError:
            return peer
        if mapped is not None:
            return IPv4("TCP", str(mapped), peer.port)
    return peer
