"""After a server was killed: the temporary files its uploads left, and the usage it could not store any more.

And the usage of which nobody knows whether a data provider that fell silent has stored it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred

from sftpgo.avatars.accounting import Ledgers
from sftpgo.avatars.upload import ATOMIC_RESUMABLE, IN_PLACE
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, SFTPGoError
from sftpgo.interfaces import IDataProvider
from sftpgo.log import Log
from sftpgo.storage.confined import Home
from sftpgo.storage.sweep import Swept, sweep


class Recovery:
    """Looks after the users a killed server was busy with, at start; and after each user once, at a login.

    @param names: the users who were not settled when the last server ended.
    @param mode: how uploads are done: in mode 2 what has arrived is kept where that loses nothing.
    """

    def __init__(
        self,
        provider: Any,
        ledgers: Ledgers,
        names: Iterable[str],
        mode: int,
        run_in_thread: Callable[..., Deferred[Any]],
        log: Log,
    ) -> None:
        self._provider = IDataProvider(provider)
        self._ledgers = ledgers
        self._names = set(names)
        self._seen: set[str] = set()
        self._mode = mode
        self._run_in_thread = run_in_thread
        self._log = log
        self._stopped = False

    async def at_start(self) -> None:
        """Look after all of them, one after the other; who cannot be looked after now is at the next login."""
        for name in sorted(self._names):
            if self._stopped:
                return
            try:
                user = await self._provider.user_by_name(name)
            except NotFound:
                self._names.discard(name)
                self._ledgers.forget(name)
                continue
            except SFTPGoError as error:
                self._log.warn(f'user "{name}" is looked after at the next login: {error}')
                continue
            await self._recover(user)

    def stop(self) -> None:
        """Begin nothing more, and end what is under way."""
        self._stopped = True

    async def at_login(self, user: User, home: Home) -> None:
        """What is left of the user's broken uploads is gone afterwards.

        For somebody the last server was busy with this is waited for, since it may name files; for others it is done
        in the background, once, and only where uploads are atomic.
        """
        if user.username in self._names:
            try:
                await self._sweep(user, home)
            except OSError as error:
                self._log.warn(f'the home of user "{user.username}" cannot be looked through: {error.strerror}')
            self._in_background(self._recover(user))
        elif self._mode != IN_PLACE and user.username not in self._seen:
            self._in_background(self._sweep_counted(user))
        self._seen.add(user.username)

    def recount(self, username: str) -> None:
        """Count a home anew, in the background: nobody knows whether the data provider took a change of its usage."""
        if not self._stopped:
            self._in_background(self._count_anew(username))

    async def _count_anew(self, username: str) -> None:
        try:
            await self._with_home(await self._provider.user_by_name(username), self._scan_doubtful)
        except NotFound:
            self._ledgers.forget(username)
        except (OSError, SFTPGoError) as error:
            self._names.add(username)
            self._log.warn(
                f'the usage of user "{username}" cannot be counted anew now, the next login tries again: '
                f"{_reason(error)}"
            )

    async def _scan_doubtful(self, user: User, home: Home) -> None:
        usage = await self._ledgers.rescan(user, home, lambda _files, _size: self._check())
        self._log.info(
            f'usage of user "{user.username}" counted anew, since the data provider did not say whether it had '
            f"stored a change: {usage.files} files, {usage.size} bytes"
        )

    def _in_background(self, work: Any) -> None:
        Deferred.fromCoroutine(work).addErrback(
            lambda failure: self._log.failure("looking after a killed server's uploads failed", failure)
        )

    async def _recover(self, user: User) -> None:
        """Sweep the home, then count anew what is in it."""
        name = user.username
        if name not in self._names:
            return
        self._names.discard(name)
        try:
            await self._with_home(user, self._sweep_and_scan)
        except (OSError, SFTPGoError) as error:
            self._names.add(name)
            self._log.warn(f'user "{name}" cannot be looked after now, the next login tries again: {_reason(error)}')
        else:
            self._seen.add(name)
            self._ledgers.looked_after(name)

    async def _sweep_and_scan(self, user: User, home: Home) -> None:
        await self._sweep(user, home)
        if self._ledgers.tracks(user):
            usage = await self._ledgers.rescan(user, home, lambda _files, _size: self._check())
            self._log.info(
                f'usage of user "{user.username}" counted anew after an unclean end: '
                f"{usage.files} files, {usage.size} bytes"
            )

    async def _sweep_counted(self, user: User) -> None:
        async def swept(user: User, home: Home) -> None:
            found = await self._sweep(user, home)
            if found.kept:
                self._ledgers.kept(user, found.kept, found.kept_size)

        try:
            await self._with_home(user, swept)
        except OSError as error:
            self._log.warn(f'the home of user "{user.username}" cannot be looked through: {error.strerror}')

    def _check(self) -> None:
        """In a thread: whether to go on."""
        if self._stopped:
            raise InterruptedError(errno.EINTR, "the server is being stopped")

    async def _with_home(self, user: User, work: Callable[[User, Home], Any]) -> None:
        """The work may outlast a session, so it has a home of its own."""
        home: Home = await self._run_in_thread(Home.open, os.fsencode(user.home_dir))
        try:
            await work(user, home)
        finally:
            home.close()

    async def _sweep(self, user: User, home: Home) -> Swept:
        keep = self._mode == ATOMIC_RESUMABLE
        found: Swept = await self._run_in_thread(_sweep, home, keep, self._check)
        if found.removed or found.kept or found.failed:
            self._log.info(
                f'broken uploads of user "{user.username}": {found.removed} removed, {found.kept} kept, '
                f"{found.failed} could not be dealt with"
            )
        return found


def _sweep(home: Home, keep: bool, check: Callable[[], None]) -> Swept:
    return sweep(home, keep=keep, check=check)


def _reason(error: Exception) -> str:
    return error.strerror or "?" if isinstance(error, OSError) else str(error)
