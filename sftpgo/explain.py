"""Which rule decides on a request: the account as it is stored, the path as it leads in the home."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

import attrs
from zope.interface import implementer

from sftpgo.domain.explain import ON_NAMES, OPERATIONS, Found, Verdict, explain
from sftpgo.domain.paths import canonical, from_wire, to_wire
from sftpgo.interfaces import IDataProvider, IExplainer
from sftpgo.storage.confined import Home


@implementer(IExplainer)
@attrs.define(eq=False)
class Explainer:
    """L{IExplainer} over the data provider and the homes.

    @ivar run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    @ivar clock: seconds since the epoch.
    @ivar quota: whether limits hold at all.
    """

    provider: IDataProvider
    run_in_thread: Callable[..., Any]
    clock: Callable[[], float]
    quota: bool = True

    async def explain(self, username: str, operation: str, path: str, ip: str = "") -> Verdict:
        """Judge a request of a user.

        @raise NotFound: for an unknown user.
        @raise ValueError: for an operation, a path or an address that is none.
        """
        user = await self.provider.user_by_name(username)
        wire = to_wire(canonical(path))
        found = Found(path)
        if operation in OPERATIONS:
            found = await self.run_in_thread(_look, user.home_dir, wire, operation not in ON_NAMES)
        return explain(user, operation, found, ip, int(self.clock() * 1000), quota=self.quota)


def _look(home_dir: str, path: bytes, follow: bool) -> Found:
    """What is there; where nobody can look, the path as it is written.  In a thread."""
    try:
        home = Home.open(os.fsencode(home_dir))
    except OSError:
        return Found(from_wire(path))  # it is made at the first login
    try:
        with home.locate(path, follow=follow) as place:
            canonical_path = from_wire(place.path)
            try:
                status = place.stat()
            except OSError:
                return Found(canonical_path)
            return Found(canonical_path, True, stat.S_ISDIR(status.st_mode))
    except OSError:
        return Found(from_wire(path))
    finally:
        home.close()
