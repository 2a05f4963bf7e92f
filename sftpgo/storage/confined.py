"""The one way into a user's home: from a virtual path to a place inside, with no way out.

>>> home = Home.open("/srv/sftpgo/alice")
>>> with home.locate(b"/docs/report.txt", follow=True) as place:
...     if may_download(place.path):
...         descriptor = place.open(os.O_RDONLY)
"""

from __future__ import annotations

import os
import stat

from sftpgo.storage.lease import Lease
from sftpgo.storage.location import Location
from sftpgo.storage.names import LINK_LIMIT, PARENT, count_link, expand, join, link_target, split
from sftpgo.storage.rename import link, rename
from sftpgo.storage.resolver import DIRECTORY, Resolver
from sftpgo.storage.support import Support, detect, detect_resolver

__all__ = ["Home", "Location", "Support", "detect", "detect_resolver", "link", "rename"]


class Home:
    """A user's home directory, held open for one login.

    Links inside are followed as after a chroot: an absolute target means the home's root, and C{..} at the root stays
    there.  A link can thus say anything and lead nowhere outside.  Directories mounted inside the home belong to it.

    The home stays the same directory when it is renamed or replaced under its name.  Any thread may use it.

    What the caller decides on a canonical path holds for file systems that tell upper from lower case: on one that does
    not, one file has several canonical paths.
    """

    __slots__ = ("_lease", "_resolver")

    def __init__(self, fd: int, resolver: Resolver) -> None:
        """Take over C{fd}, a descriptor of the home directory."""
        self._lease = Lease(fd, lambda: os.close(fd))
        self._resolver = resolver

    @classmethod
    def open(cls, path: bytes | str, *, resolver: Resolver | None = None) -> Home:
        """Open the home at a real path; links in it are the administrator's and are followed.

        @param resolver: how to resolve paths; the best this system has when not given.
        @raise OSError: when there is no such directory; its text holds the real path.
        """
        return cls(os.open(path, DIRECTORY), resolver or detect_resolver())

    def close(self) -> None:
        """Let go of the home, at the end of the calls under way.  May be called twice."""
        self._lease.close()

    def locate(self, path: bytes, *, follow: bool) -> Location:
        """Find where a virtual path leads; the caller closes the location.

        Links on the way are always followed.  The last name need not exist; its directory must.

        @param path: absolute, canonical or not.
        @param follow: follow the last name too when it is a link.  A dangling one leads to where its target would be.
        @raise OSError: ENOENT or ENOTDIR for a directory on the way, ELOOP after 40 links, EINVAL for a relative path
            or a NUL, ENAMETOOLONG, EACCES ... as the kernel says; EBADF after L{close}.
        """
        names = split(path)
        root = self._lease.acquire()
        try:
            return self._locate(root, names, follow)
        finally:
            self._lease.release()

    def enter(self, path: bytes) -> int:
        """Open a directory by its canonical path, only to stand in it; good for C{*at} calls.  The caller closes it.

        @raise OSError: ELOOP when one of the names is a link; else as L{locate}.
        """
        names = split(path)
        root = self._lease.acquire()
        try:
            place, _, _ = self._resolver.resolve(root, names, LINK_LIMIT)
            return place
        finally:
            self._lease.release()

    def open_directory(self, names: list[bytes]) -> int:
        """Open a directory for reading by the names of its canonical path, of any length; the caller closes it.

        @raise OSError: ELOOP when one of the names is a link; else as L{locate}.
        """
        root = self._lease.acquire()
        try:
            place, _, _ = self._resolver.resolve(root, names, LINK_LIMIT)
            try:
                return os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
            finally:
                os.close(place)
        finally:
            self._lease.release()

    def _locate(self, root: int, names: list[bytes], follow: bool) -> Location:
        links = 0
        while names:
            if names[-1] == PARENT:
                # Only a directory can end so: once it is known, its canonical names have a last one to stand on.
                place, names, links = self._resolver.resolve(root, names, links)
                os.close(place)
                continue
            last = names[-1]
            place, directory, links = self._resolver.resolve(root, names[:-1], links)
            location = Location(place, last, join(directory))
            target = _target_or_close(location) if follow else None
            if target is None:
                return location
            location.close()
            links = count_link(links, last)
            names = expand(directory, target)
        return Location(os.dup(root), b".", b"/")


def _target_or_close(location: Location) -> bytes | None:
    """What the link there says, or None when it is no link."""
    try:
        found = location.find()
        if found is None or not stat.S_ISLNK(found.st_mode):
            return None
        return link_target(location.dir_fd, location.name)
    except BaseException:
        location.close()
        raise
