"""Landlock: a process gives up, for good and for its children, all files but those it names (Linux 5.13 and newer).

What it does not hold back: C{stat}, C{chdir}, C{chmod}, C{chown} and the times of files elsewhere.  Those need
L{sftpgo.storage.isolation} as well, or not to be reachable.

Only the standard library is imported here: the exec helper starts with every command.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys

#: Without ABI 2 (Linux 5.19) nothing can be renamed from one directory into another, which Git does all the time.
USABLE_ABI = 2

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15

READ = READ_FILE | READ_DIR
#: Files, directories and links; no devices, sockets or FIFOs.
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE

_FOR_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

#: Rights by the ABI that brought them: each older one's set is a part of the next.
_ALL_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP = 0b11  # to bind and to connect
_SCOPES = 0b11  # abstract sockets and signals

_LINUX = sys.platform == "linux" and os.uname().machine != "alpha"
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _RulesetAttributes(ctypes.Structure):
    """C{struct landlock_ruleset_attr}."""

    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    """C{struct landlock_path_beneath_attr}."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """The version of the interface; 0 when the kernel has none or it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


class Ruleset:
    """What the process may still do once L{enforce} is called; what no rule allows is denied.

    @raise OSError: when this kernel has no Landlock.
    """

    def __init__(self) -> None:
        version = abi()
        if not version:
            raise OSError(errno.ENOSYS, "this system has no Landlock")
        self._rights = _ALL_RIGHTS[min(version, max(_ALL_RIGHTS))]
        attributes = _RulesetAttributes(self._rights)
        size = 8
        if version >= 4:
            attributes.handled_access_net, size = _TCP, 16
        if version >= 6:
            attributes.scoped, size = _SCOPES, 24
        self._fd = _call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)

    def allow(self, descriptor: int, rights: int) -> None:
        """Allow C{rights} on an open file, or on an open directory and all below it, whatever its name becomes."""
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FOR_FILES
        rule = _PathBeneath(rights & self._rights, descriptor)
        _call(_ADD_RULE, self._fd, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)

    def allow_path(self, path: str, rights: int) -> None:
        """The same by path; one that is not there is passed over."""
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            self.allow(descriptor, rights)
        finally:
            os.close(descriptor)

    def enforce(self) -> None:
        """Hold this process and all it starts to the rules; there is no way back."""
        if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
        _call(_RESTRICT_SELF, self._fd, 0)
        os.close(self._fd)


def _call(number: int, *arguments: object) -> int:
    if not _LINUX:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
