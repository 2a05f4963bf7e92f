"""Statuses of many files, asked for in one go: each directory is found and judged once."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from sftpgo.avatars.places import Places
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain.permissions import Permission
from sftpgo.storage.upload import PREFIX, has_temporary

#: Directories that are held at once, each by a descriptor.
HELD = 8


class Glances:
    """Answers what needs no link to be followed; the rest is for L{UserFilesystem.stat}.

    A client that asks for the statuses of a directory's files sends the requests together.  Whoever answers them in one
    go, with all of them received before the first is served, may look up their directory once: each answer is one that
    the client could have had if the server had been slower or faster.  So nothing is kept beyond L{forget}, which has
    to be called before anything else is served.

    @param touched: called once in each go.
    """

    def __init__(self, places: Places, touched: Callable[[], None]) -> None:
        self._places = places
        self._touched = touched
        self._held: dict[bytes, int] = {}

    def status(self, path: bytes, follow: bool) -> os.stat_result | None:
        """What C{stat} tells of a path, or of a link itself unless C{follow}.

        @return: None where it takes more than a look.
        @raise OSError: as the kernel says, to a user who may know.
        """
        clean = canonical(path)
        cut = clean.rindex(b"/")
        name = clean[cut + 1 :]
        directory = clean[:cut] or b"/"
        held = self._held.get(directory)
        if held is None:
            held = self._hold(directory)
        if held < 0 or not name or name.startswith(PREFIX):
            return None
        status = os.stat(name, dir_fd=held, follow_symlinks=False)
        if follow and stat.S_ISLNK(status.st_mode):
            return None
        return status

    def forget(self) -> None:
        """The go is over."""
        if self._held:
            for descriptor in self._held.values():
                if descriptor >= 0:
                    os.close(descriptor)
            self._held.clear()

    def _hold(self, directory: bytes) -> int:
        """A descriptor of a directory that the user may look into and no link leads to; -1 for any other."""
        if not self._held:
            self._touched()
        if len(self._held) >= HELD:
            self.forget()
        descriptor = -1
        if self._places.allows(directory, Permission.LIST) and not has_temporary(directory):
            with contextlib.suppress(OSError):  # the long way says why
                descriptor = self._places.home.enter(directory)
        self._held[directory] = descriptor
        return descriptor
