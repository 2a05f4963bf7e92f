"""Virtual paths as lists of names.

A virtual path is C{bytes}, absolute, and counted from the user's home: C{b"/"} is the home itself.  Names are kept
byte-exact, whatever their encoding.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

#: What the kernel takes as one path, its closing NUL included (PATH_MAX).
PATH_LIMIT = 4096

#: How many symbolic links one resolution may follow, as in the kernel (MAXSYMLINKS).
LINK_LIMIT = 40

PARENT = b".."


def failure(code: int, name: bytes | None = None) -> OSError:
    """The exception for an errno; C{name} is a bare name or a virtual path, never a real one."""
    if name is None:
        return OSError(code, os.strerror(code))
    return OSError(code, os.strerror(code), name)


def split(path: bytes) -> list[bytes]:
    """The names of a virtual path, C{b".."} kept; the home itself has none.

    Empty names and C{b"."} mean nothing wherever they stand, so C{/x/.} is C{/x}.

    @raise OSError: EINVAL for a relative path or a NUL, ENAMETOOLONG as the kernel would say.
    """
    if not path.startswith(b"/") or b"\0" in path:
        raise failure(errno.EINVAL, path)
    if len(path) >= PATH_LIMIT:
        raise failure(errno.ENAMETOOLONG)
    return components(path)


def components(text: bytes) -> list[bytes]:
    """The names in a path or in the target of a link, without those that mean nothing."""
    return [name for name in text.split(b"/") if name and name != b"."]


def join(names: Sequence[bytes]) -> bytes:
    """The virtual path of these names."""
    return b"/" + b"/".join(names)


def link_target(dir_fd: int, name: bytes) -> bytes | None:
    """What the link C{name} says, or C{None} when it is no link or does not exist."""
    try:
        return os.readlink(name, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def expand(directory: Sequence[bytes], target: bytes) -> list[bytes]:
    """The names, from the home's root, that a link in C{directory} stands for.

    An absolute target means the home's root, as after a chroot.
    """
    if target.startswith(b"/"):
        return components(target)
    return [*directory, *components(target)]


def count_link(links: int, name: bytes) -> int:
    """One more link was met.

    @raise OSError: ELOOP when that is one too many.
    """
    if links >= LINK_LIMIT:
        raise failure(errno.ELOOP, name)
    return links + 1
