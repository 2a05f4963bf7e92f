"""Users whom an embedding program lets in although no data provider knows them."""

from __future__ import annotations

from typing import Any

from twisted.python.components import proxyForInterface

from sftpgo.domain.user import User
from sftpgo.interfaces import IDataProvider

#: Names kept; beyond it the one that logged in longest ago is forgotten, and a line of the log may say so.
_MOST = 10_000

_proxy: Any = proxyForInterface


class GuestProvider(_proxy(IDataProvider, "provider")):  # type: ignore[misc]
    """Another L{IDataProvider}, which is not asked to keep anything about guests.

    What a guest uses is counted in memory while they are logged in, on top of what their record says.
    """

    def __init__(self, provider: Any) -> None:
        super().__init__(provider)
        self._used: dict[str, tuple[int, int]] = {}

    def welcome(self, user: User) -> None:
        """A guest logs in."""
        self._used.pop(user.username, None)
        self._used[user.username] = user.used_quota_files, user.used_quota_size
        if len(self._used) > _MOST:
            del self._used[next(iter(self._used))]

    def known(self, user: User) -> None:
        """The data provider has somebody of this name: it is no guest's any more."""
        self._used.pop(user.username, None)

    async def user_by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{sftpgo.errors.NotFound}."""
        user: User = await self.provider.user_by_name(username)
        self.known(user)
        return user

    async def used_quota(self, username: str) -> tuple[int, int]:
        """Used quota as (files, bytes)."""
        used = self._used.get(username)
        return await self.provider.used_quota(username) if used is None else used

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Store what changed, unless it is a guest's."""
        if username not in self._used:
            await self.provider.update_quota(username, files, size, now, reset)

    async def update_last_login(self, username: str, now: int) -> None:
        """Store it, unless it is a guest's."""
        if username not in self._used:
            await self.provider.update_last_login(username, now)
