"""What takes two places: renaming and hard links."""

from __future__ import annotations

import errno
import os
import stat

from sftpgo.storage.location import SAFE, Location
from sftpgo.storage.names import failure
from sftpgo.storage.syscalls import RENAME_NOREPLACE, renameat2

#: The kernel or the file system does not know the flag; EINVAL also has other causes, which come up again below.
_NO_SUCH_FLAG = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM})


def rename(src: Location, dst: Location, *, replace: bool) -> None:
    """Rename C{src} to C{dst}; links are renamed themselves.

    @param replace: put it in the place of a file (or of an empty directory) that is there, in one step.  Without it an
        existing C{dst} of any kind is EEXIST, and is not touched.
    @raise OSError: EEXIST, ENOENT, EXDEV for another file system, EINVAL for a directory into itself, ENOTEMPTY ...
    """
    if replace:
        os.rename(src.name, dst.name, src_dir_fd=src.dir_fd, dst_dir_fd=dst.dir_fd)
        return
    try:
        renameat2(src.dir_fd, src.name, dst.dir_fd, dst.name, RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in _NO_SUCH_FLAG:
            raise
        rename_by_reservation(src, dst)


def rename_by_reservation(src: Location, dst: Location) -> None:
    """Rename without replacing, where the system cannot do it in one step.

    An empty file (or directory) takes the name, which fails when somebody has it, and is then replaced.  Others may see
    it for a moment; what they write into it in that moment is lost with it.
    """
    if dst.directory == src.path or dst.directory.startswith(src.path + b"/"):
        raise failure(errno.EINVAL, dst.name)
    is_directory = stat.S_ISDIR(src.stat().st_mode)
    reserved = _reserve_directory(dst) if is_directory else _reserve_file(dst)
    try:
        os.rename(src.name, dst.name, src_dir_fd=src.dir_fd, dst_dir_fd=dst.dir_fd)
    except OSError:
        _withdraw(dst, reserved)
        raise


def link(src: Location, dst: Location) -> None:
    """Make C{dst} another name of the file C{src}; of a link itself when it is one."""
    os.link(src.name, dst.name, src_dir_fd=src.dir_fd, dst_dir_fd=dst.dir_fd, follow_symlinks=False)


def _reserve_file(dst: Location) -> os.stat_result:
    descriptor = os.open(dst.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, 0o600, dir_fd=dst.dir_fd)
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _reserve_directory(dst: Location) -> os.stat_result:
    dst.mkdir(0o700)
    return dst.stat()


def _withdraw(dst: Location, reserved: os.stat_result) -> None:
    """Take the reservation back, unless the name is another's by now."""
    try:
        now = dst.stat()
        if not os.path.samestat(now, reserved):
            return
        if stat.S_ISDIR(now.st_mode):
            dst.rmdir()
        elif not now.st_size:
            dst.unlink()
    except OSError as error:
        # Gone, or filled by somebody: theirs now.  The error that brought us here is the one to report.
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise failure(error.errno or errno.EIO, dst.name) from error
