"""From what a client sent to the place it means, and whether the user has the permissions there.

Paths are cleaned as text first, then links are followed inside the home, and what a rule says is looked up on where
they lead.
"""

from __future__ import annotations

import errno
import os

import attrs

from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.errors import PermissionDenied
from sftpgo.storage.confined import Home
from sftpgo.storage.location import Location
from sftpgo.storage.upload import has_temporary


@attrs.frozen(eq=False)
class Places:
    """One user's home and rules.  Each L{Location} is the caller's to close."""

    home: Home
    rules: AccessRules

    def at(self, path: bytes, *needed: Permission, follow: bool) -> Location:
        """The place of C{path}, where the user has what is needed on its directory."""
        place = self.located(path, follow=follow, needed=needed[0])
        try:
            for permission in needed:
                self.require(place.directory, permission)
        except BaseException:
            place.close()
            raise
        return place

    def located(
        self,
        path: bytes,
        *,
        follow: bool,
        needed: Permission | None,
        itself: bool = False,
        missing: bool = False,
    ) -> Location:
        """The place of C{path}.

        Where there is none, somebody without the permission C{needed} on the path as typed learns no more than that
        (C{itself}: on the path, not on its parent).  With C{missing}, a path whose directory is not there yields the
        place where the first missing name would be.
        """
        clean = canonical(path)
        try:
            place = self.home.locate(clean, follow=follow)
        except OSError as error:
            directory = clean if itself else os.path.dirname(clean)
            if needed is not None:
                self.require(directory, needed)
            if not missing or error.errno not in (errno.ENOENT, errno.ENOTDIR) or clean == b"/":
                raise
            return self.located(directory, follow=True, needed=needed, missing=True)
        if has_temporary(place.path):
            place.close()
            raise PermissionDenied  # an upload's own file, whether there is one of this name or not
        return place

    def allows(self, directory: bytes, permission: Permission) -> bool:
        """Whether the user has a permission on a canonical directory."""
        return self.rules.allows(paths.from_wire(directory), permission)

    def require(self, directory: bytes, permission: Permission) -> None:
        """Refuse a user without a permission on a canonical directory.

        @raise PermissionDenied: to them.
        """
        if not self.allows(directory, permission):
            raise PermissionDenied
