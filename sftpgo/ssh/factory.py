"""The SSH server factory: host keys, algorithms, limits, and the services a connection may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from sftpgo.ssh.connection import Connection
from sftpgo.ssh.interfaces import IAuthenticationEvents
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.transport import ServerTransport
from sftpgo.ssh.userauth import UserAuthServer

DEFAULT_MAX_AUTH_TRIES = 6


class CountedTransport(ServerTransport):
    """A connection that its factory knows of while it lives.

    @ivar userauth: the one authentication service of this connection, however often the client asks for it.
    @ivar reason: why we ended it, for the log.
    """

    factory: Any
    userauth: Any = None
    reason = ""
    _counted = False

    def connectionMade(self) -> None:
        """Enter, if there is room for one more that is not logged in."""
        if not self.factory.admit():
            self.transport.abortConnection()
            self.connected = 0
            return
        self._counted = True
        self.factory.transports.add(self)
        super().connectionMade()

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Remember the reason."""
        self.reason = self.reason or desc.decode("utf-8", "replace")
        super().sendDisconnect(reason, desc)

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """Leave, and tell of the end."""
        if not self._counted:
            return
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
    @param max_unauthenticated: connections that may be in their login at the same time.
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
        self.primes = None
        self.auth_events = auth_events
        self.clock = clock
        self.settings = settings
        self.login_banner = login_banner
        self.max_auth_tries = None if max_auth_tries < 0 else max_auth_tries or DEFAULT_MAX_AUTH_TRIES
        self.max_unauthenticated = max_unauthenticated
        self.transports: set[Any] = set()
        self.services = {b"ssh-userauth": UserAuthServer, b"ssh-connection": Connection}

    def protocol(self) -> CountedTransport:
        """One connection (L{SSHFactory.buildProtocol} adds the factory)."""
        return CountedTransport(self.settings, self.clock)

    def admit(self) -> bool:
        """Whether one more connection may begin its login."""
        waiting = sum(not hasattr(transport, "avatar") for transport in self.transports)
        return waiting < self.max_unauthenticated

    def getService(self, transport: Any, service: bytes) -> Any:
        """The service asked for: authentication before the login, the connection after it."""
        if hasattr(transport, "avatar"):
            return self.services[service] if service == b"ssh-connection" else None
        if service != b"ssh-userauth":
            return None
        if transport.userauth is None:
            transport.userauth = self.services[service]()
        return lambda: transport.userauth
