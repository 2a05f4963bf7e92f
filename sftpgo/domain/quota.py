"""What one user has used of their quota, counted once for all their connections.

Bytes and files count as used when they have a name in the home.  What is written without one (an atomic upload before
its commit, a file removed while it is open) is held: it takes room as well, so that nobody gets past a limit by being
many at once, but it is no usage yet.  All of it happens in one thread, so that check and count are one step.
"""

from __future__ import annotations

from collections.abc import Hashable

import attrs

from sftpgo.errors import QuotaExceeded


@attrs.frozen
class Limits:
    """How much a user may use; 0 or less is no limit.  C{size} in bytes."""

    files: int = 0
    size: int = 0


@attrs.define(eq=False)
class Stake:
    """What one file that is open for writing counts for.

    @ivar key: the inode.
    @ivar size: bytes counted so far, never fewer than are on the disk while a limit holds.
    @ivar linked: it has a name and counts as used; else it is held.
    @ivar credit: held only: the bytes its commit will free.
    @ivar new_file: held only: whether its commit will make one file more.
    @ivar openers: how many handles share it.
    """

    key: Hashable
    size: int = 0
    linked: bool = True
    credit: int = 0
    new_file: bool = False
    openers: int = 1

    def held(self, size: int) -> int:
        """What it holds when it has this size."""
        return 0 if self.linked else max(0, size - self.credit)


