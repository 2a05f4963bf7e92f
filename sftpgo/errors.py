"""What can go wrong, as one small tree of exceptions.

Each face of the server turns these into its own answers in one place: HTTP statuses in ``web/respond.py``, SFTP
statuses in ``avatars/sftp.py``.  The text of an error is meant for the person on the other side: it never holds a
real path, a password or a hash.
"""

from __future__ import annotations

from collections.abc import Sequence


class SFTPGoError(Exception):
    """The root of everything this package raises on purpose."""


class ConfigurationError(SFTPGoError):
    """The configuration cannot be used.

    @ivar problems: one line for each fault, naming the file, the key and what was expected.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class StartupError(SFTPGoError):
    """The server cannot start; the text says why in one line."""


class ValidationError(SFTPGoError):
    """A user record that cannot be stored.  REST answers 400.

    @ivar text: what is wrong, without the prefix.
    @ivar field: the name of the field of L{sftpgo.domain.user.User} or of its filters; empty for none of them.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field

    def __str__(self) -> str:
        """The text with the prefix that clients of the REST API look for."""
        return f"Validation error: {super().__str__()}"


class NotFound(SFTPGoError):
    """No such user.  REST answers 404."""

    def __str__(self) -> str:
        """The text with the prefix that clients of the REST API look for."""
        return f"Not found: {super().__str__()}"


class MethodDisabled(SFTPGoError):
    """Managing users is switched off (``manage_users: 0``).  REST answers 403."""


class ProviderError(SFTPGoError):
    """The data provider failed: a duplicate name, a lost connection, an unreadable row.  REST answers 500."""


class OutcomeUnknown(ProviderError):
    """The data provider fell silent in the middle of a change: it may have been made, or be made yet."""


class LoginDenied(SFTPGoError):
    """The account may not log in now: unknown, disabled, expired, forbidden address, too many sessions.

    The reason goes to the log; the client learns only that it was refused.
    """


class PermissionDenied(SFTPGoError):
    """The user's permissions do not allow this verb on this path."""

    def __init__(self, message: str = "Permission Denied") -> None:
        super().__init__(message)


class QuotaExceeded(SFTPGoError):
    """The user's quota of bytes or of files does not allow it."""

    def __init__(self, message: str = "Quota exceeded") -> None:
        super().__init__(message)
