"""The authentication service as scripts of messages: order, counting, and what a signature must be."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.userauth import UserAuthServer

FAILURE, SUCCESS, BANNER, PK_OK, INFO_REQUEST = 51, 52, 53, 60, 60


class Portal:
    """Answers as the test decides; remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answer: Any = None
        self.logouts = 0

    def login(self, credentials: Any, mind: Any, *interfaces: Any) -> Deferred[Any]:
        self.asked.append(credentials)
        answer = self.answer(credentials) if callable(self.answer) else self.answer
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)

    def logout(self) -> None:
        self.logouts += 1


class Transport:
    """The messages sent, and whether the connection was ended."""

    sessionID = b"s" * 32

    def hostKeyBlob(self) -> bytes:
        return b"our host key"

    def __init__(self, portal: Portal, max_auth_tries: int | None, banner: bytes) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.ended: bytes | None = None
        self.service: Any = None
        self.events: list[tuple[str, bytes]] = []
        self.factory = SimpleNamespace(
            portal=portal,
            max_auth_tries=max_auth_tries,
            login_banner=banner,
            auth_events=self,
            getService=lambda transport, name: lambda: f"service {name.decode()}",
        )

    def sendPacket(self, kind: int, payload: bytes) -> None:
        self.sent.append((kind, payload))

    def sendDisconnect(self, code: int, text: bytes) -> None:
        self.ended = text

    def setService(self, service: Any) -> None:
        self.service = service

    def attempted(self, transport: Any, username: bytes, method: bytes) -> None:
        self.events.append(("attempted", method))

    def succeeded(self, transport: Any, username: bytes, method: bytes) -> None:
        self.events.append(("succeeded", method))

    def failed(self, transport: Any, username: bytes, method: bytes, reason: BaseException) -> None:
        self.events.append(("failed", method))


class _Case(SynchronousTestCase):
    def start(self, max_auth_tries: int | None = 6, banner: bytes = b"") -> None:
        self.portal = Portal()
        self.portal.answer = UnauthorizedLogin("no")
        self.transport = Transport(self.portal, max_auth_tries, banner)
        self.auth = UserAuthServer()
        self.auth.transport = self.transport
        self.auth.serviceStarted()

    def ask(
        self, method: bytes, rest: bytes = b"", user: bytes = b"u", service: bytes = b"ssh-connection"
    ) -> list[int]:
        """The types of the messages this request brought."""
        before = len(self.transport.sent)
        self.auth.ssh_USERAUTH_REQUEST(NS(user) + NS(service) + NS(method) + rest)
        return [kind for kind, _payload in self.transport.sent[before:]]

    def password(self, password: bytes = b"p") -> list[int]:
        return self.ask(b"password", b"\0" + NS(password))

    def probe(self, key: Key, algorithm: bytes) -> list[int]:
        return self.ask(b"publickey", b"\0" + NS(algorithm) + NS(key.public().blob()))

    def sign(self, key: Key, algorithm: bytes, signature: bytes | None = None) -> list[int]:
        message = NS(b"s" * 32) + bytes([50]) + NS(b"u") + NS(b"ssh-connection") + NS(b"publickey") + b"\1"
        message += NS(algorithm) + NS(key.public().blob())
        signed = signature if signature is not None else key.sign(message, signatureType=algorithm)
        return self.ask(b"publickey", b"\1" + NS(algorithm) + NS(key.public().blob()) + NS(signed))


