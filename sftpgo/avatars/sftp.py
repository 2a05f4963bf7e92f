"""Conch's C{ISFTPServer} over one user's files: flags and attributes in, statuses out.

The one place where what the domain refuses becomes an SFTP status.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.glances import Glances
from sftpgo.avatars.transfer import OpenFile
from sftpgo.avatars.wirepaths import canonical
from sftpgo.errors import PermissionDenied, QuotaExceeded
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import (
    Attributes,
    IDirectoryReader,
    IExtendedSFTPServer,
    IGlances,
    StatVFS,
)
from sftpgo.ssh.listing import attributes_of, packed_entry
from sftpgo.ssh.requests import BYTES_PER_READDIR
from sftpgo.storage.listing import DirectoryReader

_PIECE = 64
"""Entries of a directory that are read before their bytes are looked at."""

_ENOUGH = BYTES_PER_READDIR - 8 * 1024
"""Bytes of entries that are read for one reply; what it cannot hold would wait in memory with each open directory."""

_WRITING = codec.OPEN_WRITE | codec.OPEN_APPEND | codec.OPEN_CREAT | codec.OPEN_TRUNC


class _Request:
    """One request: the user is not idle, and the domain's errors become SFTP statuses.

    L{OSError} is understood by the wire itself.
    """

    __slots__ = ("_touched",)

    def __init__(self, touched: Callable[[], None]) -> None:
        self._touched = touched

    def __enter__(self) -> None:
        self._touched()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if isinstance(error, PermissionDenied):
            raise SFTPError(codec.PERMISSION_DENIED, str(error)) from error
        if isinstance(error, QuotaExceeded):
            raise SFTPError(codec.FAILURE, str(error)) from error


@implementer(IExtendedSFTPServer, IGlances)
class UserSFTPServer:
    """What one SFTP session of a user may do.

    @param touched: called with every request, for the idle timeout.
    """

    avatar: Any = None

    def __init__(self, files: UserFilesystem, touched: Callable[[], None] = lambda: None) -> None:
        self._files = files
        self._request = _Request(touched)
        self._ended = False
        self._glances = Glances(files.places, touched)
        self.forget = self._glances.forget

    def end(self) -> None:
        """The channel is gone: what is still being opened for it is given up."""
        self._ended = True

    def gotVersion(self, otherVersion: int, extData: Any) -> dict[bytes, bytes]:
        """Conch's hook for VERSION; the wire announces the extensions."""
        return {}

    def openFile(self, filename: bytes, flags: int, attrs: Attributes) -> OpenFile | Deferred[OpenFile]:
        """OPEN (draft-ietf-secsh-filexfer-02, 6.3): any flag of writing makes it an upload."""
        with self._request:
            if flags & _WRITING:
                opening = self._files.open_for_writing(
                    filename,
                    read=bool(flags & codec.OPEN_READ) and bool(flags & codec.OPEN_WRITE),
                    append=bool(flags & codec.OPEN_APPEND),
                    truncate=bool(flags & codec.OPEN_TRUNC),
                    exclusive=bool(flags & codec.OPEN_EXCL),
                )
                return opening.addCallback(self._opened) if isinstance(opening, Deferred) else opening
            if flags & codec.OPEN_READ:
                return self._files.open_for_reading(filename)
            raise SFTPError(codec.FAILURE, "bad file flags")

    def _opened(self, file: OpenFile) -> OpenFile:
        """A file that took its time: perhaps nobody is there for it any more."""
        if self._ended:
            file.abort()
            raise SFTPError(codec.FAILURE, "the channel is closed")
        return file

    def removeFile(self, filename: bytes) -> None:
        """REMOVE."""
        with self._request:
            self._files.remove(filename)

    def renameFile(self, oldpath: bytes, newpath: bytes) -> None:
        """RENAME: replaces what is there, as this server's users expect."""
        with self._request:
            self._files.rename(oldpath, newpath)

    posixRename = renameFile

    def hardLink(self, oldpath: bytes, newpath: bytes) -> None:
        """C{hardlink@openssh.com}."""
        with self._request:
            self._files.hard_link(oldpath, newpath)

    def makeDirectory(self, path: bytes, attrs: Attributes) -> None:
        """MKDIR: the mode follows the umask."""
        with self._request:
            self._files.make_directory(path)

    def removeDirectory(self, path: bytes) -> None:
        """RMDIR."""
        with self._request:
            self._files.remove_directory(path)

    def openDirectory(self, path: bytes) -> Directory:
        """OPENDIR."""
        with self._request:
            return Directory(self._files.open_directory(path), self._files)

    def getAttrs(self, path: bytes, followLinks: bool) -> Attributes:
        """STAT and LSTAT."""
        with self._request:
            return attributes_of(self._files.stat(path, follow=followLinks))

    def glance(self, path: bytes, follow: bool) -> os.stat_result | None:
        """STAT and LSTAT of many files in one go; None when this one takes more than a glance."""
        return self._glances.status(path, follow)

    def setAttrs(self, path: bytes, attrs: Attributes) -> Deferred[None] | None:
        """SETSTAT."""
        with self._request:
            return self._files.change(path, _some(attrs))

    def setLinkAttrs(self, path: bytes, attrs: Attributes) -> Deferred[None] | None:
        """C{lsetstat@openssh.com}."""
        with self._request:
            return self._files.change(path, _some(attrs), follow=False)

    def readLink(self, path: bytes) -> bytes:
        """READLINK."""
        with self._request:
            return self._files.readlink(path)

    def makeLink(self, linkPath: bytes, targetPath: bytes) -> None:
        """SYMLINK."""
        with self._request:
            self._files.symlink(targetPath, linkPath)

    def realPath(self, path: bytes) -> bytes:
        """REALPATH: the path cleaned as text; tells nothing of what exists."""
        with self._request:
            return canonical(path)

    def expandPath(self, path: bytes) -> bytes:
        """C{expand-path@openssh.com}: the home is the root; other users' homes are unknown."""
        with self._request:
            if path == b"~" or path.startswith(b"~/"):
                path = path[1:]
            elif path.startswith(b"~"):
                raise SFTPError(codec.NO_SUCH_FILE, "No Such File")
            return canonical(path)

    def statvfs(self, path: bytes) -> StatVFS:
        """C{statvfs@openssh.com}."""
        with self._request:
            return self._files.space(path)

    def copyData(self, source: Any, offset: int, length: int, target: Any, position: int) -> Deferred[None]:
        """C{copy-data}."""
        with self._request:
            return self._files.copy(source, offset, length, target, position)

    def extendedRequest(self, extendedName: bytes, extendedData: bytes) -> Any:
        """No extension beyond those above."""
        raise NotImplementedError(extendedName)


