"""What a command says of an error: a sentence without any path of the server's."""

from __future__ import annotations

import os

from twisted.conch.ssh.filetransfer import SFTPError

from sftpgo.errors import PermissionDenied, SFTPGoError
from sftpgo.hooks.calls import Refusal


def reason(error: BaseException) -> str:
    """The text for the client."""
    if isinstance(error, PermissionDenied) and not isinstance(error, Refusal):
        return "Permission denied"
    if isinstance(error, SFTPGoError):
        return str(error)
    if isinstance(error, SFTPError):
        return str(error.message)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "Failure"