class OrderTests(_Case):
    """One request at a time, each counted before anybody is asked."""

    def test_pipelined_passwords(self) -> None:
        """Two thousand passwords at once: no more than the limit are ever checked."""
        self.start(6)
        for number in range(2000):
            self.password(b"%d" % number)
        self.assertEqual(len(self.portal.asked), 6)
        self.assertEqual(self.transport.ended, b"too many authentication failures")

    def test_waiting_is_bounded(self) -> None:
        """While one check takes its time, the others wait, and not without bound."""
        self.start(None)
        self.portal.answer = lambda _credentials: Deferred()
        for _ in range(2000):
            self.password()
        self.assertEqual(len(self.portal.asked), 1)
        self.assertIsNotNone(self.transport.ended)

    def test_in_order(self) -> None:
        self.start()
        first: Deferred[Any] = Deferred()
        self.portal.answer = lambda credentials: first if credentials.password == b"1" else UnauthorizedLogin("no")
        self.assertEqual(self.password(b"1") + self.password(b"2"), [])
        self.assertEqual(len(self.portal.asked), 1)
        first.errback(UnauthorizedLogin("no"))
        self.assertEqual([kind for kind, _ in self.transport.sent], [FAILURE, FAILURE])

    def test_no_limit(self) -> None:
        self.start(None)
        for _ in range(50):
            self.assertEqual(self.password(), [FAILURE])
        self.assertIsNone(self.transport.ended)

    def test_first_none_is_free(self) -> None:
        self.start(1)
        self.assertEqual(self.ask(b"none"), [FAILURE])
        self.assertIn(b"password,publickey,keyboard-interactive", self.transport.sent[0][1])
        self.assertEqual(self.ask(b"none"), [])
        self.assertIsNotNone(self.transport.ended)

    def test_agent_with_five_keys(self) -> None:
        """Five keys that are not known, then the right password: within the default limit."""
        self.start(6)
        self.ask(b"none")
        for _ in range(5):
            key = Key(ed25519.Ed25519PrivateKey.generate())
            self.assertEqual(self.probe(key, b"ssh-ed25519"), [FAILURE])
        self.portal.answer = (None, "avatar", self.portal.logout)
        self.assertEqual(self.password(), [SUCCESS])

    def test_asking_for_the_service_again(self) -> None:
        """The attempts used up stay used up."""
        self.start(3)
        for _ in range(3):
            self.auth.serviceStopped()
            self.auth.serviceStarted()
            self.password()
        self.assertIsNotNone(self.transport.ended)

    def test_success_ends_it(self) -> None:
        """What was pipelined behind the success is dropped."""
        self.start()
        checked: Deferred[Any] = Deferred()
        self.portal.answer = lambda _credentials: checked
        self.password(b"right")
        self.password(b"another")
        checked.callback((None, "avatar", self.portal.logout))
        self.assertEqual([kind for kind, _ in self.transport.sent], [SUCCESS])
        self.assertEqual(len(self.portal.asked), 1)
        self.assertEqual(self.transport.service, "service ssh-connection")
        self.assertEqual(self.password(), [])

    def test_connection_lost_while_checking(self) -> None:
        """A login that succeeds after the client has gone is logged out."""
        self.start()
        checked: Deferred[Any] = Deferred()
        self.portal.answer = lambda _credentials: checked
        self.password()
        self.auth.serviceStopped()
        checked.callback((None, "avatar", self.portal.logout))
        self.assertEqual(self.portal.logouts, 1)
        self.assertEqual(self.transport.sent, [])


class RequestTests(_Case):
    """What a request may hold."""

    def test_banner(self) -> None:
        self.start(banner=b"Be kind.")
        self.assertEqual(self.transport.sent, [(BANNER, NS(b"Be kind.") + NS(b""))])

    def test_malformed(self) -> None:
        self.start()
        self.auth.ssh_USERAUTH_REQUEST(b"\0\0\0\xff")
        self.assertIsNotNone(self.transport.ended)

    def test_malformed_password(self) -> None:
        self.start()
        self.ask(b"password", b"\0\0\0\0\xff")
        self.assertEqual(self.portal.asked, [])

    def test_unknown_service(self) -> None:
        self.start()
        self.assertEqual(self.ask(b"password", b"\0" + NS(b"p"), service=b"ssh-nonsense"), [])
        self.assertIsNotNone(self.transport.ended)

    def test_unknown_method(self) -> None:
        self.start()
        for method in (b"hostbased", b"\xff\xfe", b"__init__"):
            self.assertEqual(self.ask(method), [FAILURE])

    def test_empty_long_and_changed_passwords(self) -> None:
        """Refused without asking anybody."""
        self.start(None)
        self.assertEqual(self.password(b""), [FAILURE])
        self.assertEqual(self.password(b"x" * 1025), [FAILURE])
        self.assertEqual(self.ask(b"password", b"\1" + NS(b"old") + NS(b"new")), [FAILURE])
        self.assertEqual(self.portal.asked, [])

    def test_unexpected_error(self) -> None:
        """An error behind the portal refuses the login and is logged."""
        self.start()
        self.portal.answer = RuntimeError("the database is gone")
        self.assertEqual(self.password(), [FAILURE])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertNotIn(b"database", b"".join(payload for _, payload in self.transport.sent))

    def test_events(self) -> None:
        self.start()
        self.password()
        self.portal.answer = (None, "avatar", self.portal.logout)
        self.password()
        self.assertEqual(
            self.transport.events,
            [(event, b"password") for event in ("attempted", "failed", "attempted", "succeeded")],
        )


