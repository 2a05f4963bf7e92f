"""Logins where an embedding program has a say: before the server's own checkers, or where they know nobody."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key
from twisted.cred.credentials import ISSHPrivateKey
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred

from sftpgo.avatars.checkers import Authenticated, Refused, find, has_signed, matching_key, refusal
from sftpgo.avatars.events import AuthenticationLog
from sftpgo.avatars.guests import GuestProvider
from sftpgo.domain.paths import from_wire
from sftpgo.domain.user import User
from sftpgo.domain.validation import validate
from sftpgo.errors import SFTPGoError, ValidationError
from sftpgo.hooks.calls import HookCalls, HookFailed
from sftpgo.hooks.model import Client, Event, EventKind, LoginAttempt, Method
from sftpgo.interfaces import IAccounts, IPasswords
from sftpgo.log import Log
from sftpgo.ssh.authorized_keys import AuthorizedKey, check


@attrs.frozen(eq=False)
class Judges:
    """Who takes part in a login beside the portal's own checkers.

    @ivar accounts: an L{IAccounts}, for the accounts that a hook makes.
    @ivar passwords: an L{IPasswords}.
    @ivar clock: seconds since the epoch.
    @ivar users_base_dir: where homes lie that a hook does not name.
    """

    calls: HookCalls
    accounts: Any
    passwords: Any
    guests: GuestProvider
    clock: Callable[[], float]
    log: Log
    users_base_dir: str = ""


class HookedPortal(Portal):
    """A portal that asks the hooks first."""

    def __init__(self, realm: Any, checkers: Any, judges: Judges) -> None:
        super().__init__(realm, checkers)
        self._realm = realm
        self._judges = judges
        self._calls = judges.calls
        self._passwords: Any = IPasswords(judges.passwords)
        self._accounts: Any = IAccounts(judges.accounts)

    def login(self, credentials: Any, mind: Any, *interfaces: Any) -> Any:
        """As Conch calls it: C{mind} is the transport."""
        return Deferred.fromCoroutine(self._login(credentials, mind, interfaces))

    async def _login(self, credentials: Any, mind: Any, interfaces: Any) -> Any:
        attempt = _attempt(credentials, mind.getPeer().address.host)
        found = await self._asked(credentials, attempt)
        if found is None:
            usual: Any = super().login(credentials, mind, *interfaces)
            return await usual
        (self._judges.guests.known if found.user.id else self._judges.guests.welcome)(found.user)
        return await self._realm.requestAvatar(found, mind, *interfaces)

    async def _asked(self, credentials: Any, attempt: LoginAttempt) -> Authenticated | None:
        """Whom the hooks let in; None where they leave it to the server."""
        try:
            answer = await self._calls.check_login(attempt)
            if answer is None:
                return await self._made(credentials, attempt)
        except HookFailed as error:
            raise await self._slow_refusal(credentials, str(error)) from error
        if answer is False or isinstance(answer, str):
            raise await self._slow_refusal(credentials, answer or "a hook refused the login")
        user = await find(self._judges.guests, credentials.username) if answer is True else self._guest(answer)
        if user is None:
            raise await self._slow_refusal(credentials, "Not found")
        self._require_enabled(user)
        return Authenticated(user, _proven(credentials))

    def _guest(self, user: User) -> User:
        """The record as the rest of the server may rely on it."""
        if user.id:
            return user  # the data provider's, which were checked when they were stored
        try:
            valid = validate(
                attrs.evolve(user, password="*", public_keys=()),  # noqa: S106 -- they are not judged by it
                users_base_dir=self._judges.users_base_dir,
                is_hashed=self._passwords.is_hashed,
                check_key=check,
            )
        except ValidationError as error:
            self._judges.log.warn(f'the hook check_login made user "{user.username}", who cannot be used: {error}')
            raise Refused("a hook made an account that cannot be used") from error
        return attrs.evolve(valid, password="")

    async def _made(self, credentials: Any, attempt: LoginAttempt) -> Authenticated | None:
        """Whom the hook makes, when they have proved who they are."""
        if self._calls.hooks.make_user is None or await find(self._judges.guests, credentials.username) is not None:
            return None
        made = await self._calls.make_user(attempt)
        if made is None:
            return None
        if made.username != attempt.username:
            self._judges.log.warn(f'the hook make_user made user "{made.username}" for "{attempt.username}"')
            raise await self._slow_refusal(credentials, "a hook made another account than was asked for")
        method = await self._proof(credentials, made)
        self._require_enabled(made)
        return Authenticated(await self._store(made), method)

    async def _proof(self, credentials: Any, made: User) -> str:
        """How they have proved to be the account that was made just now."""
        if _is_key(credentials):
            if matching_key(made, credentials.blob) is None:
                raise Refused("Invalid credentials")
            return _proven(credentials)
        given = credentials.password
        if not made.password:
            raise await self._slow_refusal(credentials, "Invalid credentials")
        if self._passwords.is_hashed(made.password):
            if not await self._passwords.verify(made.password, given):
                raise Refused("Invalid credentials")
        elif not hmac.compare_digest(made.password.encode("utf-8", "surrogateescape"), given):
            raise await self._slow_refusal(credentials, "Invalid credentials")
        return "password"

    async def _store(self, made: User) -> User:
        try:
            stored: User = await self._accounts.add(made)
        except SFTPGoError as error:
            # Perhaps another login of theirs was quicker; then it is that account.
            there = await find(self._judges.guests, made.username.encode("utf-8", "surrogateescape"))
            if there is None:
                self._judges.log.warn(f'the account a hook made for "{made.username}" cannot be stored: {error}')
                raise Refused("the account a hook made cannot be stored") from error
            return there
        return stored

    def _require_enabled(self, user: User) -> None:
        if reason := refusal(user, int(self._judges.clock() * 1000)):
            raise Refused(reason)

    async def _slow_refusal(self, credentials: Any, reason: str) -> Refused:
        """The refusal, after as long as a wrong password takes."""
        if not _is_key(credentials):
            await self._passwords.verify_nobody(credentials.password)
        return Refused(reason)


def _is_key(credentials: Any) -> bool:
    return bool(ISSHPrivateKey.providedBy(credentials))


def _attempt(credentials: Any, address: str) -> LoginAttempt:
    username = from_wire(credentials.username)
    if not _is_key(credentials):
        return LoginAttempt(username, Method.PASSWORD, address, password=from_wire(credentials.password))
    kind = getNS(credentials.blob)[0].decode("ascii", "replace")
    key = f"{kind} {base64.b64encode(credentials.blob).decode('ascii')}"
    return LoginAttempt(username, Method.PUBLIC_KEY, address, public_key=key, signed=credentials.signature is not None)


def _proven(credentials: Any) -> str:
    """The method, for the log, of credentials that are allowed.

    @raise ValidPublicKey: for a key that has not signed yet.
    @raise Refused: for a key whose signature is wrong.
    """
    if not _is_key(credentials):
        return "password"
    if not credentials.signature:
        raise ValidPublicKey
    if not has_signed(Key.fromString(credentials.blob), credentials):
        raise Refused("Invalid signature")
    return f"public_key:{AuthorizedKey(credentials.blob).fingerprint()}:"


class HookedAuthenticationLog(AuthenticationLog):
    """As above, and a hook hears of logins that failed."""

    def __init__(self, log: Log, counts: Any, calls: HookCalls) -> None:
        super().__init__(log, counts)
        self._calls = calls

    def failed(self, transport: Any, username: bytes, method: bytes, reason: BaseException) -> None:
        """One line for each refused attempt, and one event."""
        super().failed(transport, username, method, reason)
        client = client_on(transport)
        self._calls.event(Event(EventKind.LOGIN_FAILED, from_wire(username), client=client, reason=str(reason)))


def client_on(transport: Any) -> Client:
    """Whose connection it is."""
    version = transport.otherVersionString.decode("utf-8", "backslashreplace")
    return Client(transport.getPeer().address.host, transport.sessionID.hex(), version)
