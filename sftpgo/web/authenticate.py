"""Basic authentication (RFC 7617) for everything that is served."""

from __future__ import annotations

import base64
import binascii
import hmac
import math
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import DeferredLock

from sftpgo.log import Log
from sftpgo.web.failures import Failures
from sftpgo.web.request import Request
from sftpgo.web.respond import Refused

_CHALLENGE = b'Basic realm="sftpgo", charset="UTF-8"'

#: Seconds for which a good password need not be hashed again, and how many are remembered.
_REMEMBERED = 300.0
_MAX_REMEMBERED = 256

#: Seconds for which the file is not looked at again.
_FRESH = 1.0


class UserFile(Protocol):
    """Where the hashes are; may block."""

    def hash_of(self, username: str) -> tuple[str, bool]:
        """A hash to check against, and whether it is this user's."""


class Authentication:
    """Lets in who is in the file.

    A good password is remembered for a while by a digest that is worth nothing elsewhere, so that not every request
    costs a slow hash; a changed file makes it void.

    @param matches: checks a password against a hash; slow.
    @param run_in_thread: calls a function off the reactor.
    @param seconds: a clock.
    """

    def __init__(
        self,
        users: UserFile,
        matches: Callable[[str, bytes], bool],
        run_in_thread: Callable[..., Any],
        seconds: Callable[[], float],
        log: Log,
    ) -> None:
        self._users = users
        self._matches = matches
        self._run_in_thread = run_in_thread
        self._seconds = seconds
        self._log = log
        self._failures = Failures(seconds)
        self._key = os.urandom(32)
        self._good: OrderedDict[bytes, float] = OrderedDict()
        self._hashes: dict[str, tuple[float, str, bool]] = {}
        self._reading = DeferredLock()
        self._hashing = DeferredLock()

    def read_from(self, users: UserFile) -> None:
        """Let in who is in another file from now on."""
        self._users = users
        self._hashes.clear()

    async def require(self, request: Request) -> None:
        """Return when the request may go on.

        @raise Refused: with 401 for missing or wrong credentials, with 429 after too many wrong ones.
        """
        given = _credentials(request)
        if given is None or await self.admits(request, *given) is None:
            raise self._challenge(request)

    async def admits(self, request: Request, username: str, password: bytes) -> str | None:
        """The hash that this password is good for; C{None} for a wrong one.

        @raise Refused: with 429 after too many wrong ones.
        """
        stored, known = await self._hash_of(username)
        digest = self._digest(username, password, stored)
        if known and self._remembers(digest):
            return stored
        address = request.address()
        wait = self._failures.wait(address)
        if wait:
            request.setHeader(b"Retry-After", b"%d" % math.ceil(wait))
            raise Refused(429, "too many failed logins from this address")
        self._failures.began(address)
        if not await self._check(stored, password) or not known:
            self._log.warn(f'login of "{username}" from {address} refused')
            return None
        self._failures.succeeded(address)
        self._remember(digest)
        return stored

    async def still(self, username: str, stored: str) -> bool:
        """Whether this user has this hash now, or a moment ago."""
        return await self._hash_of(username) == (stored, True)

    def _challenge(self, request: Request) -> Refused:
        request.setHeader(b"WWW-Authenticate", _CHALLENGE)
        return Refused(401, "name and password are needed")

    async def _check(self, stored: str, password: bytes) -> bool:
        async with self._hashing:  # one core for this, and no more
            good: bool = await self._run_in_thread(self._matches, stored, password)
        return good

    async def _hash_of(self, username: str) -> tuple[str, bool]:
        """As the file has it, or had it a moment ago."""
        seen = self._hashes.get(username)
        if seen is not None and self._seconds() < seen[0] + _FRESH:
            return seen[1], seen[2]
        async with self._reading:
            stored, known = await self._run_in_thread(self._users.hash_of, username)
        if len(self._hashes) >= _MAX_REMEMBERED:
            self._hashes.clear()
        self._hashes[username] = (self._seconds(), stored, known)
        return stored, known

    def _digest(self, username: str, password: bytes, stored: str) -> bytes:
        parts = [username.encode("utf-8"), password, stored.encode("utf-8")]
        return hmac.digest(self._key, b"".join(b"%d:%s" % (len(part), part) for part in parts), "sha256")

    def _remembers(self, digest: bytes) -> bool:
        until = self._good.get(digest)
        return until is not None and self._seconds() < until

    def _remember(self, digest: bytes) -> None:
        self._good[digest] = self._seconds() + _REMEMBERED
        self._good.move_to_end(digest)
        if len(self._good) > _MAX_REMEMBERED:
            self._good.popitem(last=False)


def _credentials(request: Request) -> tuple[str, bytes] | None:
    """Name and password, if both are there in the one form that is known."""
    headers = request.requestHeaders.getRawHeaders(b"Authorization") or []
    if len(headers) != 1:
        return None
    scheme, _, token = headers[0].partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        username, colon, password = base64.b64decode(token.strip(), validate=True).partition(b":")
        return (username.decode("utf-8"), password) if colon else None
    except (binascii.Error, UnicodeDecodeError):
        return None
