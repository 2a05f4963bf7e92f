"""The system calls that Python does not offer.

Each raises C{OSError} with the kernel's errno, ENOSYS where this system has no such call.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from sftpgo.storage.names import failure

#: Flags of openat2 (linux/openat2.h).
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08

#: Flags of renameat2 (linux/fs.h).
RENAME_NOREPLACE = 1

# Numbers given out since 2019 are the same on every architecture Linux runs on (alpha apart).
_OPENAT2 = ctypes.c_long(437)

_LINUX = sys.platform == "linux" and os.uname().machine != "alpha"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class OpenHow(ctypes.Structure):
    """C{struct open_how}: what openat2 is to do."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_HOW_SIZE = ctypes.c_size_t(ctypes.sizeof(OpenHow))


def openat2(dir_fd: int, path: bytes, how: OpenHow) -> int:
    """Open C{path} from C{dir_fd} under the rules of C{how}; returns a descriptor."""
    if not _LINUX:
        raise failure(errno.ENOSYS)
    _refuse_nul(path)
    descriptor: int = _libc.syscall(_OPENAT2, dir_fd, path, ctypes.byref(how), _HOW_SIZE)
    if descriptor < 0:
        raise failure(ctypes.get_errno())
    return descriptor


def renameat2(src_fd: int, src: bytes, dst_fd: int, dst: bytes, flags: int) -> None:
    """Rename with flags."""
    # Its number differs from one architecture to the next, so the C library's own name is taken.
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise failure(errno.ENOSYS)
    _refuse_nul(src)
    _refuse_nul(dst)
    if call(src_fd, ctypes.c_char_p(src), dst_fd, ctypes.c_char_p(dst), ctypes.c_uint(flags)) < 0:
        raise failure(ctypes.get_errno(), dst)


def _refuse_nul(path: bytes) -> None:
    # ctypes hands on the pointer, and C would stop reading at the NUL: another path than the one decided on.
    if b"\0" in path:
        raise failure(errno.EINVAL)
