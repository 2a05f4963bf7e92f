"""Where in the home a system command is to work."""

from __future__ import annotations

import errno
import os
import stat

import attrs

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.domain.permissions import Permission
from sftpgo.errors import PermissionDenied
from sftpgo.storage.upload import has_temporary


@attrs.frozen
class Target:
    """A place in the home, links resolved.

    @ivar path: canonical virtual path.
    @ivar directory: the directory the command works in: C{path} when it is one, else the one that holds it.
    """

    path: bytes
    directory: bytes


def find(files: UserFilesystem, path: bytes, *, follow: bool, missing: bool = False) -> Target:
    """The place of a path.

    @param follow: where a link leads, and not the link.
    @param missing: the last name need not exist.
    @raise OSError: when it does not.
    @raise PermissionDenied: when it does not, and the user may not know.
    """
    clean = canonical(path)
    try:
        with files.home.locate(clean, follow=follow) as place:
            if has_temporary(place.path):
                raise PermissionDenied  # an upload's own file
            try:
                is_directory = stat.S_ISDIR(place.stat().st_mode)
            except FileNotFoundError:
                if not missing:
                    raise
                is_directory = False
            return Target(place.path, place.path if is_directory else place.directory)
    except OSError:
        if not files.rules.allows(paths.parent(paths.from_wire(clean)), Permission.LIST):
            raise PermissionDenied from None
        raise


def missing_above(files: UserFilesystem, path: bytes, most: int) -> list[bytes]:
    """The directories to be made for C{path} to be possible, in this order; at most so many."""
    missing: list[bytes] = []
    above = os.path.dirname(canonical(path))
    while above != b"/" and not _is_there(files, above):
        missing.append(above)
        above = os.path.dirname(above)
    return missing[::-1][:most]


def _is_there(files: UserFilesystem, path: bytes) -> bool:
    try:
        with files.home.locate(path, follow=True) as place:
            place.stat()
    except FileNotFoundError:
        return False
    except OSError:
        pass  # something is: whoever works there will hear what is wrong with it
    return True


def find_repository(files: UserFilesystem, path: bytes) -> Target:
    """The place of a Git repository: a directory of this name, or with C{.git} at its end.

    @raise OSError: when there is none; and PermissionDenied as L{find}.
    """
    try:
        return _directory(find(files, path, follow=True))
    except FileNotFoundError:
        return _directory(find(files, path.rstrip(b"/") + b".git", follow=True))


def _directory(target: Target) -> Target:
    if target.path != target.directory:
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return target
