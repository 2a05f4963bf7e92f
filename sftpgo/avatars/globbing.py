"""Wildcards in a path, expanded inside the home as a shell would: only names the user may list are found."""

from __future__ import annotations

import errno
import fnmatch
import os
import re

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.streams import settle
from sftpgo.domain import paths
from sftpgo.errors import PermissionDenied
from sftpgo.ssh.words import Word
from sftpgo.storage.listing import DirectoryReader

#: No name is longer than 255 bytes, so no sensible pattern for one is longer than this.
_MAX_PATTERN = 2048
_MAX_FOUND = 100_000

_QUOTED = re.compile(rb"\[([*?\[])\]")
_WILD = re.compile(rb"[*?\[]")


async def expand(files: UserFilesystem, word: Word) -> list[bytes]:
    """The paths that a word stands for, sorted; the word itself where nothing matches.

    C{*}, C{?} and C{[...]} match within one name, and a leading dot only when it is written.
    """
    text = word.text[1:] or b"/" if word.tilde else word.text
    if not word.wild:
        return [text]
    pattern = word.pattern[1:] if word.tilde else word.pattern
    found = [b"/"]
    for name in pattern.split(b"/"):
        if name:
            found = await _step(files, found, name)
    return sorted(found) or [text]


async def _step(files: UserFilesystem, directories: list[bytes], pattern: bytes) -> list[bytes]:
    """One name further from each directory."""
    if not _WILD.search(_QUOTED.sub(b"", pattern)):
        name = _QUOTED.sub(rb"\1", pattern)
        return [path for path in (_join(directory, name) for directory in directories) if await _exists(files, path)]
    if len(pattern) > _MAX_PATTERN:
        return []
    matching = re.compile(fnmatch.translate(paths.from_wire(pattern)))
    found: list[bytes] = []
    for directory in directories:
        found += await _matches(files, directory, matching, hidden=pattern.startswith(b"."))
        if len(found) > _MAX_FOUND:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    return found


async def _matches(files: UserFilesystem, directory: bytes, matching: re.Pattern[str], *, hidden: bool) -> list[bytes]:
    try:
        reader = await settle(files.open_directory(directory))
    except (OSError, PermissionDenied):
        return []
    try:
        names: list[bytes] = await files.run_in_thread(_names, reader, matching, hidden)
    except OSError:
        return []
    finally:
        reader.close()
    return [_join(directory, name) for name in names]


def _names(reader: DirectoryReader, matching: re.Pattern[str], hidden: bool) -> list[bytes]:
    """The names that match; runs in a thread."""
    found: list[bytes] = []
    while (chunk := reader.next_chunk()) and len(found) <= _MAX_FOUND:
        for name, _status in chunk:
            if (hidden or not name.startswith(b".")) and matching.match(paths.from_wire(name)):
                found.append(name)
    return found


async def _exists(files: UserFilesystem, path: bytes) -> bool:
    try:
        await settle(files.stat(path, follow=False))
    except (OSError, PermissionDenied):
        return False
    return True


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + name if directory == b"/" else directory + b"/" + name