@implementer(IDirectoryReader)
class Directory:
    """An open directory, read in threads a piece at a time."""

    def __init__(self, reader: DirectoryReader, files: UserFilesystem) -> None:
        self._reader = reader
        self._files = files
        self._reading = False
        self._closed = False

    def readPacked(self, limit: int) -> Deferred[list[bytes]]:
        """Up to C{limit} more entries, and not many more than go into one reply; none at the end."""
        self._reading = True
        read = self._files.run_in_thread(self._read, limit, self._files.clock())
        return read.addBoth(self._done)

    def _read(self, limit: int, now: float) -> list[bytes]:
        packed: list[bytes] = []
        size = 0
        while len(packed) < limit and size < _ENOUGH:
            chunk = self._reader.next_chunk(min(_PIECE, limit - len(packed)))
            if not chunk:
                break
            more = [packed_entry(name, status, now) for name, status in chunk]
            size += sum(map(len, more))
            packed += more
        return packed

    def _done(self, result: list[bytes] | Failure) -> list[bytes] | Failure:
        self._reading = False
        if self._closed:
            self._reader.close()
        return result

    def close(self) -> None:
        """Let go of the directory, once nobody reads from it any more."""
        self._closed = True
        if not self._reading:
            self._reader.close()


def _some(attrs: Attributes) -> Attributes:
    if not attrs:
        raise SFTPError(codec.BAD_MESSAGE, "Bad Message")
    return attrs
