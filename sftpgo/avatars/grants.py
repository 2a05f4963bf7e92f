"""Which directories of a home a system command may read or write.

What the kernel is told holds for a directory and all below it, and only ever adds up.  So a command gets a directory
when the user's permissions allow all of what it may do there and in every directory below that has permissions of its
own; where they do not, the command is refused rather than run past them.
"""

from __future__ import annotations

import attrs

from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.errors import PermissionDenied

READING = frozenset({Permission.LIST, Permission.DOWNLOAD})
WRITING = READING | {
    Permission.UPLOAD,
    Permission.CREATE_DIRS,
    Permission.OVERWRITE,
    Permission.DELETE,
    Permission.RENAME,
}


@attrs.frozen
class Grant:
    """A directory, by its canonical virtual path, with everything below it."""

    directory: str
    writable: bool


def grants(rules: AccessRules, directory: str, *, writing: bool) -> list[Grant]:
    """What a command at work in C{directory} gets: the whole home where permissions allow it, else that directory.

    A command that writes may also read in the rest of the home, where that is allowed everywhere.

    @raise PermissionDenied: when permissions do not allow it, or cannot be kept.
    """
    needed = WRITING if writing else READING
    if not rules.allows_all(directory, needed):
        raise PermissionDenied("Permission denied. You don't have the permissions to execute this command")
    if _everywhere(rules, "/", needed):
        return [Grant("/", writing)]
    if not _everywhere(rules, directory, needed):
        below = next(path for path in rules.entries_below(directory) if not rules.allows_all(path, needed))
        raise PermissionDenied(f"Permission denied. This command cannot keep the permissions of {below}")
    found = [Grant(directory, writing)]
    if writing and _everywhere(rules, "/", READING):
        found.append(Grant("/", False))
    return found


def _everywhere(rules: AccessRules, directory: str, needed: frozenset[Permission]) -> bool:
    return rules.allows_all(directory, needed) and all(
        rules.allows_all(path, needed) for path in rules.entries_below(directory)
    )
