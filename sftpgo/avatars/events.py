"""What authentication tells the log and the metrics."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, TypeAlias

from twisted.cred.error import UnauthorizedLogin
from zope.interface import implementer

from sftpgo.errors import LoginDenied
from sftpgo.log import Log
from sftpgo.ssh.interfaces import IAuthenticationEvents

LoginType: TypeAlias = Literal["password", "public_key"]

_LOGIN_TYPES: Final[dict[bytes, LoginType]] = {
    b"password": "password",
    b"keyboard-interactive": "password",
    b"publickey": "public_key",
    b"publickey-hostbound-v00@openssh.com": "public_key",
}


class LoginCounts(Protocol):
    """Counts logins by C{password} or C{public_key}."""

    def login_attempted(self, method: LoginType) -> None:
        """A password was tried or a key offered."""

    def login_succeeded(self, method: LoginType) -> None:
        """It let its user in."""

    def login_failed(self, method: LoginType) -> None:
        """It was refused."""


@implementer(IAuthenticationEvents)
class AuthenticationLog:
    """Writes the lines that fail2ban and administrators read, and has everything counted."""

    def __init__(self, log: Log, counts: LoginCounts | None = None) -> None:
        self._log = log
        self._counts = counts

    def attempted(self, transport: Any, username: bytes, method: bytes) -> None:
        """For the metrics; there is nothing to write yet."""
        if self._counts is not None and method in _LOGIN_TYPES:
            self._counts.login_attempted(_LOGIN_TYPES[method])

    def succeeded(self, transport: Any, username: bytes, method: bytes) -> None:
        """For the metrics; the realm has written more than is known here."""
        if self._counts is not None and method in _LOGIN_TYPES:
            self._counts.login_succeeded(_LOGIN_TYPES[method])

    def failed(self, transport: Any, username: bytes, method: bytes, reason: BaseException) -> None:
        """One line for each refused attempt."""
        if self._counts is not None and method in _LOGIN_TYPES:
            self._counts.login_failed(_LOGIN_TYPES[method])
        known = isinstance(reason, LoginDenied | UnauthorizedLogin)
        self._log.connection_failed(
            client_ip=transport.getPeer().address.host,
            username=username.decode("utf-8", "surrogateescape"),
            login_type=_LOGIN_TYPES.get(method) or method.decode("ascii", "replace"),
            error=str(reason) if known else "the login could not be checked",
        )

    def disconnected(self, transport: Any, authenticated: bool, reason: str) -> None:
        """A connection on which nobody ever logged in: a scan, or a handshake that failed."""
        if not authenticated:
            self._log.connection_failed(
                client_ip=transport.getPeer().address.host, username="", login_type="no_auth_tryed", error=reason
            )
