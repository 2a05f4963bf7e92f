"""A home, things beside it that nobody may reach, and the means to tell whether somebody did."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sftpgo.storage.confined import Home
from sftpgo.storage.openat2 import Openat2Resolver
from sftpgo.storage.resolver import Resolver
from sftpgo.storage.walk import WalkResolver

SECRET = b"the content nobody may read"
OUTSIDE_NAME = b"secret"


def need_openat2(case):
    """Skip a test where the kernel has no openat2."""
    if not Openat2Resolver.works():
        case.skipTest("no openat2 here")


class ByOpenat2:
    """Runs the tests of a class with the kernel's resolver."""

    def resolver(self) -> Resolver:
        need_openat2(self)
        return Openat2Resolver()


class ByWalk:
    """Runs the tests of a class with the fallback."""

    def resolver(self) -> Resolver:
        return WalkResolver()


class World:
    """``base/u1`` is the home, ``base/u10`` its neighbour whose name begins alike.

    @ivar home: real path of the home.
    @ivar outside: real path of the neighbour: a file, a directory with a file, each with the secret.
    """

    def __init__(self, base: str) -> None:
        os.makedirs(base)
        self.base = os.fsencode(os.path.realpath(base))
        self.home = self.base + b"/u1"
        self.outside = self.base + b"/u10"
        os.makedirs(self.outside + b"/sub")
        for name in (OUTSIDE_NAME, b"sub/" + OUTSIDE_NAME, b"file"):
            write(self.outside + b"/" + name, SECRET)
        os.mkdir(self.home)

    def empty_home(self) -> None:
        """Start over with an empty home; nothing beside it changes."""
        for name in os.listdir(self.home):
            path = self.home + b"/" + name
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def open(self, resolver: Resolver) -> Home:
        return Home.open(self.home, resolver=resolver)

    def snapshot(self) -> dict[bytes, tuple[object, ...]]:
        """All there is to know of what lies outside of the home."""
        return {path: _facts(path) for path in self._outside_paths()}

    def contents(self) -> dict[bytes, tuple[object, ...]]:
        """All there is to know of the home."""
        found = {self.home: _facts(self.home)}
        for directory, directories, files in os.walk(self.home):
            for name in directories + files:
                found[directory + b"/" + name] = _facts(directory + b"/" + name)
        return found

    def inodes(self) -> set[tuple[int, int]]:
        """What lies outside of the home, by device and inode."""
        return {(status.st_dev, status.st_ino) for status in map(os.lstat, self._outside_paths())}

    def _outside_paths(self) -> Iterator[bytes]:
        yield self.base
        for directory, directories, files in os.walk(self.base):
            if directory == self.base:
                directories.remove(b"u1")
            for name in directories + files:
                yield directory + b"/" + name


def write(path: bytes, content: bytes = b"") -> None:
    with open(path, "wb") as file:
        file.write(content)


def read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def open_descriptors() -> set[str]:
    """The descriptors of this process, by number and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(name + " " + os.readlink("/proc/self/fd/" + name))
        except FileNotFoundError:
            continue  # the one that listed them
    return found


def _facts(path: bytes) -> tuple[object, ...]:
    status = os.lstat(path)
    facts = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns, status.st_ctime_ns)
    if stat.S_ISREG(status.st_mode):
        return (*facts, read(path))
    if stat.S_ISLNK(status.st_mode):
        return (*facts, os.readlink(path))
    return (*facts, sorted(os.listdir(path)))


class Watch:
    """Whatever happens to some files and directories: opened, read, written, changed, renamed ... (inotify)."""

    _ALL = 0x00000FFF
    _libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self, *roots: bytes) -> None:
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        for root in roots:
            self._add(root)
            for directory, directories, files in os.walk(root):
                for name in directories + files:
                    self._add(directory + b"/" + name)
        self.events()  # walking the tree was an event itself

    def _add(self, path: bytes) -> None:
        if self._libc.inotify_add_watch(self._fd, ctypes.c_char_p(path), ctypes.c_uint32(self._ALL)) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def events(self) -> list[tuple[int, bytes]]:
        """The events since the last call, as (mask, name in its directory)."""
        found = []
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found
            while data:
                _, mask, _, length = struct.unpack_from("iIII", data)
                found.append((mask, data[16 : 16 + length].rstrip(b"\0")))
                data = data[16 + length :]

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def running(*threads: threading.Thread) -> Iterator[None]:
    """Run threads for the time of a block; the block tells them to stop."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
