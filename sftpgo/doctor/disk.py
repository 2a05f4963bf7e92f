"""Free space on the file systems that the server writes to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from sftpgo.config.load import Loaded, resolve
from sftpgo.doctor.finding import Finding, fail, ok, warn

_MIB: Final = 1024 * 1024
_LOW, _OUT = 1024 * _MIB, 64 * _MIB
_LOW_SHARE: Final = 0.05


class Space(Protocol):
    """What C{statvfs} tells of a file system."""

    @property
    def f_frsize(self) -> int:
        """Bytes of a block."""

    @property
    def f_blocks(self) -> int:
        """Blocks there are."""

    @property
    def f_bavail(self) -> int:
        """Blocks that others than root may take."""

    @property
    def f_files(self) -> int:
        """Inodes there are."""

    @property
    def f_favail(self) -> int:
        """Inodes that others than root may take."""


def look(loaded: Loaded, homes: Iterable[str]) -> Iterator[Finding]:
    """Each file system once, by the first directory that is on it."""
    config = loaded.config
    named = [loaded.config_dir, resolve(loaded.config_dir, config.httpd.backups_path)]
    seen: set[int] = set()
    for path in [*named, config.data_provider.users_base_dir, *homes]:
        directory = existing(path) if path else ""
        if directory and (device := os.stat(directory).st_dev) not in seen:
            seen.add(device)
            yield judge(directory, os.statvfs(directory))


def judge(path: str, space: Space) -> Finding:
    """Whether there is enough on the file system of a directory."""
    free, whole = space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize
    text = f"{_size(free)} free of {_size(whole)} at {path}"
    do = "remove what is not needed, or give it more room; quotas of users may be larger than the disk"
    if free < min(_OUT, whole * _LOW_SHARE):
        return fail("disk", text, do)
    if space.f_files and space.f_favail < space.f_files * _LOW_SHARE:
        return warn("disk", f"{space.f_favail} of {space.f_files} inodes are free at {path}", "remove small files")
    return warn("disk", text, do) if free < min(_LOW, whole * _LOW_SHARE) else ok("disk", text)


def existing(path: str) -> str:
    """The directory itself, or the nearest one above it that is there."""
    path = os.path.abspath(path)
    while not os.path.isdir(path) and path != "/":
        path = os.path.dirname(path)
    return path


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count // _MIB} MiB"
