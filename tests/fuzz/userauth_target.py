"""The authentication service: nobody gets in who may not, nothing is asked more often than allowed."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.checkers import PublicKeyChecker
from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.errors import NotFound
from sftpgo.interfaces import IDataProvider
from sftpgo.ssh.userauth import HOST_BOUND, UserAuthServer

from .mutations import choose, maybe, mutated
from .oracle import Counts, require

RIGHT = b"the right password"
TRIES = 6
SESSION = b"s" * 32
HOST_KEY = b"our host key"
_REQUEST, _FAILURE, _SUCCESS, _PK_OK, _RESPONSE = 50, 51, 52, 60, 61


@implementer(IDataProvider)
class Provider:
    """Knows one user, with one key."""

    def __init__(self, known: Key) -> None:
        self._line = known.public().toString("openssh").decode()

    async def user_by_name(self, username: str) -> User:
        if username != "u":
            raise NotFound("no such user")
        return User(
            username="u",
            status=STATUS_ENABLED,
            home_dir="/nowhere",
            public_keys=(self._line,),
            permissions={"/": ("*",)},
        )


class Now:
    """What a Deferred has come to already.

    @ivar error: that it failed with.
    """

    def __init__(self, deferred: Deferred[Any]) -> None:
        self.error: BaseException | None = None
        deferred.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.error = failure.value


class Portal:
    """Lets in who knows the password or has signed with the known key.

    @ivar waiting: answers that are held back.
    """

    def __init__(self, known: Key, held: bool) -> None:
        self._keys = PublicKeyChecker(Provider(known), lambda: 0.0)
        self._held = held
        self.asked = 0
        self.granted = 0
        self.logouts = 0
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    def login(self, credentials: Any, mind: Any, *interfaces: Any) -> Deferred[Any]:
        self.asked += 1
        answer = self._answer(credentials)
        if self._held:
            later: Deferred[Any] = Deferred()
            self.waiting.append((later, answer))
            return later
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)

    def _answer(self, credentials: Any) -> Any:
        if IUsernamePassword.providedBy(credentials):
            right = credentials.username == b"u" and credentials.password == RIGHT
        else:
            checked = Now(self._keys.requestAvatarId(credentials))
            if checked.error is not None:
                return checked.error
            right = True
        if not right:
            return UnauthorizedLogin("no")
        self.granted += 1
        return None, "avatar", self._logout

    def _logout(self) -> None:
        self.logouts += 1

    def release(self) -> None:
        """Let the answers go that were held back."""
        waiting, self.waiting = self.waiting, []
        for later, answer in waiting:
            if isinstance(answer, Exception):
                later.errback(answer)
            else:
                later.callback(answer)


class Transport:
    """Keeps what is sent; the factory of the service."""

    sessionID = SESSION

    def __init__(self, portal: Portal) -> None:
        self.sent: list[int] = []
        self.ended: bytes | None = None
        self.service: Any = None
        self.logoutFunction: Any = None
        nothing = SimpleNamespace(
            attempted=lambda *_: None, succeeded=lambda *_: None, failed=lambda *_: None, disconnected=lambda *_: None
        )
        self.factory = SimpleNamespace(
            portal=portal,
            max_auth_tries=TRIES,
            login_banner=b"",
            auth_events=nothing,
            getService=lambda transport, name: lambda: f"service {name.decode()}",
        )

    def hostKeyBlob(self) -> bytes:
        return HOST_KEY

    def sendPacket(self, kind: int, payload: bytes) -> None:
        self.sent.append(kind)

    def sendDisconnect(self, code: int, text: bytes) -> None:
        self.ended = text

    def setService(self, service: Any) -> None:
        self.service = service


class UserAuthTarget:
    """Logins of mutated requests."""

    name = "userauth"

    def __init__(self) -> None:
        self.counts = Counts()
        self._keys = [
            (Key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))), b"ssh-ed25519"),
            (Key(ec.derive_private_key(12345, ec.SECP256R1())), b"ecdsa-sha2-nistp256"),
            (Key(ec.derive_private_key(12345, ec.SECP521R1())), b"ecdsa-sha2-nistp521"),
            (Key(rsa.generate_private_key(65537, 2048)), b"rsa-sha2-512"),
        ]

    def close(self) -> None:
        pass

    def run(self, random: Random, fresh: bool = False) -> None:
        """One connection's requests; C{fresh} makes no difference here."""
        key, algorithm = random.choice(self._keys)
        messages = [self._message(random, key, algorithm) for _ in range(random.randint(1, 12))]
        self.serve(messages, key, random.random() < 0.3, random)

    def serve(self, messages: list[tuple[int, bytes]], known: Key, held: bool, random: Random) -> None:
        """Send messages to a new service, and hold what came of it against them."""
        portal = Portal(known, held)
        transport = Transport(portal)
        auth = UserAuthServer()
        auth.transport = transport
        auth.serviceStarted()
        for number, message in messages:
            before = len(transport.sent)
            auth.packetReceived(number, message)
            if not held:
                answered = len(transport.sent) - before
                over = transport.ended is not None or transport.service is not None
                require(over or answered == 1, f"a request got {answered} answers")
            elif random.random() < 0.5:
                portal.release()
            self.counts["messages"] += 1
        while portal.waiting:
            portal.release()
        self._judge(portal, transport)
        auth.serviceStopped()
        if transport.logoutFunction is not None:
            transport.logoutFunction()
        require(portal.logouts == portal.granted, f"{portal.granted} logins, {portal.logouts} logouts")

    def _judge(self, portal: Portal, transport: Transport) -> None:
        # A probe weighs half.
        require(portal.asked <= 2 * TRIES, f"the checker was asked {portal.asked} times")
        require((transport.service is not None) == (_SUCCESS in transport.sent), "a success without a service")
        require(transport.service is None or portal.granted, "somebody got in whom nobody let in")
        require(transport.sent.count(_SUCCESS) <= 1, "two successes")
        self.counts["connections"] += 1
        self.counts["ended by us"] += transport.ended is not None
        self.counts["logged in"] += transport.service is not None
        self.counts["questions to the checker"] += portal.asked

    # --- requests

    def _message(self, random: Random, key: Key, algorithm: bytes) -> tuple[int, bytes]:
        if random.random() < 0.1:
            answer = b"\0\0\0\1" + NS(choose(random, (1, RIGHT), (9, b"wrong")))
            return _RESPONSE, maybe(random, answer, 0.6)
        user = choose(random, (9, b"u"), (1, b"\xff\0"), (1, b""))
        service = choose(random, (40, b"ssh-connection"), (1, b"ssh-userauth"), (1, b""))
        method = choose(
            random, (3, b"password"), (5, b"publickey"), (5, HOST_BOUND), (2, b"keyboard-interactive"), (1, b"none")
        )
        head = NS(user) + NS(service) + NS(method)
        rest = self._rest(random, method, head, key, algorithm)
        message = head + maybe(random, rest, 0.4)
        return _REQUEST, maybe(random, message, 0.15)

    def _rest(self, random: Random, method: bytes, head: bytes, key: Key, algorithm: bytes) -> bytes:
        if method == b"password":
            return choose(random, (9, b"\0"), (1, b"\1")) + NS(choose(random, (1, RIGHT), (9, b"wrong"), (1, b"")))
        if method == b"keyboard-interactive":
            return NS(b"") + NS(b"")
        if method == b"none":
            return b""
        algorithm = choose(random, (9, algorithm), (1, b"ssh-rsa"), (1, random.choice(self._keys)[1]))
        bound = NS(HOST_KEY) if method == HOST_BOUND else b""
        blob = maybe(random, key.public().blob(), 0.3)
        fields = NS(algorithm) + NS(blob) + bound
        if random.random() < 0.4:
            return b"\0" + fields
        message = NS(SESSION) + bytes((_REQUEST,)) + head + b"\1" + fields
        signature = key.sign(maybe(random, message, 0.5), signatureType=algorithm if _signs(key, algorithm) else None)
        if random.random() < 0.5:
            signature = mutated(random, signature)
        return b"\1" + fields + NS(signature)


def _signs(key: Key, algorithm: bytes) -> bool:
    return algorithm == key.sshType() or (key.sshType() == b"ssh-rsa" and algorithm.startswith(b"rsa-"))
