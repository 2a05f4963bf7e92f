"""One upload from its open to its commit: where its bytes go, what it counts for, and what is left when it fails.

Mode 0 writes into the target itself.  Modes 1 and 2 write to a new file beside it, and the target is not touched
before the one rename that commits.  When such an upload fails, mode 1 removes what has arrived; mode 2 gives it the
target's name if nothing is lost by that: where there is no target, or where all of the target is in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable

import attrs

from sftpgo.avatars.account import Account, inode
from sftpgo.domain.connection import Transfer
from sftpgo.domain.quota import Stake
from sftpgo.errors import QuotaExceeded
from sftpgo.storage.freeing import LetGo, close, takes_long
from sftpgo.storage.upload import Temporary

IN_PLACE, ATOMIC, ATOMIC_RESUMABLE = 0, 1, 2


@attrs.frozen
class UploadSettings:
    """How uploads are done.

    @ivar mode: 0, 1 or 2.
    @ivar fsync: bring each upload to the disk before it is answered as done.
    @ivar digest: compute the SHA-256 of what is uploaded whole and in order.
    """

    mode: int = IN_PLACE
    fsync: bool = False
    digest: bool = False


@attrs.define(eq=False)
class Upload:
    """An upload that is open.

    @ivar descriptor: what is written to; closed by L{commit} and L{fail}.
    @ivar stake: what it counts for in the user's ledger.
    @ivar warn: writes a line to the log.
    @ivar temporary: the file beside the target; None when the target itself is written.
    @ivar directory: a descriptor of the directory, good for C{fsync}, when that was asked for; else -1.
    @ivar replace: the user may replace what stands at the target by the time of the commit.
    @ivar basis: status of the file this one continues, whose content it has so far; None when it starts empty.
    @ivar changed: whether anything was written or set, so that there is something to commit.
    @ivar write_from: writes below are refused: the client asked to append.
    @ivar let_go: closes what may take long to free: L{sftpgo.storage.freeing}.
    """

    descriptor: int
    account: Account
    stake: Stake
    transfer: Transfer
    settings: UploadSettings
    warn: Callable[[str], None]
    temporary: Temporary | None = None
    directory: int = -1
    replace: bool = True
    basis: os.stat_result | None = None
    changed: bool = True
    write_from: int = 0
    let_go: LetGo = os.close

    # While it is open.

    @property
    def whole(self) -> bool:
        """At its open: it starts empty, so that what is written to it is all there will be."""
        return self.basis is None or not self.basis.st_size

    @property
    def floor(self) -> int:
        """Writes below this offset have to be told to L{below}."""
        return self.basis.st_size if self.basis is not None and self.temporary is not None else 0

    def below(self) -> None:
        """Something the file had is overwritten or cut off: it is no continuation any more."""
        self.basis = None

    def grow(self, end: int) -> None:
        """Take room for bytes up to C{end}; raises L{QuotaExceeded}."""
        self.account.grow(self.stake, end)

    def settle(self) -> None:
        """Count the size it really has."""
        self.account.ledger.settle(self.stake, os.fstat(self.descriptor).st_size)

    def require_size(self, size: int) -> None:
        """Before it is cut or extended: take the room; raises L{QuotaExceeded}."""
        self.grow(size)
        if self.basis is not None and size < self.basis.st_size:
            self.below()

    def resize(self, size: int) -> None:
        """Cut or extend it, after L{require_size}."""
        try:
            os.ftruncate(self.descriptor, size)
        finally:
            self.settle()

    # The end.

    def commit(self) -> None:
        """Close it and make it the file the client sees.

        @raise OSError: it is closed, and what is left is as after L{fail}.
        @raise QuotaExceeded: likewise.
        """
        try:
            self._close_descriptor()
            if self.temporary is not None and self.changed:
                self._rename(self.temporary)
        except BaseException:
            self.fail()
            raise
        if self.temporary is not None and not self.changed:
            self._discard(self.temporary)
        self._over()

    def fail(self) -> None:
        """Close it, and leave what this mode leaves of a failed upload."""
        if self.descriptor >= 0:
            # The error that spoilt the upload is the one to report.
            with contextlib.suppress(OSError):
                self._close_descriptor()
        if self.temporary is not None and not self._keep(self.temporary):
            self._discard(self.temporary)
        self._over()

    def _discard(self, temporary: Temporary) -> None:
        try:
            temporary.discard()
        except OSError as error:
            self.warn(f"the temporary file of an upload could not be removed: {error.strerror}")

    def _close_descriptor(self) -> None:
        """Close it, but for the lock that says that its writer lives."""
        descriptor, self.descriptor = self.descriptor, -1
        status: os.stat_result | None = None
        try:
            status = os.fstat(descriptor)
            self._frees_much = takes_long(status)
            self.account.settle_at_last(self.stake, status)
            if self.temporary is not None:
                # Out of descriptors the lock ends here: another server's sweep would have to come in this instant.
                with contextlib.suppress(OSError):
                    self._lock = os.dup(descriptor)
        finally:
            close(descriptor, status, self.let_go)
        if not status.st_nlink:
            raise FileNotFoundError(errno.ENOENT, "The file was removed during the upload")

    _lock: int = attrs.field(init=False, default=-1)
    _frees_much: bool = attrs.field(init=False, default=False)

    def _rename(self, temporary: Temporary) -> None:
        """Take the target's name, in one step with its count."""
        standing = temporary.target()
        lost = self.account.lost(standing)
        ledger = self.account.ledger
        ledger.require_commit(self.stake, lost, self.account.limits)
        temporary.commit(replace=self.replace, standing=standing, let_go=self.let_go)
        if lost is not None:
            ledger.unlinked(lost.key, lost.size)
        ledger.commit(self.stake)

    def _keep(self, temporary: Temporary) -> bool:
        """Give what has arrived the target's name, in mode 2, if that loses nothing."""
        if self.settings.mode != ATOMIC_RESUMABLE or self.stake.linked or not self.changed:
            return False
        try:
            standing = temporary.target()
            if standing is not None and not self._contains(standing):
                return False
            self.replace = standing is not None
            self._rename(temporary)
        except (OSError, QuotaExceeded):
            return False
        return True

    def _contains(self, standing: os.stat_result) -> bool:
        """Whether all of what stands at the target is in this file: it is the one this continues, as it was then."""
        basis = self.basis
        return (
            basis is not None
            and self.replace
            and stat.S_ISREG(standing.st_mode)
            and inode(standing) == inode(basis)
            and (standing.st_size, standing.st_mtime_ns) == (basis.st_size, basis.st_mtime_ns)
        )

    def _over(self) -> None:
        lock, self._lock = self._lock, -1
        if self._frees_much and lock >= 0:
            # Where the file was discarded this is the last that holds it.
            self.let_go(lock)
        else:
            _close_quietly(lock)
        if self.temporary is not None:
            self.temporary.release()
        self.account.ledger.closed(self.stake)
        self.account.ended()

    def close_directory(self) -> None:
        """Let go of L{directory}.  May be called twice."""
        descriptor, self.directory = self.directory, -1
        _close_quietly(descriptor)


def _close_quietly(descriptor: int) -> None:
    """Close what carries no data of its own; nobody could do anything about an error."""
    if descriptor >= 0:
        with contextlib.suppress(OSError):
            os.close(descriptor)
