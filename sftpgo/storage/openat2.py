"""Resolution by the kernel, in one system call (Linux 5.6 and newer)."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from sftpgo.storage.names import PARENT
from sftpgo.storage.resolver import DIRECTORY
from sftpgo.storage.syscalls import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, OpenHow, openat2
from sftpgo.storage.walk import WalkResolver

#: Where the kernel does not say yes or no, name by name it goes on: a link on the way, a path grown past PATH_MAX by
#: links, a tree that changed too often while it looked.
_WALK_INSTEAD = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.EAGAIN})


class Openat2Resolver:
    """Asks the kernel for a directory below the root with no link on the way.

    The usual path has no link, and then the names asked for are the canonical ones: what is decided on them is decided
    on the very directory that was opened, at no second look.  The rare path with a link or a C{..} is walked.
    """

    name = "openat2"

    def __init__(self) -> None:
        self._how = OpenHow(
            flags=DIRECTORY, mode=0, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
        )
        self._walk = WalkResolver()

    def resolve(self, root: int, names: Sequence[bytes], links: int) -> tuple[int, list[bytes], int]:
        """See L{sftpgo.storage.resolver.Resolver.resolve}."""
        if not names:
            return os.dup(root), [], links
        if PARENT not in names:
            try:
                return self._open(root, b"/".join(names)), list(names), links
            except OSError as error:
                if error.errno not in _WALK_INSTEAD:
                    raise
        return self._walk.resolve(root, names, links)

    def _open(self, root: int, path: bytes) -> int:
        while True:
            try:
                return openat2(root, path, self._how)
            except InterruptedError:
                continue  # Python's own calls start again after a signal, so this one does

    @classmethod
    def works(cls) -> bool:
        """Try it: an older kernel answers ENOSYS, a seccomp filter ENOSYS or EPERM."""
        try:
            root = os.open(b"/", DIRECTORY)
        except OSError:
            return False
        try:
            os.close(openat2(root, b".", cls()._how))
        except OSError:
            return False
        finally:
            os.close(root)
        return True
