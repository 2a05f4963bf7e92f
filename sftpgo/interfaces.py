"""The seams of the server: what each part may ask of another, and nothing about how it is done.

Every method that may wait returns an awaitable (a coroutine or a Deferred).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import Interface

from sftpgo.domain.user import User


class IDataProvider(Interface):
    """Where the users are kept.

    Every method raises L{sftpgo.errors.ProviderError} when the store itself fails (its text is the store's own).
    Records are stored as given: validation and hashing are done by L{sftpgo.accounts.Accounts}.
    """

    def start() -> Awaitable[None]:
        """Open the store and bring its schema up to date; raises L{sftpgo.errors.StartupError}."""

    def stop() -> Awaitable[None]:
        """Let pending work end and close the store.  May be called twice."""

    def check() -> Awaitable[None]:
        """Raise unless the store answers."""

    def user_by_name(username: str) -> Awaitable[User]:
        """The user of exactly this name; raises L{sftpgo.errors.NotFound}."""

    def user_by_id(user_id: int) -> Awaitable[User]:
        """The user of this id; raises L{sftpgo.errors.NotFound}."""

    def users(limit: int, offset: int, descending: bool = False, username: str = "") -> Awaitable[Sequence[User]]:
        """A page of users by name; with C{username} only the one of exactly that name."""

    def dump(after: str = "", limit: int = 1000) -> Awaitable[Sequence[User]]:
        """Up to C{limit} users by name, those after the name C{after}: for a walk over all of them."""

    def add(user: User) -> Awaitable[User]:
        """Store a new user with usage and times 0; returns it with its id.  A name twice: ProviderError."""

    def update(user: User) -> Awaitable[None]:
        """Replace the record of C{user.id}, except name, usage, last_quota_update and last_login.

        Raises L{sftpgo.errors.NotFound} for an unknown id.
        """

    def delete(user_id: int) -> Awaitable[None]:
        """Remove the record; raises L{sftpgo.errors.NotFound}."""

    def update_quota(username: str, files: int, size: int, now: int, reset: bool = False) -> Awaitable[None]:
        """Add to the used quota in one atomic step (never below 0), or set it with C{reset}; C{now} in ms."""

    def used_quota(username: str) -> Awaitable[tuple[int, int]]:
        """Used quota as (files, bytes)."""

    def update_last_login(username: str, now: int) -> Awaitable[None]:
        """Remember a login; C{now} in ms."""


class IPasswords(Interface):
    """Hashing and checking of passwords, never on the reactor."""

    def is_hashed(stored: str) -> bool:
        """Tell whether this string is a hash of a known form (else it is taken as plain text)."""

    def hash(plain: str) -> Awaitable[str]:
        """The hash to store."""

    def verify(stored: str, given: bytes) -> Awaitable[bool]:
        """Check a password.  A stored string of no known form never matches, and takes as long."""

    def verify_nobody(given: bytes) -> Awaitable[bool]:
        """Take as long as a wrong password does; always C{False}."""


class IAccounts(Interface):
    """The users as REST, web and tools manage them: validated, hashed, then stored."""

    def add(user: User) -> Awaitable[User]:
        """Validate, hash and store; returns the stored user."""

    def update(user: User) -> Awaitable[User]:
        """Validate, hash and replace the record of C{user.id}; returns what is stored now."""

    def delete(user_id: int) -> Awaitable[User]:
        """Remove the account; returns what it was."""

    def by_id(user_id: int) -> Awaitable[User]:
        """The user of this id."""

    def by_name(username: str) -> Awaitable[User]:
        """The user of this name."""

    def list(limit: int, offset: int, descending: bool = False, username: str = "") -> Awaitable[Sequence[User]]:
        """A page of users."""


class IConnections(Interface):
    """The registry of live SSH connections."""

    def sessions(username: str) -> int:
        """How many logged-in connections this user has."""
