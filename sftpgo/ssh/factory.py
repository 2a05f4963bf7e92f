"""The SSH server factory: host keys, algorithms, limits, and the services a connection may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.keys import Key
from twisted.conch.ssh.transport import SSHServerTransport
from twisted.cred.portal import Portal
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from sftpgo.ssh.interfaces import IAuthenticationEvents
from sftpgo.ssh.userauth import UserAuthServer

DEFAULT_MAX_AUTH_TRIES = 6

#: RSA host keys sign with SHA-2 only; clients that know nothing but C{ssh-rsa} (SHA-1) are left out.
_SHA1_HOST_KEY = b"ssh-rsa"


class ServerTransport(SSHServerTransport):
    """Conch's transport with a deadline for the login and somebody told of its end."""

    factory: Any
    transport: Any
    supportedCiphers = [b"aes256-ctr", b"aes192-ctr", b"aes128-ctr"]
    supportedMACs = [b"hmac-sha2-512", b"hmac-sha2-384", b"hmac-sha2-256"]
    supportedCompressions = [b"none"]
    supportedKeyExchanges = [
        b"curve25519-sha256",
        b"curve25519-sha256@libssh.org",
        b"ecdh-sha2-nistp256",
        b"ecdh-sha2-nistp384",
        b"ecdh-sha2-nistp521",
    ]

    #: The one authentication service of this connection, however often the client asks for it.
    userauth: Any = None
    _deadline: IDelayedCall | None = None
    reason = ""

    def connectionMade(self) -> None:
        """Start the clock: the login must be done before C{login_timeout} is over."""
        waiting = sum(not hasattr(transport, "avatar") for transport in self.factory.transports)
        if waiting >= self.factory.max_unauthenticated:
            self.transport.abortConnection()
            return
        self.factory.transports.add(self)
        self._deadline = self.factory.clock.callLater(self.factory.login_timeout, self._too_late)
        super().connectionMade()

    def _too_late(self) -> None:
        self._deadline = None
        if not hasattr(self, "avatar"):
            self.reason = "the login took too long"
            self.transport.abortConnection()

    def setService(self, service: Any) -> None:
        """Stop the clock once somebody is logged in."""
        if hasattr(self, "avatar") and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        super().setService(service)

    def connectionLost(self, reason: Failure | None = connectionDone) -> None:
        """Let go of the connection's place and tell of its end."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        known = self in self.factory.transports
        self.factory.transports.discard(self)
        try:
            super().connectionLost(reason)
        finally:
            if known:
                text = self.reason or (reason.getErrorMessage() if reason else "")
                self.factory.auth_events.disconnected(self, hasattr(self, "avatar"), text)


class ServerFactory(SSHFactory):
    """What every connection of one listening server shares.

    @param portal: asked for an C{IConchUser}, with the transport as the mind.
    @param host_keys: private keys by SSH type.
    @param max_auth_tries: 0 for L{DEFAULT_MAX_AUTH_TRIES}, negative for no limit.
    @param login_timeout: seconds from accept to a finished login.
    @param max_unauthenticated: connections that may be in their login at the same time.
    @param banner: the software version told before the key exchange (RFC 4253, section 4.2), after C{SSH-2.0-}.
    @param login_banner: text shown before authentication, or nothing.
    """

    protocol = ServerTransport
    noisy = False

    def __init__(
        self,
        portal: Portal,
        host_keys: Mapping[bytes, Key],
        auth_events: IAuthenticationEvents,
        clock: IReactorTime,
        *,
        banner: str = "sftpgo",
        login_banner: bytes = b"",
        max_auth_tries: int = 0,
        login_timeout: float = 120.0,
        max_unauthenticated: int = 100,
        key_exchanges: Sequence[bytes] = (),
        ciphers: Sequence[bytes] = (),
        macs: Sequence[bytes] = (),
    ) -> None:
        self.portal = portal
        self.privateKeys = dict(host_keys)
        self.publicKeys = {kind: key.public() for kind, key in host_keys.items()}
        self.primes = None
        self.auth_events = auth_events
        self.clock = clock
        self.banner = banner
        self.login_banner = login_banner
        self.max_auth_tries = None if max_auth_tries < 0 else max_auth_tries or DEFAULT_MAX_AUTH_TRIES
        self.login_timeout = login_timeout
        self.max_unauthenticated = max_unauthenticated
        self.transports: set[Any] = set()
        self.services = {b"ssh-userauth": UserAuthServer, b"ssh-connection": SSHConnection}
        self._algorithms = {
            "supportedKeyExchanges": list(key_exchanges),
            "supportedCiphers": list(ciphers),
            "supportedMACs": list(macs),
        }

    def buildProtocol(self, addr: Any) -> Any:
        """A transport with this server's version string and algorithms."""
        transport = super().buildProtocol(addr)
        transport.ourVersionString = b"SSH-2.0-" + self.banner.encode("ascii")
        transport.supportedPublicKeys = [name for name in transport.supportedPublicKeys if name != _SHA1_HOST_KEY]
        for attribute, names in self._algorithms.items():
            if names:
                setattr(transport, attribute, names)
        return transport

    def getService(self, transport: Any, service: bytes) -> Any:
        """The service asked for: authentication before the login, the connection after it."""
        if hasattr(transport, "avatar"):
            return self.services[service] if service == b"ssh-connection" else None
        if service != b"ssh-userauth":
            return None
        if transport.userauth is None:
            transport.userauth = self.services[service]()
        return lambda: transport.userauth
