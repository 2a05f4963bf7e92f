"""Hashing and checking of passwords: in threads, as many at once as there are cores, the rest waiting in order.

New hashes are argon2id (RFC 9106).  Checked besides: bcrypt, PBKDF2 (RFC 8018), and the C{crypt(5)} forms of MD5 and of
SHA-512.  What a stored hash may cost is bounded, so that one absurd record cannot hold a core for hours or take all the
memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import argon2
import bcrypt
from argon2.low_level import Type, hash_secret, verify_secret
from passlib.hash import md5_crypt, sha512_crypt
from twisted.internet.defer import Deferred, DeferredSemaphore, maybeDeferred
from zope.interface import implementer

from sftpgo.domain.validation import MAX_PASSWORD_LENGTH
from sftpgo.errors import ValidationError
from sftpgo.interfaces import IPasswords

_T = TypeVar("_T")

_MEMORY_KIB, _PASSES, _LANES, _SALT_BYTES, _KEY_BYTES = 65536, 3, 2, 16, 32

# The most that a stored hash may ask for: some 10 seconds of one core, or 1 GiB.
_MAX_STORED_LENGTH = 512
_MAX_ROUNDS = 10_000_000
_MAX_BCRYPT_COST = 18
_MAX_MEMORY_KIB = 1024 * 1024
_MAX_MEMORY_PASSES_KIB = 16 * _MAX_MEMORY_KIB
_MAX_LANES = 64

#: A key that is shorter is a damaged record: a single byte would let in every 256th password.
_MIN_PBKDF2_KEY = 8

_BCRYPT_LENGTH = 72
_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_PBKDF2 = re.compile(
    r"\$pbkdf2-(?P<digest>sha1|sha256|sha512)\$(?P<rounds>\d{1,9})\$(?P<salt>[^$]*)\$(?P<key>[^$]+)", re.ASCII
)


@implementer(IPasswords)
class Passwords:
    """L{IPasswords} over a pool of threads.

    @param run_in_thread: calls a function in a thread and gives what can be awaited for its result, as
        C{partial(deferToThreadPool, reactor, pool)} does; the pool should have C{workers} threads or more.
    @param workers: how many hashings may run at once: the number of cores.
    """

    def __init__(self, run_in_thread: Callable[..., Any], workers: int) -> None:
        self._run_in_thread = run_in_thread
        self._places = DeferredSemaphore(workers)
        # Any salt and any key do: a check against it costs what a check against a real one costs.
        self._nobody = _argon2id_text(os.urandom(_SALT_BYTES), os.urandom(_KEY_BYTES))

    def is_hashed(self, stored: str) -> bool:
        """Tell whether this string is a hash of a known form, by how it begins: a damaged one is no plain text."""
        return stored.startswith(tuple(_CHECKS))

    async def hash(self, plain: str) -> str:
        """The argon2id hash to store.

        @raise ValidationError: for an empty password and one of more than 1,024 bytes.
        """
        given = plain.encode("utf-8")
        if not given:
            raise ValidationError("password cannot be empty")
        if len(given) > MAX_PASSWORD_LENGTH:
            raise ValidationError(f"password cannot be longer than {MAX_PASSWORD_LENGTH} bytes")
        return await self._threaded(_hash, given)

    async def verify(self, stored: str, given: bytes) -> bool:
        """Check a password.

        A stored string of no known form, a damaged hash and one that asks for too much never match, and cost what a
        wrong password does.  An empty password and one of more than 1,024 bytes are refused at once, whoever it is.
        """
        if not 0 < len(given) <= MAX_PASSWORD_LENGTH:
            return False
        return await self._threaded(_verify, stored, given, self._nobody)

    async def verify_nobody(self, given: bytes) -> bool:
        """Cost what a wrong password costs against a hash of the form that L{hash} makes; always C{False}."""
        return await self.verify("", given)

    async def _threaded(self, function: Callable[..., _T], *args: object) -> _T:
        """The result of a call in a thread, when there is a place for it.

        The place is given back when the thread has ended, not when somebody no longer waits for it.
        """
        await self._places.acquire()
        outcome: Deferred[_T] = Deferred()

        def ended(result: Any) -> None:
            self._places.release()
            outcome.callback(result)

        maybeDeferred(self._run_in_thread, function, *args).addBoth(ended)
        return await outcome


# What runs in the thread.


def _hash(given: bytes) -> str:
    salt = os.urandom(_SALT_BYTES)
    return hash_secret(given, salt, _PASSES, _MEMORY_KIB, _LANES, _KEY_BYTES, Type.ID).decode("ascii")


def _verify(stored: str, given: bytes, nobody: str) -> bool:
    """Check; where there is nothing to check against, or it was too cheap to go unnoticed, check C{nobody} too."""
    try:
        check = _check_of(stored)
        matches = check(stored, given)
        cheap = check in (_md5_crypt, _sha512_crypt)
    except ValueError:
        matches, cheap = False, True
    if cheap and not matches:
        _argon2id(nobody, given)
    return matches


def _check_of(stored: str) -> Callable[[str, bytes], bool]:
    if len(stored) <= _MAX_STORED_LENGTH:
        for prefix, check in _CHECKS.items():
            if stored.startswith(prefix):
                return check
    raise ValueError("no hash of a known form")


# Each form: whether the password matches; ValueError for a hash that is damaged or asks for too much.


def _argon2id(stored: str, given: bytes) -> bool:
    asked = argon2.extract_parameters(stored)
    if asked.memory_cost > _MAX_MEMORY_KIB or asked.memory_cost * asked.time_cost > _MAX_MEMORY_PASSES_KIB:
        raise ValueError("too much memory or too many passes over it")
    if asked.parallelism > _MAX_LANES:
        raise ValueError("too many lanes")
    try:
        return verify_secret(stored.encode("ascii"), given, Type.ID)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except argon2.exceptions.VerificationError as error:
        raise ValueError("a damaged argon2id hash") from error


def _argon2id_text(salt: bytes, key: bytes) -> str:
    coded = (base64.b64encode(part).decode("ascii").rstrip("=") for part in (salt, key))
    return f"$argon2id$v=19$m={_MEMORY_KIB},t={_PASSES},p={_LANES}$" + "$".join(coded)


def _bcrypt(stored: str, given: bytes) -> bool:
    form = _BCRYPT.fullmatch(stored)
    if form is None or int(form["cost"]) > _MAX_BCRYPT_COST:
        raise ValueError("a damaged bcrypt hash, or one of too high a cost")
    # What bcrypt has always done, and the library no longer does by itself.
    return bcrypt.checkpw(given[:_BCRYPT_LENGTH], stored.encode("ascii"))


def _pbkdf2(stored: str, given: bytes) -> bool:
    form = _PBKDF2.fullmatch(stored)
    if form is None:
        raise ValueError("a damaged PBKDF2 hash")
    digest, rounds, salt = form["digest"], int(form["rounds"]), form["salt"].encode("utf-8")
    key = base64.b64decode(form["key"], validate=True)
    blocks = -(-len(key) // hashlib.new(digest).digest_size)  # each costs all the rounds
    if len(key) < _MIN_PBKDF2_KEY or not 0 < rounds * blocks <= _MAX_ROUNDS:
        raise ValueError("too short a key, no rounds, or too many")
    return hmac.compare_digest(hashlib.pbkdf2_hmac(digest, given, salt, rounds, len(key)), key)


def _md5_crypt(stored: str, given: bytes) -> bool:
    return bool(md5_crypt.verify(given, stored))


def _sha512_crypt(stored: str, given: bytes) -> bool:
    if sha512_crypt.from_string(stored).rounds > _MAX_ROUNDS:
        raise ValueError("too many rounds")
    return bool(sha512_crypt.verify(given, stored))


_CHECKS: dict[str, Callable[[str, bytes], bool]] = {
    "$argon2id$": _argon2id,
    "$2a$": _bcrypt,
    "$2b$": _bcrypt,
    "$2y$": _bcrypt,
    "$pbkdf2-sha1$": _pbkdf2,
    "$pbkdf2-sha256$": _pbkdf2,
    "$pbkdf2-sha512$": _pbkdf2,
    "$1$": _md5_crypt,
    "$6$": _sha512_crypt,
}
