"""The realm with an embedding program around it: events of connections, and files of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.interfaces import IConchUser
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.bandwidth import Gates
from sftpgo.avatars.checkers import Authenticated, Refused
from sftpgo.avatars.embedded import EmbeddedRealm
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.hooked import HookedFilesystem
from sftpgo.avatars.own import OwnAvatar
from sftpgo.avatars.recovery import Recovery
from sftpgo.avatars.shared import SharedTransfers
from sftpgo.domain.user import User
from sftpgo.hooks import Event, Hooks
from sftpgo.hooks.calls import HookCalls
from sftpgo.log import Log
from tests.avatars.ground import Ground
from tests.avatars.test_own import Own
from tests.avatars.test_realm import Transport
from tests.doubles import run_now


class EmbeddedRealmTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ground = Ground(max_sessions=1, upload_bandwidth=5)
        self.addCleanup(self.ground.end)
        self.told: list[Event] = []

    def login(self, own_files: Callable[[User], Any] | None = None, number: int = 1, **hooks: Any) -> Any:
        ground = self.ground
        log = Log("sftpd", ground.events)
        self.gates = Gates(ground.clock, ground.clock.seconds, per_transfer=False)
        recovery = Recovery(ground.provider, ground.ledgers, (), 0, run_now, log)
        shared = SharedTransfers(ground.settings, ground.ledgers, self.gates, recovery, ground.clock.seconds)
        calls = HookCalls(Hooks(event=self.told.append, **hooks), ground.clock, log)
        given = (ground.provider, ground.registry, log, ground.clock.seconds, run_now, shared)
        realm = EmbeddedRealm(*given, calls=calls, own_files=own_files)
        return realm.requestAvatar(Authenticated(ground.user, "password"), Transport(number), IConchUser)

    def assertAllGivenBack(self) -> None:
        self.assertEqual(self.ground.registry.sessions("u"), 0)
        self.assertEqual(len(self.gates._sessions), 0)

    def test_events(self) -> None:
        """One at the beginning and one at the end, once; none of a login that is refused."""
        _interface, _avatar, logout = self.successResultOf(self.login())
        self.failureResultOf(self.login(number=2), Refused)  # one session is the limit
        self.assertEqual([str(event.kind) for event in self.told], ["connection_opened"])
        logout()
        self.assertEqual([str(event.kind) for event in self.told], ["connection_opened", "connection_closed"])
        event = self.told[1]
        self.assertEqual((event.username, event.client.address), ("u", "127.0.0.1"))
        self.assertEqual(event.client.connection_id, (1).to_bytes(32, "big").hex())
        self.assertAllGivenBack()

    def test_hooks_only_where_asked_for(self) -> None:
        for hooks, kind in (({}, UserFilesystem), ({"after": lambda _: None}, HookedFilesystem)):
            _interface, avatar, logout = self.successResultOf(self.login(**hooks))
            self.assertIs(type(avatar._files), kind)
            logout()

    def test_own_files(self) -> None:
        """At once, in time, or by a coroutine; nothing is made on the disk."""

        async def later(_: User) -> Own:
            return Own()

        asked: list[User] = []
        self.ground.home.rmdir()
        for make in (lambda user: asked.append(user) or Own(), lambda _: succeed(Own()), later):
            _interface, avatar, logout = self.successResultOf(self.login(make))
            self.assertIsInstance(avatar, OwnAvatar)
            self.assertEqual(self.ground.registry.sessions("u"), 1)
            logout()
            self.assertAllGivenBack()
        self.assertFalse(self.ground.home.exists())
        self.assertEqual((asked[0].username, asked[0].password), ("u", ""))

    def test_none_is_the_home(self) -> None:
        _interface, avatar, logout = self.successResultOf(self.login(lambda _: None))
        self.assertIs(type(avatar._files), UserFilesystem)
        logout()

    def test_no_files(self) -> None:
        """A fault, something else, or no answer: the login is refused, and its session given back."""

        def broken(_: User) -> Any:
            raise ZeroDivisionError

        for make in (broken, lambda _: fail(ZeroDivisionError()), lambda _: object()):
            self.failureResultOf(self.login(make), Refused)
            self.assertAllGivenBack()
        login = self.login(lambda _: Deferred(), time_limit=3)
        self.assertNoResult(login)
        self.assertEqual(self.ground.registry.sessions("u"), 1)
        self.ground.clock.advance(3)
        self.failureResultOf(login, Refused)
        self.assertAllGivenBack()
        self.assertEqual(self.told, [])