@attrs.define(eq=False)
class Ledger:
    """The usage of one user: what the data provider knows, and what it has yet to be told.

    @ivar files: files used, and C{size} bytes used; never negative.
    @ivar held_files: files held, and C{held_size} bytes held.
    @ivar generation: grows with every change of what is used.
    """

    files: int = 0
    size: int = 0
    held_files: int = 0
    held_size: int = 0
    generation: int = 0
    _changed_files: int = attrs.field(init=False, default=0)
    _changed_size: int = attrs.field(init=False, default=0)
    _stakes: dict[Hashable, Stake] = attrs.field(init=False, factory=dict)

    # Between the ledger and the data provider.

    def loaded(self, files: int, size: int) -> None:
        """The data provider says so much is used; changes it was not told of come on top."""
        self.files = max(0, files + self._changed_files)
        self.size = max(0, size + self._changed_size)

    def changes(self) -> tuple[int, int]:
        """Files and bytes the data provider was not told of."""
        return self._changed_files, self._changed_size

    def take_changes(self) -> tuple[int, int]:
        """The same, and they count as told."""
        changes, self._changed_files, self._changed_size = self.changes(), 0, 0
        return changes

    def give_back(self, files: int, size: int) -> None:
        """They could not be told after all."""
        self._changed_files += files
        self._changed_size += size

    def count(self, files: int, size: int) -> None:
        """So much more is used, or less."""
        self.files = max(0, self.files + files)
        self.size = max(0, self.size + size)
        self._changed_files += files
        self._changed_size += size
        self.generation += 1

    def reset(self, files: int, size: int) -> tuple[int, int]:
        """A scan found this beside the files that are open for writing; returns what is used in all."""
        stakes = [stake for stake in self._stakes.values() if stake.linked]
        self.files, self.size = files + len(stakes), size + sum(stake.size for stake in stakes)
        self._changed_files = self._changed_size = 0
        self.generation += 1
        return self.files, self.size

    def open_inodes(self) -> frozenset[Hashable]:
        """The inodes that are open for writing."""
        return frozenset(self._stakes)

    # Limits.

    def require_room(self, limits: Limits, *, new_file: bool) -> None:
        """Check before an open for writing.

        @raise QuotaExceeded: when a limit is reached already.
        """
        if 0 < limits.size <= self.size + self.held_size:
            raise _no_bytes(limits)
        if new_file and 0 < limits.files <= self.files + self.held_files:
            raise _no_files(limits)

    def grow(self, stake: Stake, end: int, limits: Limits) -> None:
        """Take the room for bytes up to C{end}, before they are written.

        @raise QuotaExceeded: when there is none; nothing has changed then.
        """
        if end <= stake.size:
            return
        more = end - stake.size if stake.linked else stake.held(end) - stake.held(stake.size)
        self._require(more, limits)
        self.settle(stake, end)

    def resize(self, key: Hashable, old: int, new: int, limits: Limits) -> None:
        """A file that had C{old} bytes is about to have C{new}.

        @raise QuotaExceeded: when there is no room; nothing has changed then.
        """
        stake = self._stakes.get(key)
        self._require(new - (old if stake is None else stake.size), limits)
        if stake is None:
            self.count(0, new - old)
        else:
            self.settle(stake, new)

    def require_commit(self, stake: Stake, lost: Stake | None, limits: Limits) -> None:
        """Check that a held file may take its name, where C{lost} loses its last one.

        @raise QuotaExceeded: when what it replaces is smaller than what it was given credit for.
        """
        more = stake.size - (lost.size if lost else 0)
        if more > 0 and 0 < limits.size < self.size + self.held_size - stake.held(stake.size) + more:
            raise _no_bytes(limits)
        if lost is None and 0 < limits.files < self.files + self.held_files - stake.new_file + 1:
            raise _no_files(limits)

    def _require(self, more: int, limits: Limits) -> None:
        if more > 0 and 0 < limits.size < self.size + self.held_size + more:
            raise _no_bytes(limits)

    # Files that are open for writing.

    def created(self, key: Hashable) -> Stake:
        """A new empty file with a name."""
        self.count(1, 0)
        return self._enter(Stake(key))

    def opened(self, key: Hashable, size: int) -> Stake:
        """A file that was there, with this size; its other handles share the stake."""
        stake = self._stakes.get(key)
        if stake is None:
            return self._enter(Stake(key, size))
        stake.openers += 1
        return stake

    def held(self, key: Hashable, *, credit: int, new_file: bool) -> Stake:
        """A new empty file without a name of its own."""
        self.held_files += new_file
        return self._enter(Stake(key, 0, linked=False, credit=credit, new_file=new_file))

    def settle(self, stake: Stake, size: int) -> None:
        """The file has this size now."""
        if stake.linked:
            if size != stake.size:
                self.count(0, size - stake.size)
        else:
            self.held_size += stake.held(size) - stake.held(stake.size)
        stake.size = size

    def commit(self, stake: Stake) -> None:
        """A held file has taken its name."""
        self._release(stake)
        stake.linked = True
        self.count(1, stake.size)

    def unlinked(self, key: Hashable, size: int) -> None:
        """A file of this size has lost its last name."""
        stake = self._stakes.get(key)
        if stake is None:
            self.count(-1, -size)
        elif stake.linked:
            self.count(-1, -stake.size)
            stake.linked, stake.credit, stake.new_file = False, 0, False
            self.held_size += stake.size

    def closed(self, stake: Stake) -> None:
        """One handle less."""
        stake.openers -= 1
        if stake.openers:
            return
        self._stakes.pop(stake.key, None)
        if not stake.linked:
            self._release(stake)

    def lookup(self, key: Hashable, size: int) -> Stake:
        """The stake of an inode, or one made up for a file that nobody writes to."""
        return self._stakes.get(key) or Stake(key, size)

    def _enter(self, stake: Stake) -> Stake:
        self._stakes[stake.key] = stake
        return stake

    def _release(self, stake: Stake) -> None:
        self.held_size -= stake.held(stake.size)
        self.held_files -= stake.new_file


def _no_bytes(limits: Limits) -> QuotaExceeded:
    return QuotaExceeded(f"Quota exceeded: no more than {limits.size} bytes may be stored")


def _no_files(limits: Limits) -> QuotaExceeded:
    return QuotaExceeded(f"Quota exceeded: no more than {limits.files} files may be stored")
