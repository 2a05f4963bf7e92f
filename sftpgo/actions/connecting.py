"""Connections to the servers of hooks: one a request, bounded in what they may send us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import directlyProvides, implementer, providedBy

from sftpgo.actions.address import Address

#: Longer than any time limit of a hook, which ends the attempt before this does.
_CONNECT_TIMEOUT = 3600.0


def connector(reactor: Any, address: Address, trust_root: Any = None) -> Callable[[], IStreamClientEndpoint]:
    """What makes an endpoint for each connection; TLS certificates and names are verified.

    @param trust_root: whose certificates are trusted, as L{BrowserLikePolicyForHTTPS} takes it; C{None}: those that
        the system trusts.
    """
    shared = _SharedLookupReactor(reactor, address.host)
    # Twisted takes no underscores, though the resolver does, which is asked for the real name.
    name = address.host.replace("_", "-")
    # Made once: reading the system's certificates takes tens of milliseconds.
    policy = BrowserLikePolicyForHTTPS(trust_root)
    tls = policy.creatorForNetloc(address.host.encode("ascii"), address.port) if address.scheme == "https" else None

    def endpoint() -> IStreamClientEndpoint:
        plain: IStreamClientEndpoint = HostnameEndpoint(shared, name, address.port, timeout=_CONNECT_TIMEOUT)
        return plain if tls is None else wrapClientTLS(tls, plain)

    return endpoint


@implementer(IAgentEndpointFactory, IStreamClientEndpoint)
class BoundedConnections:
    """The connections of one request, cut off when more than C{limit} bytes have come.

    @ivar exceeded: whether that happened.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, limit: int) -> None:
        self.exceeded = False
        self.left = limit
        self._endpoint = endpoint
        self._open: list[_Bounded] = []

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """There is only one place to connect to."""
        return self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """Connect; the result is the factory's own protocol."""
        wrapping: WrappingFactory[Any] = WrappingFactory(protocolFactory)
        wrapping.protocol = lambda factory, protocol: _Bounded(factory, protocol, self)
        connecting: Deferred[Any] = self._endpoint.connect(wrapping)
        return connecting.addCallback(self._connected)

    def abort(self) -> None:
        """Close what is still open."""
        for connection in self._open:
            connection.abort()

    def _connected(self, wrapper: _Bounded) -> Any:
        self._open.append(wrapper)
        return wrapper.wrappedProtocol


class _Bounded(ProtocolWrapper):
    """Hands on what comes until the bound."""

    def __init__(self, factory: Any, protocol: Any, connections: BoundedConnections) -> None:
        super().__init__(factory, protocol)
        self._connections = connections

    def dataReceived(self, data: bytes) -> None:
        """Hand on what is allowed, so that the head of an endless answer is still seen."""
        connections = self._connections
        if connections.exceeded:
            return
        allowed, connections.left = data[: connections.left], connections.left - len(data)
        connections.exceeded = connections.left < 0
        super().dataReceived(allowed)
        if connections.exceeded:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        if self.connected and self.transport is not None:
            cast("ITCPTransport", self.transport).abortConnection()


class _SharedLookupReactor:
    """The reactor, but it looks up one name only, and only once at a time.

    Lookups take threads of the pool that hashes passwords and reads files, and one that hangs cannot be cancelled:
    with a dead name server every event's lookup would keep another thread.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        directlyProvides(self, providedBy(reactor))
        self._reactor = reactor
        self.nameResolver = _SharedLookup(reactor.nameResolver, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


@implementer(IHostnameResolver)
class _SharedLookup:
    """Answers everybody who asks during a lookup with its one result, whatever name they ask for."""

    def __init__(self, resolver: IHostnameResolver, name: str) -> None:
        self._resolver = resolver
        self._name = name
        self._receivers: list[Any] = []

    def resolveHostName(
        self, resolutionReceiver: Any, hostName: str, portNumber: int = 0, addressTypes: Any = None, *more: Any
    ) -> Any:
        """Look up, or join the lookup under way."""
        self._receivers.append(resolutionReceiver)
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        if len(self._receivers) == 1:
            self._resolver.resolveHostName(_Collector(self._complete), self._name, portNumber, addressTypes, *more)
        return resolution

    def _complete(self, addresses: list[IAddress]) -> None:
        receivers, self._receivers = self._receivers, []
        for receiver in receivers:
            for address in addresses:
                receiver.addressResolved(address)
            receiver.resolutionComplete()


@implementer(IHostResolution)
class _Resolution:
    """The handle of a lookup; one of several cannot cancel it for all."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Let it go on for the others."""


@implementer(IResolutionReceiver)
class _Collector:
    """Gathers the addresses of one lookup."""

    def __init__(self, complete: Callable[[list[IAddress]], None]) -> None:
        self._complete = complete
        self._addresses: list[IAddress] = []

    def resolutionBegan(self, resolution: Any) -> None:
        """Nothing to do yet."""

    def addressResolved(self, address: IAddress) -> None:
        """One more."""
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        """All are known."""
        self._complete(self._addresses)
