"""What a user may do where: permissions are granted by directory, and the nearest directory that has any decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import attrs

from sftpgo.domain.paths import ROOT, canonical, contains, depth, parent

#: Bounds of the memory that one session's cache may take: a client chooses the paths that are looked up.
_CACHED_ENTRIES = 512
_CACHED_LENGTH = 512


class Permission(StrEnum):
    """The names as the REST API and the database write them."""

    ANY = "*"
    LIST = "list"
    DOWNLOAD = "download"
    UPLOAD = "upload"
    OVERWRITE = "overwrite"
    RENAME = "rename"
    DELETE = "delete"
    CREATE_DIRS = "create_dirs"
    CREATE_SYMLINKS = "create_symlinks"
    CHMOD = "chmod"
    CHOWN = "chown"
    CHTIMES = "chtimes"


_EVERYTHING = frozenset(Permission)
_NAMES = frozenset(map(str, Permission))


def _granted_by(names: Iterable[str]) -> frozenset[Permission]:
    """The permissions that a list of names grants; C{*} grants them all, an unknown name none."""
    granted = frozenset(Permission(name) for name in names if name in _NAMES)
    return _EVERYTHING if Permission.ANY in granted else granted


def _entries(permissions: Mapping[str, Iterable[str]]) -> dict[str, frozenset[Permission]]:
    """Canonical directory -> what it grants.

    Validation refuses two spellings of one directory; where a record written by another program has them, only what
    both grant is granted.
    """
    entries: dict[str, frozenset[Permission]] = {}
    for directory, names in permissions.items():
        path = canonical(directory)
        entries[path] = entries.get(path, _EVERYTHING) & _granted_by(names)
    return entries


@attrs.frozen(eq=False)
class AccessRules:
    """A user's permissions, made ready for lookups: built once at login from C{User.permissions}.

    Nothing is merged: an entry hides those of the directories above it completely.  Where not even C{/} has an entry,
    nothing is granted.  Directories are virtual paths; those that are not canonical are made so first.

    @raise ValueError: for a directory with a NUL, here and from every method.
    """

    _entries: dict[str, frozenset[Permission]] = attrs.field(converter=_entries)
    _deepest: int = attrs.field(init=False, repr=False)
    _cache: dict[str, frozenset[Permission]] = attrs.field(init=False, factory=dict, repr=False)

    @_deepest.default
    def _find_deepest(self) -> int:
        return max(map(depth, self._entries), default=0)

    def granted(self, directory: str) -> frozenset[Permission]:
        """All that is granted on a directory, with C{*} written out: it is in the set beside all the others."""
        granted = self._cache.get(directory)
        if granted is None:
            granted = self._nearest(canonical(directory))
            if len(directory) <= _CACHED_LENGTH:
                if len(self._cache) >= _CACHED_ENTRIES:
                    self._cache.clear()
                self._cache[directory] = granted
        return granted

    def allows(self, directory: str, permission: Permission) -> bool:
        """Tell whether one permission is granted on a directory."""
        return permission in self.granted(directory)

    def allows_all(self, directory: str, permissions: Iterable[Permission]) -> bool:
        """Tell whether all of these permissions are granted on a directory."""
        return self.granted(directory).issuperset(permissions)

    def has_entry(self, directory: str) -> bool:
        """Tell whether a directory has permissions of its own, not those of one above it."""
        return canonical(directory) in self._entries

    def entries_below(self, directory: str) -> tuple[str, ...]:
        """The directories strictly below this one that have permissions of their own, sorted."""
        above = canonical(directory)
        return tuple(sorted(path for path in self._entries if path != above and contains(above, path)))

    def _nearest(self, path: str) -> frozenset[Permission]:
        # No entry lies deeper than the deepest, so a path of 100,000 names costs no 100,000 steps.
        path = "/".join(path.split("/", self._deepest + 1)[: self._deepest + 1]) or ROOT
        while path not in self._entries and path != ROOT:
            path = parent(path)
        return self._entries.get(path, frozenset())
