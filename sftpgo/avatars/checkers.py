"""Who it is: cred checkers for passwords and public keys against the data provider.

Somebody who is unknown, disabled, expired or without a password costs as long as a wrong password does, and the client
hears the same.  The log learns the reason.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.keys import Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from zope.interface import implementer

from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.errors import LoginDenied, NotFound, ProviderError
from sftpgo.interfaces import IDataProvider, IPasswords
from sftpgo.ssh import authorized_keys


class Refused(LoginDenied, UnauthorizedLogin):
    """A login that fails, in cred's own terms, with the reason for the log."""


@attrs.frozen
class Authenticated:
    """The avatar id a checker hands to the realm: who it is, as the data provider knew a moment ago.

    @ivar method: for the log: C{password}, or C{public_key:SHA256:<fingerprint>:<comment>}.
    """

    user: User
    method: str


def refusal(user: User, now: int) -> str:
    """Why this account may not log in at all, or nothing; C{now} in ms."""
    if user.status != STATUS_ENABLED:
        return f'user "{user.username}" is disabled'
    if 0 < user.expiration_date < now:
        return f'user "{user.username}" is expired, expiration timestamp: {user.expiration_date}'
    return ""


async def find(provider: Any, username: bytes) -> User | None:
    """The account of this name; None when there is none, or the name is no text.

    @raise Refused: when the data provider cannot tell: nobody gets in, and the log learns why.
    """
    try:
        found: User = await provider.user_by_name(username.decode("utf-8"))
    except (UnicodeDecodeError, NotFound):
        return None
    except ProviderError as error:
        raise Refused(f"the data provider failed: {error}") from error
    return found


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Checks C{IUsernamePassword}.

    @param provider: an L{IDataProvider}.
    @param passwords: an L{IPasswords}.
    @param clock: seconds since the epoch.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, provider: Any, passwords: Any, clock: Callable[[], float]) -> None:
        self._provider = IDataProvider(provider)
        self._passwords = IPasswords(passwords)
        self._clock = clock

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """An L{Authenticated}, or L{Refused}."""
        return Deferred.fromCoroutine(self._check(credentials.username, credentials.password))

    async def _check(self, username: bytes, password: bytes) -> Authenticated:
        user = await find(self._provider, username)
        if user is None or not user.password or not password:
            await self._passwords.verify_nobody(password)
            raise Refused("Not found" if user is None else "Invalid credentials")
        matches = await self._passwords.verify(user.password, password)
        if reason := refusal(user, int(self._clock() * 1000)):
            raise Refused(reason)
        if not matches:
            raise Refused("Invalid credentials")
        return Authenticated(user, "password")


@implementer(ICredentialsChecker)
class PublicKeyChecker:
    """Checks C{ISSHPrivateKey}: that the key is one of the account's, and that it signed.

    A key without a signature is only a question: the answer is L{ValidPublicKey}, never an avatar.
    """

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, provider: Any, clock: Callable[[], float]) -> None:
        self._provider = IDataProvider(provider)
        self._clock = clock

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """An L{Authenticated}, or L{Refused}."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: Any) -> Authenticated:
        user = await find(self._provider, credentials.username)
        if user is None:
            raise Refused("Not found")
        if reason := refusal(user, int(self._clock() * 1000)):
            raise Refused(reason)
        known = matching_key(user, credentials.blob)
        if known is None:
            raise Refused("Invalid credentials")
        if not credentials.signature:
            raise ValidPublicKey
        if not has_signed(Key.fromString(known.blob), credentials):
            raise Refused("Invalid signature")
        return Authenticated(user, f"public_key:{known.fingerprint()}:{known.comment}")


def has_signed(key: Key, credentials: Any) -> bool:
    """Whether the signature in the credentials is the key's."""
    try:
        return bool(key.verify(credentials.signature, credentials.sigData))
    except (struct.error, ValueError):
        return False  # it does not even have the form of a signature


def matching_key(user: User, blob: bytes) -> authorized_keys.AuthorizedKey | None:
    """The account's key that has this blob, or None."""
    for line in user.public_keys:
        try:
            key = authorized_keys.parse(line)
        except ValueError:
            continue  # checked when it was saved; one damaged line must not shut out the others
        if hmac.compare_digest(key.blob, blob):
            return key
    return None
