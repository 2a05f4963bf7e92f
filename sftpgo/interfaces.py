"""The seams of the server: what each part may ask of another, and nothing about how it is done.

Every method that may wait returns an awaitable (a coroutine or a Deferred).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from zope.interface import Interface

from sftpgo.domain.actions import TransferEvent
from sftpgo.domain.backups import LoadReport
from sftpgo.domain.explain import Verdict
from sftpgo.domain.scans import ScanInfo
from sftpgo.domain.search import Search, SearchResult
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

    def search(search: Search) -> Awaitable[SearchResult]:
        """A page of the users that match, and how many match.

        Whether letters beyond ASCII match in the other case too is the store's own affair, as is how names are sorted.
        """

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
        """Add to the used quota in one atomic step (never below 0), or set it with C{reset}; C{now} in ms.

        @raise sftpgo.errors.OutcomeUnknown: when nobody knows whether that was done.
        """

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

    def search(search: Search) -> Awaitable[SearchResult]:
        """A page of the users that match, and how many match."""

    def check(user: User) -> None:
        """Raise what L{add} would raise for the record as such; stores nothing and may be called in a thread."""


class IActions(Interface):
    """Whoever is told what users did: the hooks of the installation, or functions of an embedding program."""

    def notify(event: TransferEvent) -> None:
        """Tell of something that has succeeded.  Never waits and never raises."""


class IUserActions(Interface):
    """Whoever is told that users were added, updated or deleted."""

    def user_changed(action: str, user: User) -> None:
        """Tell of a change; C{action} is C{add}, C{update} or C{delete}.  Never waits and never raises.

        @param user: as stored after the change; for C{delete} as it was.
        """


class IScans(Interface):
    """Counts what homes hold, in threads, and sets the used quota to it."""

    def running() -> Sequence[ScanInfo]:
        """The scans under way and those that wait for their turn, oldest first."""

    def start(user: User) -> bool:
        """Begin to scan a user's home; C{False} when that is being done already.

        Raises L{sftpgo.errors.MethodDisabled} when used quota is not kept.
        """

    def cancel(username: str) -> bool:
        """End a scan without a result; C{False} when none of this user runs."""


class IBackups(Interface):
    """Dumps of all users: written to the backups directory, and loaded from files of the server."""

    def save(name: str) -> Awaitable[int]:
        """Write all users to a file; returns how many.

        Raises L{sftpgo.domain.backups.BackupRefused} for a name that leads elsewhere, L{OSError} when writing fails.
        """

    def load(
        path: str, scan_quota: int = 0, partial: bool = False, max_size: int | None = None
    ) -> Awaitable[LoadReport]:
        """Check all users of a dump, then add or replace them; with C{partial} those that are in order.

        C{scan_quota}: 1 scans each of them afterwards, 2 those with a quota.  C{max_size} in bytes.  Raises
        L{sftpgo.domain.backups.BackupRefused} when nothing was changed for what is in the file or C{path}.
        """


class IExplainer(Interface):
    """Tells which rule decides on a request, without effect."""

    def explain(username: str, operation: str, path: str, ip: str = "") -> Awaitable[Verdict]:
        """Judge a request of a user.

        Raises L{sftpgo.errors.NotFound}, and L{ValueError} for an operation, a path or an address that is none.
        """
