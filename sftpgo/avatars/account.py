"""What one session may use: the user's ledger, which all their sessions share, and the limits as of this login."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import attrs

from sftpgo.domain.quota import Ledger, Limits, Stake


def _nothing() -> None:
    """Nobody has to be told."""


@attrs.define(eq=False)
class Account:
    """Counts what a session does to the files.

    @ivar flush: tells the data provider of what has changed, in the background.
    @ivar began: an upload is open from now on, and C{ended}: it is over; these flush as well.
    @ivar left: the session is over.
    """

    ledger: Ledger = attrs.field(factory=Ledger)
    limits: Limits = attrs.field(factory=Limits)
    flush: Callable[[], None] = _nothing
    began: Callable[[], None] = _nothing
    ended: Callable[[], None] = _nothing
    left: Callable[[], None] = _nothing

    @property
    def limited(self) -> bool:
        """Whether bytes have to be counted before they are written."""
        return self.limits.size > 0

    def require_room(self, *, new_file: bool) -> None:
        """Check before an open for writing; raises L{sftpgo.errors.QuotaExceeded}."""
        self.ledger.require_room(self.limits, new_file=new_file)

    def grow(self, stake: Stake, end: int) -> None:
        """Take the room for bytes up to C{end}; raises L{sftpgo.errors.QuotaExceeded}."""
        self.ledger.grow(stake, end, self.limits)

    def resize(self, status: os.stat_result, size: int) -> None:
        """Count that a file is about to have C{size} bytes; raises L{sftpgo.errors.QuotaExceeded}."""
        if stat.S_ISREG(status.st_mode):
            self.ledger.resize(inode(status), status.st_size, size, self.limits)

    def resized(self, status: os.stat_result, counted: int) -> None:
        """Count the size it has after all, where C{counted} bytes were counted."""
        if stat.S_ISREG(status.st_mode):
            self.ledger.resize(inode(status), counted, status.st_size, Limits())

    def settle_at_last(self, stake: Stake, status: os.stat_result) -> None:
        """Count what a file that was open for writing really has; nothing where its last name is gone meanwhile."""
        self.ledger.settle(stake, status.st_size)
        if not status.st_nlink and stake.linked:
            # Somebody removed it whom nobody here counts, such as rsync.
            self.ledger.unlinked(stake.key, status.st_size)

    def unlinked(self, status: os.stat_result) -> None:
        """Count that a name is gone of what had this status before."""
        if loses_last_name(status):
            self.ledger.unlinked(inode(status), status.st_size)

    def lost(self, status: os.stat_result | None) -> Stake | None:
        """What the quota gets back when a name of what has this status goes."""
        if status is None or not loses_last_name(status):
            return None
        return self.ledger.lookup(inode(status), status.st_size)


def inode(status: os.stat_result) -> tuple[int, int]:
    """What identifies a file, whatever names it has."""
    return status.st_dev, status.st_ino


def loses_last_name(status: os.stat_result) -> bool:
    """Whether the removal of one name is the end of this file."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1
