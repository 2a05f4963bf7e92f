"""A store that is only read: somebody's own accounts, say, behind a view that shows them as users."""

from __future__ import annotations

from typing import Any

from twisted.python.components import proxyForInterface

from sftpgo.interfaces import IDataProvider

_proxy: Any = proxyForInterface


class ReadOnlyProvider(_proxy(IDataProvider, "provider")):  # type: ignore[misc]
    """Another L{IDataProvider}, where what the server writes by itself is left out.

    Changes of users are refused before they come here: C{manage_users} is 0.
    """

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        """Leave the used quota as it is."""

    async def update_last_login(self, username: str, now: int) -> None:
        """Leave the last login as it is."""
