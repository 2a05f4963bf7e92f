"""What the wire asks of whoever answers: files beyond Conch's C{ISFTPServer}, and somebody who hears of logins.

Every method may return its result or a Deferred of it.  Paths and names are C{bytes} as they came; attributes are
Conch's dictionaries (C{size}, C{uid} with C{gid}, C{permissions}, C{atime} with C{mtime}; absent keys are absent).
Failures are L{twisted.conch.ssh.filetransfer.SFTPError} or L{OSError} (only its number is shown to the client).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from twisted.conch.interfaces import ISFTPFile, ISFTPServer
from zope.interface import Interface

Attributes: TypeAlias = dict[str, int]


class NameEntry(NamedTuple):
    """One entry of a listing (draft-ietf-secsh-filexfer-02, section 7, SSH_FXP_NAME)."""

    name: bytes
    longname: bytes
    attributes: Attributes


class StatVFS(NamedTuple):
    """The answer to C{statvfs@openssh.com}: the fields of POSIX C{struct statvfs}, in the order of the wire."""

    bsize: int
    frsize: int
    blocks: int
    bfree: int
    bavail: int
    files: int
    ffree: int
    favail: int
    fsid: int
    flag: int
    namemax: int


class IExtendedSFTPServer(ISFTPServer):
    """The extensions of OpenSSH's PROTOCOL file and of draft-ietf-secsh-filexfer-extensions-00 (C{copy-data})."""

    def posixRename(oldpath: bytes, newpath: bytes) -> Any:
        """Rename, replacing what is there (C{posix-rename@openssh.com})."""

    def hardLink(oldpath: bytes, newpath: bytes) -> Any:
        """Make a second name for a file (C{hardlink@openssh.com})."""

    def statvfs(path: bytes) -> Any:
        """Tell a L{StatVFS} of the file system that holds C{path} (C{statvfs@openssh.com})."""

    def setLinkAttrs(path: bytes, attrs: Attributes) -> Any:
        """Set attributes without following a link (C{lsetstat@openssh.com})."""

    def expandPath(path: bytes) -> Any:
        """Tell what an absolute path C{~} or C{~/...} stands for (C{expand-path@openssh.com})."""

    def copyData(source: ISFTPFile, offset: int, length: int, target: ISFTPFile, position: int) -> Any:
        """Copy bytes between open files; length 0 means up to the end (C{copy-data})."""


class IExtendedSFTPFile(ISFTPFile):
    """An open file that can do what the extensions ask of a handle."""

    def sync() -> Any:
        """Bring what was written to the disk (C{fsync@openssh.com})."""

    def statvfs() -> Any:
        """Tell a L{StatVFS} of the file system that holds this file (C{fstatvfs@openssh.com})."""


class IGlances(Interface):
    """An C{ISFTPServer} that can tell the statuses of many files at once, when they are asked for in one go."""

    def glance(path: bytes, follow: bool) -> Any:
        """What C{os.stat} tells of a path, or of a link itself unless C{follow}; None to ask C{getAttrs} instead.

        What was found out about directories may be remembered until L{forget}.
        """

    def forget() -> None:
        """The go is over: called before any other request is served, and before more requests are received."""


class IDirectoryReader(Interface):
    """An open directory that streams, in place of the iterator Conch expects of C{openDirectory}."""

    def readPacked(limit: int) -> Any:
        """Up to C{limit} more entries, each by L{sftpgo.ssh.listing.packed_entry}; an empty list at the end."""

    def close() -> Any:
        """Let go of the directory."""


class IAuthenticationEvents(Interface):
    """Somebody who hears how authentication goes: for the log, for metrics."""

    def attempted(transport: Any, username: bytes, method: bytes) -> None:
        """A password or a public key was offered."""

    def succeeded(transport: Any, username: bytes, method: bytes) -> None:
        """The user is logged in."""

    def failed(transport: Any, username: bytes, method: bytes, reason: BaseException) -> None:
        """An attempt was refused, for the reason given (which the client does not learn)."""

    def disconnected(transport: Any, authenticated: bool, reason: str) -> None:
        """The connection ended; C{authenticated} tells whether anybody had logged in on it."""
