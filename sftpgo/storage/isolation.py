"""A file system of its own for a process: the system's programs, read-only, and one home (Linux namespaces).

Where Landlock denies, this hides: nothing of the rest of the machine has a name any more, so that not even C{stat} or
C{chmod} can reach it, and there is no network at all.  Needs root, or user namespaces that the system allows.

Only the standard library is imported here: the exec helper starts with every command.
"""

from __future__ import annotations

import ctypes
import errno
import os

#: Where the home is afterwards.
HOME = "/home"

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 32, 4096, 16384, 1 << 18
_MS_RELATIME = 1 << 21
_MNT_DETACH = 2

#: Flags that C{statvfs} and C{mount} have at the same place; a bind mount must keep those of what it shows.
_KEPT = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | 1024 | 2048
_ST_RELATIME = 4096

_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_FILES = ("/dev/null", "/dev/urandom", "/etc/ld.so.cache")

#: A directory there is on every system, to build on; what is in it is only covered for this process.
_STAGE = "/tmp"  # noqa: S108

_libc = ctypes.CDLL(None, use_errno=True)


def covers(program: str) -> bool:
    """Whether a program, by its absolute path, is still there after L{isolate}."""
    return program.split("/")[1] in _SYSTEM


def isolate() -> None:
    """Leave everything but the system's programs and the current directory, which becomes L{HOME} and stays current.

    @raise OSError: when the system does not allow it.  The process may then be in half-made namespaces of its own, but
        its files are where they were.
    """
    if os.path.commonpath([_STAGE, os.getcwd()]) == os.getcwd():
        raise OSError(errno.EBUSY, "the directory that is needed to build on is in the home")
    uid, gid = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS | _CLONE_NEWIPC | _CLONE_NEWNET
    _check(_libc.unshare(flags if uid == 0 else flags | _CLONE_NEWUSER))
    if uid:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", _STAGE, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=64k,mode=755")
    for name in _SYSTEM:
        _system("/" + name, f"{_STAGE}/{name}")
    for path in _FILES:
        _file(path, _STAGE + path)
    os.mkdir(_STAGE + HOME)
    _bind(".", _STAGE + HOME, _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    os.chdir(_STAGE)
    _check(_libc.pivot_root(b".", b"."))
    _check(_libc.umount2(b".", _MNT_DETACH))
    os.chdir(HOME)


def _system(path: str, target: str) -> None:
    if os.path.islink(path):
        os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        os.mkdir(target)
        _bind(path, target, _MS_RDONLY | _MS_NOSUID | _MS_NODEV)


def _file(path: str, target: str) -> None:
    if os.path.exists(path):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        _mount(path, target, None, _MS_BIND)


def _bind(path: str, target: str, flags: int) -> None:
    _mount(path, target, None, _MS_BIND | _MS_REC)
    has = os.statvfs(target).f_flag
    flags |= has & _KEPT | (_MS_RELATIME if has & _ST_RELATIME else 0)
    _mount(None, target, None, _MS_REMOUNT | _MS_BIND | flags)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    _check(_libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
