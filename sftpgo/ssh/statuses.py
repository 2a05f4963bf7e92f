"""Every failure becomes an SFTP status in this one place (draft-ietf-secsh-filexfer-02, section 7)."""

from __future__ import annotations

import errno

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.logger import Logger
from twisted.python.failure import Failure

from sftpgo.ssh import codec

_log = Logger()

_MESSAGES = {
    codec.EOF: b"EOF",
    codec.NO_SUCH_FILE: b"No Such File",
    codec.PERMISSION_DENIED: b"Permission Denied",
    codec.FAILURE: b"Failure",
    codec.BAD_MESSAGE: b"Bad Message",
    codec.OP_UNSUPPORTED: b"Operation Unsupported",
}

_ERRNO_STATUS = {
    errno.ENOENT: codec.NO_SUCH_FILE,
    errno.EACCES: codec.PERMISSION_DENIED,
    errno.EPERM: codec.PERMISSION_DENIED,
    errno.EROFS: codec.PERMISSION_DENIED,
}

#: What a person reads beside "Failure"; nothing here names a path.
_ERRNO_TEXT = {
    errno.EEXIST: b"File exists",
    errno.ENOTEMPTY: b"Directory not empty",
    errno.EISDIR: b"Is a directory",
    errno.ENOTDIR: b"Not a directory",
    errno.ENAMETOOLONG: b"File name too long",
    errno.ELOOP: b"Too many levels of symbolic links",
    errno.ENOSPC: b"No space left on device",
    errno.EDQUOT: b"Disk quota exceeded",
    errno.EFBIG: b"File too large",
    errno.EXDEV: b"Cross-device link",
    errno.EMFILE: b"Too many open files",
    errno.ENFILE: b"Too many open files",
    errno.EINVAL: b"Invalid argument",
    errno.EIO: b"Input/output error",
}


def refusal(failure: Failure, request_id: int) -> bytes:
    """The STATUS packet for what went wrong; what nobody expected is logged as well."""
    code, message = _status_of(failure)
    return codec.status(request_id, code, message or _MESSAGES.get(code, b"Failure"))


def _status_of(failure: Failure) -> tuple[int, bytes]:
    error = failure.value
    if isinstance(error, SFTPError):
        return error.code, str(error.message).encode("utf-8", "backslashreplace")
    if isinstance(error, EOFError):
        return codec.EOF, b""
    if isinstance(error, codec.Malformed):
        return codec.BAD_MESSAGE, b""
    if isinstance(error, codec.Unsupported):
        return codec.OP_UNSUPPORTED, b""
    if isinstance(error, OSError):
        number = error.errno or 0
        return _ERRNO_STATUS.get(number, codec.FAILURE), _ERRNO_TEXT.get(number, b"")
    _log.failure("An SFTP request failed unexpectedly", failure=failure)
    return codec.FAILURE, b""
