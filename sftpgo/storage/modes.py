"""Permission bits, set on the very file that was looked at."""

from __future__ import annotations

import errno
import os
import stat

from sftpgo.storage.names import failure

#: All that can be set from outside: no setuid, setgid or sticky.
PERMISSION_BITS = 0o777


def set_mode(handle: int, dir_fd: int, name: bytes, mode: int) -> None:
    """Set the permission bits of what C{handle} is, which the caller knows to be no link.

    chmod by name follows links on Linux, and fchmod refuses an O_PATH descriptor: C{/proc/self/fd} leads to the
    file the handle stands for and nowhere else.

    @param handle: a descriptor of the file, O_PATH or any other.
    @param dir_fd: its directory, and C{name} its name there: for systems without /proc.
    """
    try:
        os.chmod(f"/proc/self/fd/{handle}", mode & PERMISSION_BITS)
    except FileNotFoundError:
        set_mode_without_proc(handle, dir_fd, name, mode)
    except OSError as error:
        raise failure(error.errno or errno.EIO, name) from None


def set_mode_without_proc(handle: int, dir_fd: int, name: bytes, mode: int) -> None:
    """The same by fchmod on the file opened again; the server must be able to read it.

    @raise OSError: EINVAL for a FIFO, socket or device; ESTALE when the name has become another file meanwhile.
    """
    wanted = os.fstat(handle)
    if not (stat.S_ISREG(wanted.st_mode) or stat.S_ISDIR(wanted.st_mode)):
        raise failure(errno.EINVAL, name)
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=dir_fd)
    try:
        if not os.path.samestat(os.fstat(descriptor), wanted):
            raise failure(errno.ESTALE, name)
        os.fchmod(descriptor, mode & PERMISSION_BITS)
    finally:
        os.close(descriptor)