class KeyTests(_Case):
    """A probe is no proof; key, algorithm and signature agree."""

    def test_probe(self) -> None:
        self.start()
        self.portal.answer = ValidPublicKey()
        key = Key(ed25519.Ed25519PrivateKey.generate())
        self.assertEqual(self.probe(key, b"ssh-ed25519"), [PK_OK])
        self.assertIsNone(self.portal.asked[0].signature)

    def test_checker_that_accepts_a_probe(self) -> None:
        """Even a checker that returns an avatar for a key without a signature lets nobody in."""
        self.start()
        self.portal.answer = (None, "avatar", self.portal.logout)
        key = Key(ed25519.Ed25519PrivateKey.generate())
        self.assertEqual(self.probe(key, b"ssh-ed25519"), [FAILURE])
        self.assertIsNone(self.transport.service)

    def test_signatures_that_are_accepted(self) -> None:
        for private, algorithms in (
            (ed25519.Ed25519PrivateKey.generate(), (b"ssh-ed25519",)),
            (ec.generate_private_key(ec.SECP256R1()), (b"ecdsa-sha2-nistp256",)),
            (ec.generate_private_key(ec.SECP521R1()), (b"ecdsa-sha2-nistp521",)),
            (rsa.generate_private_key(65537, 2048), (b"rsa-sha2-256", b"rsa-sha2-512")),
        ):
            for algorithm in algorithms:
                self.start()
                self.portal.answer = lambda c: (
                    (None, "avatar", self.portal.logout)
                    if Key.fromString(c.blob).verify(c.signature, c.sigData)
                    else UnauthorizedLogin("bad signature")
                )
                self.assertEqual(self.sign(Key(private), algorithm), [SUCCESS], algorithm)

    def test_sha1_is_out(self) -> None:
        self.start()
        key = Key(rsa.generate_private_key(65537, 2048))
        self.assertEqual(self.probe(key, b"ssh-rsa"), [FAILURE])
        self.assertEqual(self.sign(key, b"ssh-rsa"), [FAILURE])
        self.assertEqual(self.portal.asked, [])

    def test_signature_of_another_type(self) -> None:
        """rsa-sha2-512 asked for, ssh-rsa or rsa-sha2-256 signed: refused before any arithmetic."""
        key = Key(rsa.generate_private_key(65537, 2048))
        for kind in (b"ssh-rsa", b"rsa-sha2-256"):
            self.start()
            self.assertEqual(self.sign(key, b"rsa-sha2-512", key.sign(b"m", signatureType=kind)), [FAILURE])
            self.assertEqual(self.portal.asked, [])

    def test_algorithm_of_another_key(self) -> None:
        self.start()
        key = Key(ed25519.Ed25519PrivateKey.generate())
        self.assertEqual(self.probe(key, b"ecdsa-sha2-nistp256"), [FAILURE])
        self.assertEqual(self.portal.asked, [])

    def test_short_rsa(self) -> None:
        self.start()
        key = Key(rsa.generate_private_key(65537, 1024))
        self.assertEqual(self.probe(key, b"rsa-sha2-256"), [FAILURE])
        self.assertEqual(self.portal.asked, [])

    def test_damaged_keys(self) -> None:
        self.start(None)
        for blob in (b"", b"\0\0\0\7ssh-rsa", NS(b"ssh-ed25519") + NS(b"short"), b"\xff" * 40):
            self.assertEqual(self.ask(b"publickey", b"\0" + NS(b"ssh-ed25519") + NS(blob)), [FAILURE], blob)
        self.assertEqual(self.portal.asked, [])


