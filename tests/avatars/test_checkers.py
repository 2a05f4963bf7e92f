"""Who is let through: outcomes, reasons, and that all refusals cost the same."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from sftpgo.avatars.checkers import PasswordChecker, PublicKeyChecker
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.interfaces import IPasswords

NOW = 1_000_000.0


@implementer(IPasswords)
class CountingPasswords:
    """Compares plain text, and counts what would have been hashed."""

    def __init__(self) -> None:
        self.hashed = 0

    def is_hashed(self, stored: str) -> bool:
        return True

    async def hash(self, plain: str) -> str:
        return plain

    async def verify(self, stored: str, given: bytes) -> bool:
        self.hashed += 1
        return stored.encode() == given

    async def verify_nobody(self, given: bytes) -> bool:
        self.hashed += 1
        return False


class _Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.provider = MemoryProvider()
        self.passwords = CountingPasswords()
        self.passwords_checker = PasswordChecker(self.provider, self.passwords, lambda: NOW)
        self.keys_checker = PublicKeyChecker(self.provider, lambda: NOW)
        self.private = Key(ed25519.Ed25519PrivateKey.generate())
        self.line = self.private.public().toString("openssh").decode() + " joe's laptop"

    def add(self, username: str, **fields: Any) -> None:
        fields = {"status": 1, "password": "right", "home_dir": "/h", "permissions": {"/": ("*",)}} | fields
        self.success(self.provider.add(User(username=username, **fields)))

    def success(self, awaitable: Any) -> Any:
        return self.successResultOf(ensureDeferred(awaitable))

    def login(self, username: bytes, password: bytes) -> Any:
        return self.passwords_checker.requestAvatarId(UsernamePassword(username, password))


class PasswordTests(_Case):
    def test_right(self) -> None:
        self.add("u")
        found = self.successResultOf(self.login(b"u", b"right"))
        self.assertEqual((found.user.username, found.method), ("u", "password"))

    def test_refusals_cost_one_hash_each(self) -> None:
        """Whatever the reason, exactly one password is hashed, and cred hears an UnauthorizedLogin."""
        self.add("u")
        self.add("keyed", password="", public_keys=(self.line,))
        self.add("disabled", status=0)
        self.add("expired", expiration_date=int(NOW * 1000) - 1)
        for username, password, reason in (
            (b"u", b"wrong", "Invalid credentials"),
            (b"nobody", b"right", "Not found"),
            (b"\xff\xfe", b"right", "Not found"),
            (b"keyed", b"", "Invalid credentials"),
            (b"keyed", b"x", "Invalid credentials"),
            (b"disabled", b"right", "disabled"),
            (b"disabled", b"wrong", "disabled"),
            (b"expired", b"right", "expired"),
        ):
            self.passwords.hashed = 0
            failure = self.failureResultOf(self.login(username, password), UnauthorizedLogin)
            self.assertIn(reason, str(failure.value), username)
            self.assertEqual(self.passwords.hashed, 1, username)

    def test_not_yet_expired(self) -> None:
        self.add("u", expiration_date=int(NOW * 1000))
        self.successResultOf(self.login(b"u", b"right"))

    def test_provider_is_down(self) -> None:
        """Nobody gets in, and the log learns why."""
        self.success(self.provider.stop())
        failure = self.failureResultOf(self.login(b"u", b"right"), UnauthorizedLogin)
        self.assertIn("the data provider failed", str(failure.value))


class PublicKeyTests(_Case):
    def ask(self, username: bytes, *, signed: bool = True, key: Key | None = None, data: bytes = b"data") -> Any:
        key = key or self.private
        signature = key.sign(b"data") if signed else None
        credentials = SSHPrivateKey(username, b"ssh-ed25519", key.public().blob(), data, signature)
        return self.keys_checker.requestAvatarId(credentials)

    def test_signed(self) -> None:
        self.add("u", public_keys=("damaged line", self.line))
        found = self.successResultOf(self.ask(b"u"))
        self.assertRegex(found.method, r"^public_key:SHA256:[A-Za-z0-9+/]{43}:joe's laptop$")

    def test_offered(self) -> None:
        self.add("u", public_keys=(self.line,))
        self.failureResultOf(self.ask(b"u", signed=False), ValidPublicKey)

    def test_refused(self) -> None:
        self.add("u", public_keys=(self.line,))
        self.add("other")
        self.add("disabled", public_keys=(self.line,), status=0)
        self.add("expired", public_keys=(self.line,), expiration_date=5)
        stranger = Key(ed25519.Ed25519PrivateKey.generate())
        for asked in (
            self.ask(b"other"),
            self.ask(b"nobody"),
            self.ask(b"disabled"),
            self.ask(b"expired"),
            self.ask(b"u", key=stranger),
            self.ask(b"u", data=b"other data"),
            self.ask(b"other", signed=False),
            self.ask(b"disabled", signed=False),
        ):
            self.failureResultOf(asked, UnauthorizedLogin)
