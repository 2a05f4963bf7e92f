"""Servers and clients for the tests of the wire: a Conch factory over our transport, real sockets, real clients."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch import avatar
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh import factory, keys, userauth
from twisted.conch.ssh.connection import SSHConnection
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from sftpgo.ssh import tcp
from sftpgo.ssh.connection import Connection
from sftpgo.ssh.settings import OneAtATime, Settings
from sftpgo.ssh.transport import ServerTransport

from .bare_sftp import BareSession

HOST_KEYS = (
    keys.Key(ed25519.Ed25519PrivateKey.generate()),
    keys.Key(ec.generate_private_key(ec.SECP256R1())),
    keys.Key(rsa.generate_private_key(65537, 2048)),
)


class Avatar(avatar.ConchUser):
    """May do everything below one directory."""

    def __init__(self, root: str, channel: Any) -> None:
        super().__init__()
        self.root = root
        self.channelLookup[b"session"] = channel


@implementer(IRealm)
class Realm:
    def __init__(self, root: str, channel: Any = BareSession) -> None:
        self.root = root
        self.channel = channel
        self.logins = 0
        self.logouts = 0

    def requestAvatar(self, avatarId: bytes, mind: object, *interfaces: Any) -> Any:
        self.logins += 1
        return IConchUser, Avatar(self.root, self.channel), self.logout

    def logout(self) -> None:
        self.logouts += 1


class CountingTransport(ServerTransport):
    """Tells its factory of each key exchange."""

    def exchanged(self, first: bool) -> None:
        super().exchanged(first)
        self.factory.exchanges += 1


class Factory(factory.SSHFactory):
    """A Conch factory with our transport: user "u", password "p"."""

    services = {b"ssh-userauth": userauth.SSHUserAuthServer, b"ssh-connection": Connection}

    def __init__(self, root: str, settings: Settings, reactor: Any, channel: Any = BareSession) -> None:
        self.settings = settings
        self.reactor = reactor
        self.realm = Realm(root, channel)
        self.portal = Portal(self.realm)
        self.portal.registerChecker(InMemoryUsernamePasswordDatabaseDontUse(u=b"p"))
        self.publicKeys = {key.sshType(): key.public() for key in HOST_KEYS}
        self.privateKeys = {key.sshType(): key for key in HOST_KEYS}
        self.primes = None
        self.exchanges = 0
        self.transports: list[ServerTransport] = []

    def protocol(self) -> ServerTransport:
        transport = CountingTransport(self.settings, self.reactor)
        self.transports.append(transport)
        return transport


class StockConnectionFactory(Factory):
    """Our transport beneath Conch's own connection and SFTP server."""

    services = {b"ssh-userauth": userauth.SSHUserAuthServer, b"ssh-connection": SSHConnection}


def listen(case: Any, factory: Factory, direct: bool = True) -> int:
    """Listen on a free port of 127.0.0.1 until the test is over."""
    start: Callable[..., Any] = tcp.listen
    if not direct:
        start = type(factory.reactor).listenTCP
    port = start(factory.reactor, 0, factory, 50, "127.0.0.1")

    def stop() -> Any:
        for transport in factory.transports:
            if transport.connected:
                transport.abort()
        return port.stopListening()

    case.addCleanup(stop)
    return int(port.getHost().port)


def threaded(**changes: Any) -> Settings:
    return Settings(run_slow=OneAtATime(deferToThread), **changes)


def run(*command: str, stdin: str = "", env: dict[str, str] | None = None) -> Deferred[tuple[int, str]]:
    """Run a client off the reactor: its exit status and all it said."""

    def work() -> tuple[int, str]:
        done = subprocess.run(
            command,
            input=stdin,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout

    return deferToThread(work)


def askpass(directory: str) -> dict[str, str]:
    """The environment that has OpenSSH take the password "p"."""
    script = os.path.join(directory, "askpass")
    with open(script, "w") as file:
        file.write("#!/bin/sh\necho p\n")
    os.chmod(script, 0o700)
    return {"SSH_ASKPASS": script, "SSH_ASKPASS_REQUIRE": "force", "HOME": directory}


def openssh(program: str, port: int, *options: str) -> list[str]:
    settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "PreferredAuthentications=password"]
    settings += ["LogLevel=ERROR", "PubkeyAuthentication=no", *options]
    letter = "-p" if program == "ssh" else "-P"
    return [program, "-F", "none", letter, str(port), *[word for setting in settings for word in ("-o", setting)]]


def blocking_socket(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)