class HostBoundTests(_Case):
    """publickey-hostbound-v00@openssh.com: the signature covers our host key too."""

    METHOD = b"publickey-hostbound-v00@openssh.com"

    def ask_bound(self, host_key: bytes, *, signed: bool = True, over: bytes | None = None) -> list[int]:
        self.start()
        self.portal.answer = lambda c: (
            ValidPublicKey()
            if c.signature is None
            else (None, "avatar", self.portal.logout)
            if Key.fromString(c.blob).verify(c.signature, c.sigData)
            else UnauthorizedLogin("bad signature")
        )
        key = Key(ed25519.Ed25519PrivateKey.generate())
        fields = NS(b"ssh-ed25519") + NS(key.public().blob())
        message = NS(b"s" * 32) + bytes([50]) + NS(b"u") + NS(b"ssh-connection") + NS(self.METHOD) + b"\1"
        signature = key.sign(message + fields + NS(host_key if over is None else over))
        tail = NS(host_key) + (NS(signature) if signed else b"")
        return self.ask(self.METHOD, (b"\1" if signed else b"\0") + fields + tail)

    def test_bound(self) -> None:
        self.assertEqual(self.ask_bound(b"our host key"), [SUCCESS])
        self.assertEqual(self.ask_bound(b"our host key", signed=False), [PK_OK])

    def test_bound_to_another(self) -> None:
        self.assertEqual(self.ask_bound(b"another host key"), [FAILURE])
        self.assertEqual(self.portal.asked, [])
        self.assertEqual(self.ask_bound(b"our host key", over=b"another host key"), [FAILURE])


class PromptTests(_Case):
    """keyboard-interactive: one prompt, for the password."""

    def prompt(self) -> list[int]:
        return self.ask(b"keyboard-interactive", NS(b"") + NS(b""))

    def reply(self, *answers: bytes) -> None:
        self.auth.packetReceived(61, len(answers).to_bytes(4, "big") + b"".join(map(NS, answers)))

    def test_right_and_wrong(self) -> None:
        self.start()
        self.portal.answer = lambda c: (
            (None, "avatar", self.portal.logout) if c.password == b"right" else UnauthorizedLogin("no")
        )
        self.assertEqual(self.prompt(), [INFO_REQUEST])
        self.assertEqual(self.transport.sent[-1][1][-1:], b"\0", "what is typed is not shown")
        self.reply(b"wrong")
        self.assertEqual(self.transport.sent[-1][0], FAILURE)
        self.prompt()
        self.reply(b"right")
        self.assertEqual(self.transport.sent[-1][0], SUCCESS)

    def test_wrong_number_of_answers(self) -> None:
        for answers in ((), (b"a", b"b")):
            self.start()
            self.prompt()
            self.reply(*answers)
            self.assertEqual(self.transport.sent[-1][0], FAILURE)
            self.assertEqual(self.portal.asked, [])

    def test_answer_to_no_question(self) -> None:
        self.start()
        self.reply(b"x")
        self.assertIsNotNone(self.transport.ended)

    def test_abandoned(self) -> None:
        """A client may go on to something else; that counts."""
        self.start(3)
        self.prompt()
        self.assertEqual(self.password(), [FAILURE])
        self.prompt()
        self.assertIsNone(self.transport.ended)
        self.password()
        self.assertIsNotNone(self.transport.ended)

    def test_lost_while_waiting(self) -> None:
        self.start()
        self.prompt()
        self.auth.serviceStopped()
        self.reply(b"late")
        self.assertEqual(self.portal.asked, [])


class SecurityKeyTests(_Case):
    """Keys on a token must say that somebody touched it (OpenSSH's PROTOCOL.u2f)."""

    def signed(self, flags: int) -> list[int]:
        self.start()
        self.portal.answer = lambda c: (
            (None, "avatar", self.portal.logout)
            if Key.fromString(c.blob).verify(c.signature, c.sigData)
            else UnauthorizedLogin("bad signature")
        )
        private = ed25519.Ed25519PrivateKey.generate()
        algorithm = b"sk-ssh-ed25519@openssh.com"
        blob = NS(algorithm) + NS(private.public_key().public_bytes_raw()) + NS(b"ssh:")
        message = NS(b"s" * 32) + bytes([50]) + NS(b"u") + NS(b"ssh-connection") + NS(b"publickey") + b"\1"
        message += NS(algorithm) + NS(blob)
        tail = bytes([flags]) + b"\0\0\0\1"
        signature = private.sign(sha256(b"ssh:").digest() + tail + sha256(message).digest())
        signed = NS(algorithm) + NS(signature) + tail
        return self.ask(b"publickey", b"\1" + NS(algorithm) + NS(blob) + NS(signed))

    def test_present(self) -> None:
        self.assertEqual(self.signed(1), [SUCCESS])

    def test_absent(self) -> None:
        self.assertEqual(self.signed(0), [FAILURE])
        self.assertEqual(self.portal.asked, [])
