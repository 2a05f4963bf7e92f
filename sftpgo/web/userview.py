"""A user as one row of the list."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sftpgo.domain.scans import ScanInfo
from sftpgo.domain.search import expired
from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.web.shown import size

#: Days before its end in which an account is marked.
_SOON = 14 * 24 * 3600 * 1000


@attrs.frozen
class Bar:
    """How much of something is used.

    @ivar percent: 0 to 100; C{None} where there is no limit.
    """

    label: str
    text: str
    percent: int | None

    @property
    def level(self) -> str:
        """For the colour."""
        if self.percent is None or self.percent < 80:
            return "ok"
        return "full" if self.percent >= 100 else "high"


@attrs.frozen
class Row:
    """What the list shows of a user.

    @ivar expiry: C{expired}, C{soon}, or empty.
    @ivar permissions: (directory, names) with C{/} first.
    @ivar scan: a quota scan that is under way.
    """

    user: User
    active: bool
    expiry: str
    permissions: tuple[tuple[str, str], ...]
    bars: tuple[Bar, ...]
    scan: ScanInfo | None


def row_of(user: User, now: int, scans: Mapping[str, ScanInfo]) -> Row:
    """Put it together; C{now} in unix milliseconds."""
    return Row(
        user,
        user.status == STATUS_ENABLED,
        _expiry(user, now),
        tuple((path, ", ".join(user.permissions[path])) for path in sorted(user.permissions)),
        _bars(user),
        scans.get(user.username),
    )


def _expiry(user: User, now: int) -> str:
    if expired(user.expiration_date, now):
        return "expired"
    return "soon" if 0 < user.expiration_date < now + _SOON else ""


def _bars(user: User) -> tuple[Bar, ...]:
    used, limit = user.used_quota_files, max(0, user.quota_files)
    bars = [Bar("Files", f"{used:,} of {limit:,}" if limit else f"{used:,}", _percent(used, limit))]
    used, limit = user.used_quota_size, max(0, user.quota_size)
    if used or limit:
        bars.append(Bar("Size", f"{size(used)} of {size(limit)}" if limit else size(used), _percent(used, limit)))
    return tuple(bars)


def _percent(used: int, limit: int) -> int | None:
    return min(100, max(0, used) * 100 // limit) if limit else None
