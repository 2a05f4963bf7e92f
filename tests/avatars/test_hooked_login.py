"""Logins where a hook has a say: whom it lets in, whom it makes, and that nobody comes in by its faults."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519
from twisted.conch.error import ValidPublicKey
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import SSHPrivateKey, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.accounts import Accounts
from sftpgo.avatars.checkers import Authenticated, PasswordChecker, PublicKeyChecker
from sftpgo.avatars.guests import GuestProvider
from sftpgo.avatars.hookedlogin import HookedPortal, Judges
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.hooks import Hooks, LoginAttempt, Method, account
from sftpgo.hooks.calls import HookCalls
from sftpgo.log import Log
from sftpgo.ssh.authorized_keys import check
from tests.avatars.test_checkers import NOW, CountingPasswords
from tests.doubles import Events


class PlainOrHashed(CountingPasswords):
    """As above; only what begins with a dollar is a hash, of what follows it."""

    def is_hashed(self, stored: str) -> bool:
        return stored.startswith("$")

    async def hash(self, plain: str) -> str:
        return f"${plain}"

    async def verify(self, stored: str, given: bytes) -> bool:
        self.hashed += 1
        return stored == "$" + given.decode()


class _Realm:
    """Answers with whom it was asked for."""

    def requestAvatar(self, found: Authenticated, mind: Any, *interfaces: Any) -> Any:
        return succeed((IConchUser, found, lambda: None))


class PortalTestCase(SynchronousTestCase):
    """A portal over an empty data provider."""

    def setUp(self) -> None:
        self.provider = MemoryProvider()
        self.passwords = PlainOrHashed()
        self.events = Events()
        self.clock = Clock()
        self.asked: list[LoginAttempt] = []
        self.private = Key(ed25519.Ed25519PrivateKey.generate())
        self.line = self.private.public().toString("openssh").decode() + " joe's laptop"

    def portal(self, **hooks: Callable[[LoginAttempt], Any]) -> HookedPortal:
        def kept(hook: Callable[[LoginAttempt], Any]) -> Callable[[LoginAttempt], Any]:
            def call(attempt: LoginAttempt) -> Any:
                self.asked.append(attempt)
                return hook(attempt)

            return call

        log = Log("hooks", self.events)
        calls = HookCalls(Hooks(**{name: kept(hook) for name, hook in hooks.items()}), self.clock, log)
        self.guests = GuestProvider(self.provider)
        accounts = Accounts(self.provider, self.passwords, check_key=check)
        checkers = [
            PasswordChecker(self.guests, self.passwords, lambda: NOW),
            PublicKeyChecker(self.guests, lambda: NOW),
        ]
        judges = Judges(calls, accounts, self.passwords, self.guests, lambda: NOW, log)
        return HookedPortal(_Realm(), checkers, judges)

    def password(self, portal: HookedPortal, username: bytes = b"u", password: bytes = b"right") -> Any:
        return self._login(portal, UsernamePassword(username, password))

    def key(self, portal: HookedPortal, *, signed: bool = True, data: bytes = b"data", username: bytes = b"u") -> Any:
        signature = self.private.sign(b"data") if signed else None
        credentials = SSHPrivateKey(username, b"ssh-ed25519", self.private.public().blob(), data, signature)
        return self._login(portal, credentials)

    def _login(self, portal: HookedPortal, credentials: Any) -> Any:
        peer = SimpleNamespace(address=SimpleNamespace(host="192.0.2.7"))
        mind = SimpleNamespace(getPeer=lambda: peer)
        return portal.login(credentials, mind, IConchUser)

    def user(self, login: Any) -> User:
        found: Authenticated = self.successResultOf(login)[1]
        return found.user

    def refused(self, login: Any, hashed: int = 1) -> str:
        reason = str(self.failureResultOf(login, UnauthorizedLogin).value)
        self.assertEqual(self.passwords.hashed, hashed, reason)
        self.passwords.hashed = 0
        return reason

    def stored(self, username: str = "u") -> User | None:
        found: list[Any] = []
        ensureDeferred(self.provider.user_by_name(username)).addBoth(found.append)
        return found[0] if isinstance(found[0], User) else None

    def add(self, **fields: Any) -> User:
        user = account("u", "/h", password="$right", **fields)
        return self.successResultOf(ensureDeferred(self.provider.add(user)))


class CheckLoginTests(PortalTestCase):
    """C{check_login}."""

    def test_what_it_gets(self) -> None:
        portal = self.portal(check_login=lambda _: True)
        self.refused(self.password(portal, b"\xff", b"p\xe9"))
        self.refused(self.key(portal, signed=False), hashed=0)
        self.refused(self.key(portal), hashed=0)
        password, probe, key = self.asked
        self.assertEqual((password.username, password.password), ("\udcff", "p\udce9"))
        self.assertEqual((password.method, password.address), (Method.PASSWORD, "192.0.2.7"))
        self.assertEqual((probe.method, probe.password, probe.signed), (Method.PUBLIC_KEY, "", False))
        self.assertEqual(key.public_key, " ".join(self.line.split()[:2]))
        self.assertTrue(key.signed)

    def test_leaves_it_to_the_server(self) -> None:
        self.add()
        portal = self.portal(check_login=lambda _: None)
        self.assertEqual(self.user(self.password(portal)).username, "u")
        self.passwords.hashed = 0
        self.assertEqual(self.refused(self.password(portal, password=b"wrong")), "Invalid credentials")

    def test_a_guest(self) -> None:
        """Somebody no data provider knows; nothing of theirs is stored, and nobody is asked in vain."""
        made = account("u", "/h", {"/": ("list",), "/a/": ("*", "list")}, quota_files=5, used_quota_files=2)
        portal = self.portal(check_login=lambda _: made)
        user = self.user(self.password(portal))
        self.assertEqual(user.permissions, {"/": ("list",), "/a": ("*",)})
        self.assertIsNone(self.stored())
        self.assertEqual(self.successResultOf(ensureDeferred(self.guests.used_quota("u"))), (2, 0))
        self.successResultOf(ensureDeferred(self.guests.update_quota("u", 1, 1, 1)))
        self.successResultOf(ensureDeferred(self.guests.update_last_login("u", 1)))

    def test_no_guest_any_more(self) -> None:
        """When the provider knows the name after all, its usage is kept there again."""
        answers = [account("u", "/h"), None]
        portal = self.portal(check_login=lambda _: answers.pop(0))
        self.user(self.password(portal))
        self.add()
        self.user(self.password(portal))
        self.successResultOf(ensureDeferred(self.guests.update_quota("u", 3, 9, 1)))
        self.assertEqual(self.stored().used_quota_files, 3)

    def test_true_is_for_known_names(self) -> None:
        portal = self.portal(check_login=lambda _: True)
        self.assertEqual(self.refused(self.password(portal)), "Not found")
        self.add()
        self.assertEqual(self.user(self.password(portal, password=b"whatever")).username, "u")

    def test_disabled_and_expired_stay_out(self) -> None:
        for fields, reason in (({"status": 0}, "disabled"), ({"expiration_date": 1}, "expired")):
            made = User(**({"status": 1, "username": "u", "home_dir": "/h", "permissions": {"/": ("*",)}} | fields))
            portal = self.portal(check_login=lambda _, made=made: made)
            self.assertIn(reason, self.refused(self.password(portal), hashed=0))

    def test_refuses(self) -> None:
        """By False, a text, a fault or silence: always as slow as a wrong password, even for a known account."""
        self.add()

        def broken(_: LoginAttempt) -> Any:
            raise ZeroDivisionError

        for hook, reason in (
            (lambda _: False, "a hook refused the login"),
            (lambda _: "not on Sundays", "not on Sundays"),
            (lambda _: "", "a hook refused the login"),
            (lambda _: 1, "a hook refused the login"),
            (broken, "the hook check_login failed"),
        ):
            self.assertEqual(self.refused(self.password(self.portal(check_login=hook))), reason)
        login = self.password(self.portal(check_login=lambda _: Deferred()))
        self.assertNoResult(login)
        self.clock.advance(30)
        self.assertEqual(self.refused(login), "the hook check_login has not answered")

    def test_an_account_that_cannot_be(self) -> None:
        for made in (
            account("u", "relative"),
            account("", "/h"),
            account("u", "/h", {}),
            account("u", "/h", {"/": ()}),
        ):
            reason = self.refused(self.password(self.portal(check_login=lambda _, made=made: made)), hashed=0)
            self.assertEqual(reason, "a hook made an account that cannot be used")

    def test_keys_must_sign(self) -> None:
        """To allow a key is not to trust whoever names it."""
        portal = self.portal(check_login=lambda _: account("u", "/h"))
        self.failureResultOf(self.key(portal, signed=False), ValidPublicKey)
        self.assertEqual(self.refused(self.key(portal, data=b"other"), hashed=0), "Invalid signature")
        self.assertEqual(self.user(self.key(portal)).username, "u")


class MakeUserTests(PortalTestCase):
    """C{make_user}."""

    def test_made_and_stored(self) -> None:
        """Hashed; the next login is as any other, and nobody is asked again."""
        portal = self.portal(make_user=lambda _: account("u", "/h", password="right"))
        user = self.user(self.password(portal))
        self.assertEqual(user.password, "$right")
        self.assertEqual(self.stored(), user)
        self.assertEqual(self.user(self.password(portal)).id, user.id)
        self.assertEqual(len(self.asked), 1)

    def test_stored_only_when_right(self) -> None:
        for password in ("right", "$right", ""):
            portal = self.portal(
                make_user=lambda _, p=password: account("u", "/h", public_keys=(self.line,), password=p)
            )
            self.assertEqual(self.refused(self.password(portal, password=b"wrong")), "Invalid credentials")
            self.failureResultOf(self.key(portal, signed=False), ValidPublicKey)
            self.assertEqual(self.refused(self.key(portal, data=b"other"), hashed=0), "Invalid signature")
            self.assertIsNone(self.stored())
        self.assertEqual(self.user(self.key(portal)).username, "u")
        self.assertIsNotNone(self.stored())

    def test_none(self) -> None:
        self.assertEqual(self.refused(self.password(self.portal(make_user=lambda _: None))), "Not found")

    def test_faults(self) -> None:
        def broken(_: LoginAttempt) -> Any:
            raise ZeroDivisionError

        for hook in (broken, lambda _: account("root", "/h", password="right"), lambda _: "u"):
            self.refused(self.password(self.portal(make_user=hook)))
            self.assertIsNone(self.stored())
            self.assertIsNone(self.stored("root"))
        self.refused(
            self.password(self.portal(make_user=lambda _: account("u", "relative", password="right"))), hashed=0
        )
        self.assertIsNone(self.stored())

    def test_two_at_once(self) -> None:
        """The slower one finds what the quicker one has stored."""
        answers: list[Deferred[User]] = [Deferred(), Deferred()]
        waiting = list(answers)
        portal = self.portal(make_user=lambda _: waiting.pop(0))
        logins = [self.password(portal), self.password(portal)]
        for answer in answers:
            answer.callback(account("u", "/h", password="right"))
        self.assertEqual(*[self.user(login).id for login in logins])
