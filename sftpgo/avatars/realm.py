"""From who it is to what they may use: the last checks of a login, and the avatar."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.interfaces import IConchUser
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.account import Account
from sftpgo.avatars.bandwidth import Bandwidth
from sftpgo.avatars.checkers import Authenticated, Refused
from sftpgo.avatars.commands import Commands
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.shared import SharedTransfers
from sftpgo.avatars.transfer import RunInThread
from sftpgo.avatars.user import UserAvatar
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.filters import address_allowed
from sftpgo.domain.permissions import AccessRules
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError
from sftpgo.interfaces import IDataProvider
from sftpgo.log import Log
from sftpgo.storage.confined import Home


@attrs.define(eq=False)
@implementer(IRealm)
class Realm:
    """Makes avatars.

    @ivar provider: an L{IDataProvider}, told of each login.
    @ivar registry: counts sessions and lists connections.
    @ivar clock: seconds since the epoch.
    @ivar shared: what all sessions share about transfers.
    @ivar commands: what clients may run by C{exec}; nothing when not given.
    """

    provider: Any
    registry: ConnectionRegistry
    log: Log
    clock: Callable[[], float]
    run_in_thread: RunInThread
    shared: SharedTransfers
    setstat_ignored: bool = False
    commands: Commands | None = None

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Deferred[Any]:
        """The avatar for somebody L{Authenticated}; C{mind} is the SSH transport it happened on.

        @raise Refused: for a forbidden address, too many sessions, a home that cannot be used.
        """
        if IConchUser not in interfaces:
            raise NotImplementedError("only an IConchUser can be had here")
        return Deferred.fromCoroutine(self._avatar(avatarId, mind))

    async def _avatar(self, found: Authenticated, transport: Any) -> tuple[Any, Any, Callable[[], None]]:
        user = found.user
        peer = transport.getPeer().address
        if not address_allowed(user.filters, peer.host):
            raise Refused(f'login is not allowed for user "{user.username}" from {peer.host}')
        connection_id = transport.sessionID.hex()
        now = int(self.shared.steady() * 1000)
        self.registry.opened(
            connection_id,
            client_version=transport.otherVersionString.decode("utf-8", "backslashreplace"),
            remote_address=_address(peer),
            close=_Closing(transport).close,
            now=now,
        )
        try:
            self._take_session(user, connection_id, now)
            avatar = await self._enter(user, connection_id)
        except BaseException:
            self.registry.closed(connection_id)
            raise
        self._welcome(found, connection_id, peer)
        return IConchUser, avatar, avatar.logout

    def _take_session(self, user: User, connection_id: str, now: int) -> None:
        if not self.registry.try_login(connection_id, user.username, user.max_sessions, now):
            raise Refused(f'user "{user.username}" has too many sessions, limit: {user.max_sessions}')

    async def _enter(self, user: User, connection_id: str) -> Any:
        """The avatar of somebody who has a session."""
        home = await self._home(user)
        try:
            account, bandwidth = await self.shared.enter(user, home)
        except BaseException:
            home.close()
            raise
        return self._make(self._files(user, home, connection_id, account, bandwidth), connection_id)

    def _make(self, files: UserFilesystem, connection_id: str) -> UserAvatar:
        return UserAvatar(files, self.registry, connection_id, self.shared.steady, self.commands)

    async def _home(self, user: User) -> Home:
        if not os.path.isabs(user.home_dir):
            raise Refused(f'user "{user.username}" has no absolute home directory')
        try:
            home: Home = await self.run_in_thread(_open_home, user)
        except OSError as error:
            raise Refused(f'the home of user "{user.username}" cannot be used: {error.strerror}') from error
        return home

    def _files(
        self, user: User, home: Home, connection_id: str, account: Account, bandwidth: Bandwidth
    ) -> UserFilesystem:
        return UserFilesystem(
            user,
            home,
            AccessRules(user.permissions),
            self._journal(user, connection_id),
            self.clock,
            self.run_in_thread,
            self.setstat_ignored,
            self.shared.uploads,
            account,
            bandwidth,
        )

    def _journal(self, user: User, connection_id: str) -> Journal:
        return Journal(user, connection_id, self.registry, self.log, self.shared.steady, audience=self.shared.audience)

    def _welcome(self, found: Authenticated, connection_id: str, peer: Any) -> None:
        user = found.user
        now = int(self.clock() * 1000)
        self.log.info(
            f'User id: {user.id}, logged in with: "{found.method}", username: "{user.username}", '
            f'home_dir: "{user.home_dir}" remote addr: "{_address(peer)}"',
            connection_id=connection_id,
        )
        remembered: Deferred[None] = Deferred.fromCoroutine(_remember(IDataProvider(self.provider), user.username, now))
        remembered.addErrback(self._not_remembered, user.username, connection_id)

    def _not_remembered(self, failure: Failure, username: str, connection_id: str) -> None:
        text = f'the last login of user "{username}" could not be stored'
        if failure.check(ProviderError):
            self.log.warn(f"{text}: {failure.value}", connection_id=connection_id)
        else:
            self.log.failure(text, failure, connection_id=connection_id)


class _Closing:
    """Ends a connection from the server's side: politely when told first, at once when told again."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._told = False

    def close(self) -> None:
        """End it; what is to be sent still is, unless the client does not take it."""
        if self._told:
            self._transport.transport.abortConnection()
        else:
            self._told = True
            self._transport.loseConnection()


async def _remember(provider: Any, username: str, now: int) -> None:
    await provider.update_last_login(username, now)


def _open_home(user: User) -> Home:
    """Open the home, making it with its parents when it is not there; runs in a thread."""
    try:
        return Home.open(os.fsencode(user.home_dir))
    except FileNotFoundError:
        os.makedirs(user.home_dir, mode=0o777, exist_ok=True)
    uid = user.uid if 0 < user.uid <= 65535 else -1
    gid = user.gid if 0 < user.gid <= 65535 else -1
    if (uid, gid) != (-1, -1) and os.geteuid() == 0:
        os.chown(user.home_dir, uid, gid)
    return Home.open(os.fsencode(user.home_dir))


def _address(peer: Any) -> str:
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    return f"{host}:{peer.port}"
