"""The last checks of a login, with many at once."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import attrs
from twisted.conch.interfaces import IConchUser
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.bandwidth import Gates
from sftpgo.avatars.checkers import Authenticated, Refused
from sftpgo.avatars.realm import Realm
from sftpgo.avatars.recovery import Recovery
from sftpgo.avatars.shared import SharedTransfers
from sftpgo.avatars.upload import UploadSettings
from sftpgo.log import Log
from tests.avatars.ground import Ground
from tests.doubles import HeldThreads, run_now


class Transport:
    """What the realm needs of an SSH connection."""

    otherVersionString = b"SSH-2.0-x"

    def __init__(self, number: int) -> None:
        self.sessionID = number.to_bytes(32, "big")
        self.ended: list[str] = []
        self.transport = SimpleNamespace(abortConnection=lambda: self.ended.append("abort"))

    def getPeer(self) -> Any:
        return SimpleNamespace(address=SimpleNamespace(host="127.0.0.1", port=1))

    def loseConnection(self) -> None:
        self.ended.append("lose")


class RealmTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ground = Ground(settings=UploadSettings(1), quota_size=100, upload_bandwidth=5)
        self.addCleanup(self.ground.end)
        self.held = HeldThreads()

    def realm(self, run: Any = None) -> Realm:
        ground = self.ground
        log = Log("sftpd", ground.events)
        run = run or self.held.run
        self.gates = Gates(ground.clock, ground.clock.seconds, per_transfer=False)
        recovery = Recovery(ground.provider, ground.ledgers, (), 1, run, log)
        shared = SharedTransfers(ground.settings, ground.ledgers, self.gates, recovery, ground.clock.seconds)
        return Realm(ground.provider, ground.registry, log, ground.clock.seconds, run, shared)

    def login(self, realm: Realm, number: int, **changes: Any) -> Any:
        user = attrs.evolve(self.ground.user, **changes)
        return realm.requestAvatar(Authenticated(user, "password"), Transport(number), IConchUser)

    def test_two_hundred_racers(self) -> None:
        """All of them are past the check before the first one's home is open: exactly as many as may be get in."""
        realm = self.realm()
        logins = [self.login(realm, number, max_sessions=7) for number in range(200)]
        while self.held.waiting:
            self.held.release()
        refused = [login for login in logins if self.refused(login)]
        self.assertEqual(len(refused), 193)
        self.assertEqual(self.ground.registry.sessions("u"), 7)
        for login in logins:
            if login not in refused:
                _interface, _avatar, logout = self.successResultOf(login)
                logout()
                logout()
        self.assertEqual((self.ground.registry.sessions("u"), len(self.gates._sessions)), (0, 0))
        self.ground.clock.advance(10)
        self.assertEqual(len(self.ground.ledgers._entries), 0)

    def refused(self, login: Any) -> bool:
        results: list[Any] = []
        login.addBoth(lambda result: results.append(result) or result)
        if hasattr(results[0], "check") and results[0].check(Refused):
            login.addErrback(lambda _: None)
            return True
        return False

    def test_a_home_that_cannot_be_opened_gives_all_back(self) -> None:
        realm = self.realm(run_now)
        (self.ground.directory / "file").touch()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            login = self.login(realm, 1, home_dir=str(self.ground.directory / "file" / "home"), max_sessions=1)
            self.failureResultOf(login, Refused)
        self.assertEqual(self.ground.registry.sessions("u"), 0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_told_twice_it_is_cut(self) -> None:
        realm = self.realm(run_now)
        transport = Transport(5)
        avatar = self.successResultOf(realm.requestAvatar(Authenticated(self.ground.user, "x"), transport, IConchUser))
        connection_id = transport.sessionID.hex()
        for _ in range(2):
            self.ground.registry.close(connection_id)
        self.assertEqual(transport.ended, ["lose", "abort"])
        avatar[2]()
