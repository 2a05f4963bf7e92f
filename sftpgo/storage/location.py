"""One name in one open directory of a home, and what can be done with it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sftpgo.storage.modes import PERMISSION_BITS, set_mode
from sftpgo.storage.names import failure

#: No open follows a link, leaks into a child, waits for the other end of a FIFO, or adopts a terminal.
SAFE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

#: Opens a thing itself and not its content, so that even a device is not stirred (macOS: a plain open).
_HANDLE = getattr(os, "O_PATH", os.O_RDONLY) | SAFE

_NEW = os.O_CREAT | os.O_EXCL


class Location:
    """Where a virtual path really is: a bare name in an open directory.

    Decide on L{path}, then act through the methods: both speak of the same place, whatever is renamed meanwhile.
    The name may not exist.  Where it turns into a link after it was located, it is refused (ELOOP) or handled as the
    link it is; nothing here follows one.  A context manager; to be used by one thread at a time.

    @ivar dir_fd: the open directory, owned; good for C{*at} calls only.
    @ivar name: the bare last name, byte-exact; C{b"."} for the home's root.
    @ivar directory: canonical virtual path of the directory, no link in it.
    """

    __slots__ = ("_found", "_is_found", "dir_fd", "directory", "name")

    def __init__(self, dir_fd: int, name: bytes, directory: bytes) -> None:
        self.dir_fd = dir_fd
        self.name = name
        self.directory = directory
        self._found: os.stat_result | None = None
        self._is_found = False

    def __enter__(self) -> Location:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Location {self.path!r}>"

    def close(self) -> None:
        """Give the directory back.  May be called twice."""
        descriptor, self.dir_fd = self.dir_fd, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def is_root(self) -> bool:
        """Whether this is the home itself."""
        return self.name == b"."

    @property
    def path(self) -> bytes:
        """The canonical virtual path."""
        if self.is_root:
            return self.directory
        return self.directory + self.name if self.directory == b"/" else self.directory + b"/" + self.name

    def sibling(self, name: bytes) -> Location:
        """Another name in the same open directory (a temporary file beside its target); a location of its own.

        @raise OSError: EINVAL when it is no bare name, or for the home's root, which has no siblings.
        """
        if self.is_root or name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
            raise failure(errno.EINVAL, name)
        return Location(os.dup(self.dir_fd), name, self.directory)

    def stat(self) -> os.stat_result:
        """What is there; a link is described itself (lstat)."""
        return os.stat(self.name, dir_fd=self.dir_fd, follow_symlinks=False)

    def find(self) -> os.stat_result | None:
        """Look whether there is anything, and remember it for the next L{found}."""
        try:
            self._found = os.stat(self.name, dir_fd=self.dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            self._found = None
        self._is_found = True
        return self._found

    def found(self) -> os.stat_result | None:
        """What L{find} found a moment ago, or what is there now; a second time it is always looked up anew."""
        if not self._is_found:
            self.find()
        self._is_found = False
        return self._found

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open a regular file and return its descriptor; see L{open_file}."""
        return self.open_file(flags, mode)[0]

    def open_file(self, flags: int, mode: int = 0o666) -> tuple[int, os.stat_result]:
        """Open a regular file and return its descriptor, which the caller closes, and its status.

        @param flags: C{os.O_*}; links are never followed and nothing here waits.
        @param mode: permission bits of a new file, before the umask.
        @raise OSError: EISDIR for a directory, ELOOP for a link, EINVAL for a FIFO, socket or device.
        """
        if flags & _NEW != _NEW:
            self._expect_file(flags)
        descriptor = os.open(self.name, flags | SAFE, mode & PERMISSION_BITS, dir_fd=self.dir_fd)
        try:
            status = os.fstat(descriptor)
            _require_regular(status.st_mode, self.name)
            os.set_blocking(descriptor, True)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, status

    def open_directory(self) -> int:
        """Open the directory there for reading its entries; the caller closes the descriptor."""
        return os.open(self.name, os.O_RDONLY | os.O_DIRECTORY | SAFE, dir_fd=self.dir_fd)

    def mkdir(self, mode: int = 0o777) -> None:
        """Make a directory; C{mode} before the umask, permission bits only."""
        os.mkdir(self.name, mode & PERMISSION_BITS, dir_fd=self.dir_fd)

    def rmdir(self) -> None:
        """Remove the empty directory there."""
        os.rmdir(self.name, dir_fd=self.dir_fd)

    def unlink(self) -> None:
        """Remove the file or the link itself, no directory."""
        os.unlink(self.name, dir_fd=self.dir_fd)

    def readlink(self) -> bytes:
        """What the link says, as stored.

        A link that did not come in by this server may say a real path of the machine: for the caller to hide.
        """
        return os.readlink(self.name, dir_fd=self.dir_fd)

    def symlink(self, target: bytes) -> None:
        """Make a link that says C{target}: absolute from the home's root, or relative to L{directory}."""
        os.symlink(target, self.name, dir_fd=self.dir_fd)

    def chmod(self, mode: int) -> None:
        """Set the permission bits; setuid, setgid and sticky are never set.

        @raise OSError: ELOOP for a link, which has no mode of its own.
        """
        with self._handle() as handle:
            if stat.S_ISLNK(os.fstat(handle).st_mode):
                raise failure(errno.ELOOP, self.name)
            set_mode(handle, self.dir_fd, self.name, mode)

    def chown(self, uid: int, gid: int) -> None:
        """Set owner and group, -1 for unchanged; of a link itself when it is one."""
        os.chown(self.name, uid, gid, dir_fd=self.dir_fd, follow_symlinks=False)

    def utime(self, ns: tuple[int, int]) -> None:
        """Set the times of access and of change, in nanoseconds since 1970; of a link itself when it is one."""
        os.utime(self.name, ns=ns, dir_fd=self.dir_fd, follow_symlinks=False)

    def truncate(self, length: int) -> None:
        """Cut or extend a regular file to C{length} bytes."""
        descriptor = self.open(os.O_WRONLY)
        try:
            os.ftruncate(descriptor, length)
        finally:
            os.close(descriptor)

    def statvfs(self) -> os.statvfs_result:
        """The file system this is on."""
        with self._handle() as handle:
            return os.fstatvfs(handle)

    @contextmanager
    def _handle(self) -> Iterator[int]:
        handle = os.open(self.name, _HANDLE, dir_fd=self.dir_fd)
        try:
            yield handle
        finally:
            os.close(handle)

    def _expect_file(self, flags: int) -> None:
        # The open itself would be safe; but it would let go a writer that waits at a FIFO, or rewind a tape.
        found = self.found()
        if found is not None:
            _require_regular(found.st_mode, self.name)
        elif not flags & os.O_CREAT:
            raise failure(errno.ENOENT, self.name)


def _require_regular(mode: int, name: bytes) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise failure(errno.EISDIR, name)
    if stat.S_ISLNK(mode):
        raise failure(errno.ELOOP, name)
    raise failure(errno.EINVAL, name)
