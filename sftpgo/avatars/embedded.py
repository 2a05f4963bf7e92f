"""The realm of a server that is part of another program: its hooks, and its own files behind some or all users."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import attrs
from twisted.conch.interfaces import ISFTPServer
from twisted.internet.defer import Deferred

from sftpgo.avatars.account import Account
from sftpgo.avatars.bandwidth import Bandwidth
from sftpgo.avatars.checkers import Authenticated, Refused
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.hooked import Gate, HookedFilesystem
from sftpgo.avatars.hookedlogin import client_on
from sftpgo.avatars.hookedsession import HookedAvatar
from sftpgo.avatars.own import OwnAvatar, OwnSession
from sftpgo.avatars.realm import Realm
from sftpgo.avatars.user import UserAvatar
from sftpgo.domain.permissions import AccessRules
from sftpgo.domain.user import User
from sftpgo.hooks.calls import HookCalls, HookFailed
from sftpgo.hooks.model import Event, EventKind
from sftpgo.storage.confined import Home

#: One's own files for a user who has just logged in, now or later; None for the user's home on the disk.
MakeFiles: TypeAlias = Callable[
    [User], ISFTPServer | Deferred[ISFTPServer | None] | Coroutine[Any, Any, ISFTPServer | None] | None
]


@attrs.define(eq=False)
class EmbeddedRealm(Realm):
    """Makes avatars with hooks around them.

    @ivar own_files: makes what a user sees as C{/}.
    """

    calls: HookCalls = attrs.field(kw_only=True)
    own_files: MakeFiles | None = attrs.field(kw_only=True, default=None)

    async def _avatar(self, found: Authenticated, transport: Any) -> tuple[Any, Any, Callable[[], None]]:
        interface, avatar, logout = await super()._avatar(found, transport)
        user, client = found.user.without_password(), client_on(transport)

        def leave() -> None:
            try:
                logout()
            finally:
                self.calls.event(Event(EventKind.CONNECTION_CLOSED, user.username, user, client))

        self.calls.event(Event(EventKind.CONNECTION_OPENED, user.username, user, client))
        return interface, avatar, leave

    async def _enter(self, user: User, connection_id: str) -> Any:
        own = await self._own(user)
        if own is None:
            return await super()._enter(user, connection_id)
        session = OwnSession(
            user,
            AccessRules(user.permissions),
            self._journal(user, connection_id),
            self.shared.gates.enter(user),
            Gate(self.calls, self.shared.steady, lambda: session.over),
        )
        return OwnAvatar(own, session)

    async def _own(self, user: User) -> ISFTPServer | None:
        if self.own_files is None:
            return None
        try:
            made = await self.calls.files(self.own_files, user.without_password())
            return None if made is None else ISFTPServer(made)
        except (HookFailed, TypeError) as error:  # zope's "Could not adapt" is a TypeError
            raise Refused(f'user "{user.username}" has no file system: {error}') from error

    def _files(
        self, user: User, home: Home, connection_id: str, account: Account, bandwidth: Bandwidth
    ) -> UserFilesystem:
        files = super()._files(user, home, connection_id, account, bandwidth)
        if not self.calls.hooks.on_operations:
            return files
        given = {field.name: getattr(files, field.name) for field in attrs.fields(UserFilesystem) if field.init}
        return HookedFilesystem(**given, calls=self.calls)

    def _make(self, files: UserFilesystem, connection_id: str) -> UserAvatar:
        if not isinstance(files, HookedFilesystem):
            return super()._make(files, connection_id)
        return HookedAvatar(files, self.registry, connection_id, self.shared.steady, self.commands)
