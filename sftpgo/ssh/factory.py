"""The SSH server factory: host keys, algorithms, limits, and the services a connection may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.conch.ssh.address import SSHTransportAddress
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from sftpgo.ssh.admission import Admission, Limits, Ticket
from sftpgo.ssh.connection import Connection
from sftpgo.ssh.interfaces import IAuthenticationEvents
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.transport import ServerTransport
from sftpgo.ssh.userauth import UserAuthServer

DEFAULT_MAX_AUTH_TRIES = 6

#: Connections of one address that may be in their login at once.
_STRANGERS_OF_ONE = 10


class CountedTransport(ServerTransport):
    """A connection that its factory knows of while it lives.

    @ivar userauth: the one authentication service of this connection, however often the client asks for it.
    @ivar reason: why we ended it, for the log.
    @ivar peer: who is at the other end, which a proxy in between may have told; None for whom the socket names.
    """

    factory: Any
    userauth: Any = None
    reason = ""
    peer: Any = None
    _ticket: Ticket | None = None

    def connectionMade(self) -> None:
        """Enter, if there is room for one more stranger."""
        self._ticket = self.factory.admission.enter(str(getattr(self.getPeer().address, "host", "")), self.abort)
        if self._ticket is None:
            self.connected = 0
            self.transport.abortConnection()
            return
        self.factory.transports.add(self)
        super().connectionMade()

    def getPeer(self) -> SSHTransportAddress:
        """Who is at the other end."""
        return SSHTransportAddress(self.transport.getPeer() if self.peer is None else self.peer)

    def setService(self, service: Any) -> None:
        """Leave the strangers with the login."""
        if self._ticket is not None and hasattr(self, "avatar"):
            self._ticket.leave()
        super().setService(service)

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Remember the reason."""
        self.reason = self.reason or desc.decode("utf-8", "replace")
        super().sendDisconnect(reason, desc)

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """Leave, and tell of the end."""
        if self._ticket is None:
            return
        self._ticket.leave()
        self.factory.transports.discard(self)
        authenticated = hasattr(self, "avatar")
        try:
            super().connectionLost(reason)
        finally:
            text = self.reason or (reason.getErrorMessage() if reason is not None else "")
            self.factory.auth_events.disconnected(self, authenticated, text)


class ServerFactory(SSHFactory):
    """What every connection of one listening server shares.

    @param portal: asked for an C{IConchUser}, with the transport as the mind.
    @param host_keys: private keys by SSH type.
    @param settings: version, algorithms, deadlines and limits of the wire.
    @param login_banner: text shown before authentication, or nothing.
    @param max_auth_tries: 0 for L{DEFAULT_MAX_AUTH_TRIES}, negative for no limit.
    @param max_unauthenticated: connections that may be in their login at the same time, ten of them from one address;
        one more drives out the one that has been there for longest.
    """

    noisy = False

    def __init__(
        self,
        portal: Portal,
        host_keys: Mapping[bytes, Key],
        auth_events: IAuthenticationEvents,
        clock: IReactorTime,
        settings: Settings,
        *,
        login_banner: bytes = b"",
        max_auth_tries: int = 0,
        max_unauthenticated: int = 100,
    ) -> None:
        self.portal = portal
        self.privateKeys = dict(host_keys)
        self.publicKeys = {kind: key.public() for kind, key in host_keys.items()}
        self._signatures = [name for key in host_keys.values() for name in key.supportedSignatureAlgorithms()]
        self.primes = None
        self.auth_events = auth_events
        self.clock = clock
        self.settings = settings
        self.login_banner = login_banner
        self.max_auth_tries = None if max_auth_tries < 0 else max_auth_tries or DEFAULT_MAX_AUTH_TRIES
        self.admission = Admission(Limits(max_unauthenticated, min(max_unauthenticated, _STRANGERS_OF_ONE)))
        self.transports: set[Any] = set()
        self.services = {b"ssh-userauth": UserAuthServer, b"ssh-connection": Connection}

    def protocol(self) -> CountedTransport:
        """One connection; L{buildProtocol} adds the factory."""
        return CountedTransport(self.settings, self.clock)

    def buildProtocol(self, addr: Any) -> CountedTransport:
        """One connection of a client at C{addr}.

        Conch's own would log for each that it has no moduli for a group exchange, which is none of its business here.
        """
        made = self.protocol()
        made.factory = self
        made.peer = addr
        made.supportedPublicKeys = self._signatures
        return made

    def succeed(self, before: ServerFactory) -> None:
        """Take the place of another one for new connections; those of both are counted together."""
        limits = self.admission.limits
        self.admission, self.transports = before.admission, before.transports
        self.admission.limits = limits
        self.settings = evolve(
            self.settings,
            buffers=before.settings.buffers,
            turns=before.settings.turns,
            run_slow=before.settings.run_slow,
        )

    def getService(self, transport: Any, service: bytes) -> Any:
        """The service asked for: authentication before the login, the connection after it."""
        if hasattr(transport, "avatar"):
            return self.services[service] if service == b"ssh-connection" else None
        if service != b"ssh-userauth":
            return None
        if transport.userauth is None:
            transport.userauth = self.services[service]()
        return lambda: transport.userauth
