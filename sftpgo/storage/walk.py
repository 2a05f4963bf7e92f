"""Resolution name by name, for every POSIX system."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from sftpgo.storage.names import PARENT, components, count_link, link_target
from sftpgo.storage.resolver import DIRECTORY

#: Descriptors of the directories above, kept for C{..}: more than any sane path goes up, and far below any limit.
KEPT_DESCRIPTORS = 32

#: A name that is a directory for one call and none for the next was swapped in between: how often to look again.
ATTEMPTS = 3


class WalkResolver:
    """Opens one directory after the other, each with O_NOFOLLOW, and reads the links itself."""

    name = "walk"

    def resolve(self, root: int, names: Sequence[bytes], links: int) -> tuple[int, list[bytes], int]:
        """See L{sftpgo.storage.resolver.Resolver.resolve}."""
        pending = list(reversed(names))
        with _Trail(root) as trail:
            while pending:
                name = pending.pop()
                if name == PARENT:
                    trail.up()
                    continue
                target = trail.enter(name)
                if target is None:
                    continue
                links = count_link(links, name)
                if target.startswith(b"/"):
                    trail.restart()
                pending.extend(reversed(components(target)))
            return trail.take(), trail.names, links


class _Trail:
    """Where a walk stands: the names from the root, and the open descriptors of the last few of them."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._open: deque[int] = deque((os.dup(root),))
        self.names: list[bytes] = []

    def __enter__(self) -> _Trail:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._close()

    def enter(self, name: bytes) -> bytes | None:
        """Go down into a directory; when it is a link, stay and return what it says."""
        entered = _open_or_read(self._open[-1], name)
        if isinstance(entered, bytes):
            return entered
        self._open.append(entered)
        self.names.append(name)
        if len(self._open) > KEPT_DESCRIPTORS:
            os.close(self._open.popleft())
        return None

    def up(self) -> None:
        """Go up by one name; the root is its own parent."""
        if not self.names:
            return
        os.close(self._open.pop())
        self.names.pop()
        if not self._open:
            self._open.append(_descend(self._root, self.names))

    def restart(self) -> None:
        """Go back to the root."""
        self._close()
        self.names.clear()
        self._open.append(os.dup(self._root))

    def take(self) -> int:
        """Hand over the descriptor of the place reached."""
        return self._open.pop()

    def _close(self) -> None:
        while self._open:
            os.close(self._open.pop())


def _open_or_read(dir_fd: int, name: bytes) -> int | bytes:
    """A descriptor of the directory C{name}, or the target of the link C{name}."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=dir_fd)
        except OSError as error:
            # Systems differ in what they call a link where a directory was asked for.
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            target = link_target(dir_fd, name)
            if target is not None:
                return target
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _descend(root: int, names: Sequence[bytes]) -> int:
    """Open the directory of these names again, none of which may have become a link."""
    current = os.dup(root)
    for name in names:
        try:
            below = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        finally:
            os.close(current)
        current = below
    return current
