"""Giving what a user makes to the user's own uid and gid, if the account has any."""

from __future__ import annotations

import os
from collections.abc import Callable

import attrs

from sftpgo.domain.user import User
from sftpgo.storage.location import Location

_KEEP = -1
_LARGEST = 65535


@attrs.frozen
class Ownership:
    """The uid and gid of one account; -1 leaves it as the system made it.

    Only numbers from 1 to 65535 are given away, so that nothing becomes root's by a wrong number in an account.
    """

    uid: int
    gid: int
    warn: Callable[[str], None]

    @classmethod
    def of(cls, user: User, warn: Callable[[str], None]) -> Ownership:
        """What this account asks for."""
        return cls(_usable(user.uid), _usable(user.gid), warn)

    def file(self, descriptor: int) -> None:
        """Of a file that was just made."""
        self._give(lambda: os.fchown(descriptor, self.uid, self.gid))

    def name(self, place: Location) -> None:
        """Of what has this name: a directory, a link (the link itself), a file that was renamed."""
        self._give(lambda: place.chown(self.uid, self.gid))

    def _give(self, change: Callable[[], None]) -> None:
        if self.uid == self.gid == _KEEP:
            return
        try:
            change()
        except OSError as error:
            self.warn(f"could not change an owner to {self.uid}:{self.gid}: {error.strerror}")


def _usable(number: int) -> int:
    return number if 0 < number <= _LARGEST else _KEEP
