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
_OPENAT2 = 437
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_CREATE_RULESET_VERSION = 1

_LINUX = sys.platform == "linux" and os.uname().machine != "alpha"
_libc = ctypes.CDLL(None, use_errno=True)


class OpenHow(ctypes.Structure):
    """C{struct open_how}: what openat2 is to do."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _prototype_openat2() -> ctypes._NamedFuncPointer:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(OpenHow), ctypes.c_size_t)
    call.restype = ctypes.c_long
    return call


_syscall_openat2 = _prototype_openat2()
_HOW_SIZE = ctypes.sizeof(OpenHow)


def openat2(dir_fd: int, path: bytes, how: OpenHow) -> int:
    """Open C{path} from C{dir_fd} under the rules of C{how}; returns a descriptor."""
    if not _LINUX:
        raise failure(errno.ENOSYS)
    descriptor: int = _syscall_openat2(_OPENAT2, dir_fd, path, how, _HOW_SIZE)
    if descriptor < 0:
        raise failure(ctypes.get_errno())
    return descriptor


def renameat2(src_fd: int, src: bytes, dst_fd: int, dst: bytes, flags: int) -> None:
    """Rename with flags."""
    # Its number differs from one architecture to the next, so the C library's own name is taken.
    call = getattr(_libc, "renameat2", None)
    if call is None:
        raise failure(errno.ENOSYS)
    if call(src_fd, ctypes.c_char_p(src), dst_fd, ctypes.c_char_p(dst), ctypes.c_uint(flags)) < 0:
        raise failure(ctypes.get_errno(), dst)


def landlock_abi() -> int:
    """The version of Landlock the kernel speaks; 0 when it has none or it is switched off."""
    if not _LINUX:
        return 0
    version: int = _libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE_RULESET),
        None,
        ctypes.c_size_t(0),
        ctypes.c_uint(_LANDLOCK_CREATE_RULESET_VERSION),
    )
    return max(version, 0)
