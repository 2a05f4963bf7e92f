"""Why somebody may do something, or not: the rules of a login and of a request, asked without effect."""

from __future__ import annotations

from typing import Final

import attrs

from sftpgo.domain.filters import address_allowed, parse_address
from sftpgo.domain.paths import canonical, parent
from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.domain.user import STATUS_ENABLED, User

#: Operation -> the permission it needs.
OPERATIONS: Final = {
    "stat": Permission.LIST,
    **{str(permission): permission for permission in Permission if permission is not Permission.ANY},
}

#: Looked up on what they name; the others on the directory that holds it.
_ON_ITSELF: Final = frozenset({"list", "chmod", "chown", "chtimes"})

#: Of a directory these are looked up on the one above it, as for the rest.
_ATTRIBUTES: Final = _ON_ITSELF - {"list"}

#: Never done to the home itself; the last name of their path is not followed when it is a link.
ON_NAMES: Final = frozenset({"rename", "delete", "create_dirs", "create_symlinks"})


@attrs.frozen
class Verdict:
    """What decides.

    @ivar rule: C{status}, C{expiration_date}, C{filters}, C{quota} or C{permissions}.
    @ivar reason: in words.
    @ivar operation: what the request comes to: an upload onto a file that exists is an overwrite.
    @ivar path: where the request leads, canonical.
    @ivar directory: the entry of the permissions that decides; empty when it does not come to that.
    @ivar permissions: what that entry grants.
    """

    allowed: bool
    rule: str
    reason: str
    operation: str
    path: str
    directory: str = ""
    permissions: tuple[str, ...] = ()


@attrs.frozen
class Found:
    """What is at a path.

    @ivar path: virtual, with its links followed by whoever could look.
    """

    path: str
    exists: bool = False
    is_directory: bool = False


def explain(user: User, operation: str, found: Found, ip: str, now: int, *, quota: bool = True) -> Verdict:
    """Judge as a login and then a request would be judged.

    @param operation: a key of L{OPERATIONS}.
    @param quota: whether limits hold at all.
    @param ip: where from; empty for anywhere.
    @param now: unix milliseconds.
    @raise ValueError: for an operation there is not, a path with a NUL, an address that is none.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation: expected one of {', '.join(OPERATIONS)}")
    found = attrs.evolve(found, path=canonical(found.path))
    if ip:
        parse_address(ip)
    if operation == "upload" and found.exists:
        operation = "overwrite"
    verdict = _permissions(user, operation, found)
    refusal = _login(user, ip, now)
    if refusal is None and verdict.allowed and quota:
        refusal = _quota(user, operation)
    if refusal is not None:
        return Verdict(False, *refusal, operation, found.path)
    return verdict


def _login(user: User, ip: str, now: int) -> tuple[str, str] | None:
    """The rule that forbids it, and why."""
    if user.status != STATUS_ENABLED:
        return "status", "the account is disabled"
    if 0 < user.expiration_date < now:
        return "expiration_date", "the account is expired"
    if ip and not address_allowed(user.filters, ip):
        return "filters", f"the account may not be used from {ip}"
    return None


def _quota(user: User, operation: str) -> tuple[str, str] | None:
    if operation == "upload" and 0 < user.quota_files <= user.used_quota_files:
        return "quota", f"{user.used_quota_files} of {user.quota_files} files are used"
    if operation in ("upload", "overwrite") and 0 < user.quota_size <= user.used_quota_size:
        return "quota", f"{user.used_quota_size} of {user.quota_size} bytes are used"
    return None


def _permissions(user: User, operation: str, found: Found) -> Verdict:
    path = found.path
    itself = operation in _ON_ITSELF and not (operation in _ATTRIBUTES and found.is_directory)
    directory = path if itself else parent(path)
    rules = AccessRules(user.permissions)
    entry = directory
    while entry != "/" and not rules.has_entry(entry):
        entry = parent(entry)
    granted = rules.granted(directory)
    names = ("*",) if Permission.ANY in granted else tuple(sorted(map(str, granted)))
    needed = OPERATIONS[operation]
    allowed = needed in granted
    reason = f'"{needed}" is {"" if allowed else "not "}granted on {directory}: the entry of {entry} decides'
    if path == "/" and operation in ON_NAMES:
        allowed, reason = False, "the home itself stays as it is"
    return Verdict(allowed, "permissions", reason, operation, path, entry, names)
