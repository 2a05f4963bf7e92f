"""System calls that fail when a test says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import sftpgo.avatars.handle
import sftpgo.avatars.transfer
import sftpgo.avatars.upload
import sftpgo.storage.freeing
import sftpgo.storage.location
import sftpgo.storage.rename
import sftpgo.storage.upload

_MODULES = (
    sftpgo.avatars.handle,
    sftpgo.avatars.transfer,
    sftpgo.avatars.upload,
    sftpgo.storage.freeing,
    sftpgo.storage.rename,
    sftpgo.storage.upload,
)


class FaultyOS:
    """The module C{os} as the modules of the upload see it, where some calls fail.

    @ivar faults: name of a call to the errno it fails with.  A C{close} that fails has closed, as on Linux.
    @ivar short: a C{pwrite} that succeeds takes at most this many bytes, if set.
    """

    def __init__(self) -> None:
        self.faults: dict[str, int] = {}
        self.short = 0
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name == "close":
            return self._close
        if name == "pwrite":
            return self._pwrite
        if name in ("rename", "fsync", "ftruncate", "fstat", "preadv", "pread"):
            return lambda *args, **options: self._call(name, real, *args, **options)
        return real

    def _call(self, name: str, real: Any, *args: Any, **options: Any) -> Any:
        self.calls.append(name)
        if name in self.faults:
            raise OSError(self.faults[name], os.strerror(self.faults[name]))
        return real(*args, **options)

    def _close(self, descriptor: int) -> None:
        os.close(descriptor)
        if "close" in self.faults:
            raise OSError(self.faults["close"], os.strerror(self.faults["close"]))

    def _pwrite(self, descriptor: int, data: Any, offset: int) -> int:
        self.calls.append("pwrite")
        if "pwrite" in self.faults:
            raise OSError(self.faults["pwrite"], os.strerror(self.faults["pwrite"]))
        return os.pwrite(descriptor, data[: self.short] if self.short else data, offset)

    def renameat2(self, *args: Any) -> None:
        """C{renameat2}, which fails as C{rename} does."""
        self._call("rename", _real_renameat2, *args)


class _WithoutClose(FaultyOS):
    """The same faults, but for C{close}: a directory's descriptor has nothing to lose."""

    def __init__(self, faulty: FaultyOS) -> None:
        self._faulty = faulty

    def __getattr__(self, name: str) -> Any:
        return os.close if name == "close" else getattr(self._faulty, name)


_real_renameat2 = sftpgo.storage.rename.renameat2


def faulty_os(test: Any) -> FaultyOS:
    """Put it in place for one test."""
    faulty = FaultyOS()
    for module in _MODULES:
        if hasattr(module, "os"):
            test.patch(module, "os", faulty)
    test.patch(sftpgo.storage.location, "os", _WithoutClose(faulty))
    test.patch(sftpgo.storage.rename, "renameat2", faulty.renameat2)
    return faulty


def fails_with(number: int) -> Callable[..., Any]:
    """A call that raises this errno, to stand in for another."""

    def fails(*_args: Any) -> None:
        raise OSError(number, os.strerror(number))

    return fails
