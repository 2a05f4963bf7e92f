"""Without hooks the plain parts serve: what nobody asked for is in nobody's way."""

from __future__ import annotations

from twisted.cred.portal import Portal
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.accounts import Accounts
from sftpgo.avatars.commands import Commands
from sftpgo.avatars.embedded import EmbeddedRealm
from sftpgo.avatars.events import AuthenticationLog
from sftpgo.avatars.guests import GuestProvider
from sftpgo.avatars.hookedlogin import HookedAuthenticationLog, HookedPortal
from sftpgo.avatars.hookedsession import HookedCommands
from sftpgo.avatars.realm import Realm
from sftpgo.config.inline import configured
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.user import User
from sftpgo.embedding import Embedding
from sftpgo.errors import ConfigurationError
from sftpgo.hooks import Event, EventKind, Hooks
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.ssh.authorized_keys import check
from tests.avatars.test_hooked_login import PlainOrHashed


class EmbeddingTests(SynchronousTestCase):
    """Which classes serve."""

    def parts(self, hooks: Hooks | None, filesystem: object = None) -> list[type]:
        embedding = Embedding(hooks, filesystem, Clock())  # type: ignore[arg-type]
        provider, passwords = MemoryProvider(), PlainOrHashed()
        seen = embedding.provider(provider, Accounts(provider, passwords, check_key=check))
        realm = embedding.realm(seen, ConnectionRegistry(), Log("sftpd"), lambda: 0.0, None, None)
        portal = embedding.portal(realm, [], passwords=passwords, clock=lambda: 0.0, users_base_dir="")
        commands = embedding.commands(frozenset(), Clock())
        log = embedding.authentication_log(Log("sftpd"), Metrics())
        return [type(part) for part in (seen, realm, portal, commands, log)]

    def test_nothing(self) -> None:
        plain = [MemoryProvider, Realm, Portal, Commands, AuthenticationLog]
        for hooks in (None, Hooks()):
            self.assertEqual(self.parts(hooks), plain)

    def test_only_what_is_asked_for(self) -> None:
        def hook(_: object) -> None:
            """Answer nothing."""

        plain = [MemoryProvider, Realm, Portal, Commands, AuthenticationLog]
        for hooks, changes in (
            (Hooks(before=hook), {1: EmbeddedRealm, 3: HookedCommands}),
            (Hooks(after=hook), {1: EmbeddedRealm, 3: HookedCommands}),
            (Hooks(event=hook), {1: EmbeddedRealm, 4: HookedAuthenticationLog}),
            (Hooks(check_login=hook), {0: GuestProvider, 2: HookedPortal}),
            (Hooks(make_user=hook), {0: GuestProvider, 2: HookedPortal}),
        ):
            expected = [changes.get(place, part) for place, part in enumerate(plain)]
            self.assertEqual(self.parts(hooks), expected)
        self.assertEqual(self.parts(None, lambda user: None)[1], EmbeddedRealm)

    def test_events_of_accounts(self) -> None:
        """Told after whoever was told before; without the password."""
        events: list[Event] = []
        told: list[tuple[str, User]] = []
        changed = Embedding(Hooks(event=events.append), None, Clock()).user_changed(lambda *what: told.append(what))
        user = User(username="u", password="secret")
        for action in ("add", "update", "delete"):
            changed(action, user)
        self.assertEqual(told, [("add", user), ("update", user), ("delete", user)])
        kinds = [EventKind.USER_ADDED, EventKind.USER_UPDATED, EventKind.USER_DELETED]
        self.assertEqual([(event.kind, event.username) for event in events], [(kind, "u") for kind in kinds])
        self.assertEqual({event.user.password for event in events if event.user}, {""})


class ConfiguredTests(SynchronousTestCase):
    """A configuration in Python."""

    def test_values_and_defaults(self) -> None:
        loaded = configured("etc", sftpd={"bind_port": 2023, "actions": {"execute_on": ["upload"]}}, httpd={})
        self.assertEqual(loaded.config.sftpd.bind_port, 2023)
        self.assertEqual(loaded.config.sftpd.actions.execute_on, ("upload",))
        self.assertEqual(loaded.config.httpd.bind_port, 8080)
        self.assertTrue(loaded.config_dir.endswith("/etc"))
        self.assertIsNone(loaded.path)

    def test_all_faults_at_once(self) -> None:
        error = self.assertRaises(
            ConfigurationError, configured, "/", sftpd={"bind_prot": 1, "bind_port": "x"}, nonsense={"a": 1}
        )
        text = "\n".join(error.problems)
        for part in ("sftpd.bind_prot", "sftpd.bind_port", "nonsense"):
            self.assertIn(part, text)

    def test_the_callers_mapping_stays_the_callers(self) -> None:
        given = {"actions": {"execute_on": ["upload"]}}
        configured("/", sftpd=given)
        self.assertEqual(given, {"actions": {"execute_on": ["upload"]}})
