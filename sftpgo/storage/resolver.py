"""What a resolver does: from names to the directory they lead to, without ever leaving the root."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

#: Opens a directory only to stand in it.  Without O_PATH (macOS) it must be readable as well.
DIRECTORY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Resolver(Protocol):
    """Finds directories below a root directory.

    Links are text: an absolute target starts again at the root, and C{..} at the root stays there, as after a chroot.
    No link is ever followed by the kernel, so a link swapped in at any moment leads nowhere else.
    """

    @property
    def name(self) -> str:
        """What the log calls it."""

    def resolve(self, root: int, names: Sequence[bytes], links: int) -> tuple[int, list[bytes], int]:
        """Open the directory that C{names} lead to.

        @param root: the descriptor of the root directory; stays open.
        @param names: from the root, C{b".."} allowed, without C{b""} and C{b"."}.
        @param links: how many links were followed before; with C{LINK_LIMIT} none is followed at all.
        @return: a new descriptor (the caller closes it), the names that lead to it by no link and no C{b".."}, and the
            links followed so far.
        @raise OSError: ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG ... as the kernel says.
        """
