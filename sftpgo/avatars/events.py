"""What authentication tells the log."""

from __future__ import annotations

from typing import Any

from twisted.cred.error import UnauthorizedLogin
from zope.interface import implementer

from sftpgo.errors import LoginDenied
from sftpgo.log import Log
from sftpgo.ssh.interfaces import IAuthenticationEvents

_LOGIN_TYPES = {
    b"password": "password",
    b"keyboard-interactive": "password",
    b"publickey": "public_key",
    b"publickey-hostbound-v00@openssh.com": "public_key",
}


@implementer(IAuthenticationEvents)
class AuthenticationLog:
    """Writes the lines that fail2ban and administrators read."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def attempted(self, transport: Any, username: bytes, method: bytes) -> None:
        """Nothing to say yet."""

    def succeeded(self, transport: Any, username: bytes, method: bytes) -> None:
        """The realm has said more than is known here."""

    def failed(self, transport: Any, username: bytes, method: bytes, reason: BaseException) -> None:
        """One line for each refused attempt."""
        known = isinstance(reason, LoginDenied | UnauthorizedLogin)
        self._log.connection_failed(
            client_ip=transport.getPeer().address.host,
            username=username.decode("utf-8", "surrogateescape"),
            login_type=_LOGIN_TYPES.get(method, method.decode("ascii", "replace")),
            error=str(reason) if known else "the login could not be checked",
        )

    def disconnected(self, transport: Any, authenticated: bool, reason: str) -> None:
        """A connection on which nobody ever logged in: a scan, or a handshake that failed."""
        if not authenticated:
            self._log.connection_failed(
                client_ip=transport.getPeer().address.host, username="", login_type="no_auth_tryed", error=reason
            )
