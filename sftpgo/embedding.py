"""What an embedding program adds to the server, and where it goes in; a server by itself has none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.portal import Portal

from sftpgo.avatars.commands import Commands
from sftpgo.avatars.embedded import EmbeddedRealm, MakeFiles
from sftpgo.avatars.events import AuthenticationLog
from sftpgo.avatars.guests import GuestProvider
from sftpgo.avatars.hookedlogin import HookedAuthenticationLog, HookedPortal, Judges
from sftpgo.avatars.hookedsession import HookedCommands
from sftpgo.avatars.realm import Realm
from sftpgo.domain.user import User
from sftpgo.hooks import Event, EventKind, Hooks
from sftpgo.hooks.calls import HookCalls
from sftpgo.log import Log
from sftpgo.metrics import Metrics

__all__ = ["Embedding", "MakeFiles"]

_KINDS = {"add": EventKind.USER_ADDED, "update": EventKind.USER_UPDATED, "delete": EventKind.USER_DELETED}

UserChanged = Callable[[str, User], None]


class Embedding:
    """Makes the parts that hooks and one's own files concern; the plain ones where there are none.

    @param clock: an C{IReactorTime}, for the hooks' time limit.
    """

    def __init__(self, hooks: Hooks | None, own_files: MakeFiles | None, clock: Any) -> None:
        self._hooks = hooks or Hooks()
        self._own_files = own_files
        self._log = Log("hooks")
        self._calls = HookCalls(self._hooks, clock, self._log)
        self._guests: GuestProvider | None = None
        self._accounts: Any = None

    def provider(self, provider: Any, accounts: Any) -> Any:
        """The data provider as logins and transfers see it; C{accounts} keep what a hook makes."""
        self._accounts = accounts
        if self._hooks.check_login is None and self._hooks.make_user is None:
            return provider
        self._guests = GuestProvider(provider)
        return self._guests

    def user_changed(self, tell: UserChanged) -> UserChanged:
        """Whom changes of accounts are told."""
        if self._hooks.event is None:
            return tell

        def changed(action: str, user: User) -> None:
            tell(action, user)
            self._calls.event(Event(_KINDS[action], user.username, user.without_password()))

        return changed

    def realm(self, *given: Any, **named: Any) -> Realm:
        """What makes the avatars."""
        if self._own_files is None and not self._hooks.on_operations and self._hooks.event is None:
            return Realm(*given, **named)
        return EmbeddedRealm(*given, **named, calls=self._calls, own_files=self._own_files)

    def commands(self, *given: Any, **named: Any) -> Commands:
        """What clients may run."""
        return (HookedCommands if self._hooks.on_operations else Commands)(*given, **named)

    def portal(
        self,
        realm: Any,
        checkers: Any,
        *,
        passwords: Any,
        clock: Callable[[], float],
        users_base_dir: str,
    ) -> Portal:
        """What is asked to log somebody in."""
        if self._guests is None:
            return Portal(realm, checkers)
        judges = Judges(self._calls, self._accounts, passwords, self._guests, clock, self._log, users_base_dir)
        return HookedPortal(realm, checkers, judges)

    def authentication_log(self, log: Log, metrics: Metrics) -> AuthenticationLog:
        """Who hears how logins go."""
        if self._hooks.event is None:
            return AuthenticationLog(log, metrics)
        return HookedAuthenticationLog(log, metrics, self._calls)

    async def stop(self, grace: float) -> None:
        """Let the hooks end that are being told of something, within C{grace} seconds."""
        await self._calls.stop(grace)
