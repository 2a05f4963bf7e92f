"""Both ends of a connection for the fuzzer: the real services behind the transport, and a client at any stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from cryptography.exceptions import InvalidTag
from twisted.conch.avatar import ConchUser
from twisted.conch.interfaces import IConchUser
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed

from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.ssh.connection import Connection
from sftpgo.ssh.fields import string, uint32
from sftpgo.ssh.packets import PacketError
from sftpgo.ssh.session import SessionChannel
from sftpgo.ssh.sftp import SFTPSession
from sftpgo.ssh.userauth import UserAuthServer
from tests.ssh.scripted import SERVER_KEY, Client, Services, kexinit

from .sftp_target import World
from .userauth_target import RIGHT, TRIES

Steps = Mapping[str, Callable[["FuzzClient"], object]]


class Server(Services):
    """The factory of one connection, with the real services.

    @ivar logins: sessions that have begun.
    @ivar logouts: those of them that are over.
    """

    def __init__(self, make_avatar: Callable[[], Any]) -> None:
        super().__init__(SERVER_KEY, Connection)
        self.portal = self
        self.max_auth_tries = TRIES
        self.login_banner = b""
        nothing = lambda *_: None  # noqa: E731
        self.auth_events = SimpleNamespace(attempted=nothing, succeeded=nothing, failed=nothing)
        self._make_avatar = make_avatar
        self.logins = self.logouts = self.asked = 0

    def getService(self, transport: Any, name: bytes) -> Any:
        if hasattr(transport, "avatar"):
            return Connection if name == b"ssh-connection" else None
        if name != b"ssh-userauth":
            return None
        if not hasattr(transport, "userauth"):
            transport.userauth = UserAuthServer()
        return lambda: transport.userauth

    def login(self, credentials: Any, mind: Any, *interfaces: Any) -> Deferred[Any]:
        self.asked += 1
        known = IUsernamePassword.providedBy(credentials) and credentials.username == b"u"
        if not known or credentials.password != RIGHT:
            return fail(UnauthorizedLogin("no"))
        self.logins += 1
        return succeed((IConchUser, self._make_avatar(), self._logout))

    def _logout(self) -> None:
        self.logouts += 1


class Avatar(ConchUser):
    """Serves SFTP on files."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.channelLookup = {b"session": SessionChannel}
        self._files = UserSFTPServer(world.files)

    def lookupStream(self, name: bytes) -> Any:
        return (lambda stream: SFTPSession(stream, self._files)) if name == b"sftp" else None


class FuzzClient(Client):
    """A scripted client that may be out of step with the server, and says so.

    @ivar readable: what the server says can be decrypted.
    @ivar in_step: the server can decrypt what we say.
    """

    def __init__(self, world: World) -> None:
        self.readable = self.in_step = True
        self.said_bye = False
        super().__init__()
        self.services = self.server.factory = Server(lambda: Avatar(world))

    def listen(self) -> None:
        """Take what the server has sent, as far as it can be read."""
        if self.received[:7] == b"Invalid":
            return
        try:
            super().listen()
        except (PacketError, InvalidTag, AttributeError, ValueError, IndexError):
            # After a message of the key exchange that we never meant, the keys are not the server's.
            self.readable = False

    def open_session(self, window: int = 1 << 30) -> None:
        self.send(90, string(b"session") + uint32(7) + uint32(window) + uint32(32768))

    def log_in_really(self, **lists: Any) -> None:
        self.request_login(**lists)
        self.send(50, string(b"u") + string(b"ssh-connection") + string(b"password") + b"\0" + string(RIGHT))
        self.kinds()

    def start_sftp(self) -> None:
        self.log_in_really()
        self.open_session()
        self.send(98, uint32(0) + string(b"subsystem") + b"\1" + string(b"sftp"))
        self.clock.advance(0)
        self.kinds()


def _renew(client: FuzzClient) -> None:
    client.start_sftp()
    client.server.sendKexInit()


def _begin_renewal(client: FuzzClient) -> None:
    client.start_sftp()
    client.offer(kexinit())


STAGES: Steps = {
    "nothing": lambda client: None,
    "version": FuzzClient.greet,
    "both offers": FuzzClient.begin,
    "both offers, not strict": lambda client: client.begin(False),
    "keys agreed": lambda client: (client.begin(), client.agree()),
    "keys in use": FuzzClient.secure,
    "login": FuzzClient.request_login,
    "logged in": FuzzClient.log_in_really,
    "sftp": FuzzClient.start_sftp,
    "the server wants new keys": _renew,
    "the client wants new keys": _begin_renewal,
}

EARLY = ("nothing", "version", "both offers", "both offers, not strict", "keys agreed", "keys in use")
