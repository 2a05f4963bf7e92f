from __future__ import annotations

import base64
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.log import Log
from sftpgo.web.authenticate import Authentication
from sftpgo.web.failures import LIMIT, MAX_ADDRESSES, WINDOW, Failures
from tests.doubles import HeldThreads
from tests.web.talk import Received, Reply, Server, Wire, head

PATH = "/api/v1/user"


class Users:
    """A file in memory, whose hashes are the passwords."""

    def __init__(self, **hashes: str) -> None:
        self.hashes = hashes
        self.checked: list[tuple[str, bytes]] = []

    def hash_of(self, username: str) -> tuple[str, bool]:
        return self.hashes.get(username, "nobody's"), username in self.hashes

    def matches(self, stored: str, password: bytes) -> bool:
        self.checked.append((stored, password))
        return stored.encode() == password


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class AuthenticationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = HeldThreads()
        self.clock = Clock()
        self.users = Users(alice="s:cret", bob="other")
        self.said: list[Any] = []
        log = Log("httpd", self.said.append)
        self.authentication = Authentication(self.users, self.users.matches, self.threads.run, self.clock.seconds, log)
        self.server = Server(clock=self.clock, authentication=self.authentication, bind_address="")

    def ask(self, method: str = "GET", path: str = PATH, client: Any = None, **headers: str) -> Reply:
        wire = Wire(self.server.site, client or IPv4Address("TCP", "192.0.2.1", 5))
        wire.send(head(method, path, headers))
        self.run_threads()
        return Received(wire.value()).reply(method)

    def run_threads(self) -> None:
        while self.threads.waiting:
            self.threads.release()

    def login(self, username: str, password: str, **options: Any) -> int:
        return self.ask(Authorization=basic(username, password), **options).status

    def test_nothing_is_served_without(self) -> None:
        for method, path in (("GET", PATH), ("GET", "/metrics"), ("GET", "/docs"), ("GET", "/nothing"),
                             ("DELETE", f"{PATH}/1"), ("OPTIONS", PATH), ("HEAD", PATH)):  # fmt: skip
            reply = self.ask(method, path)
            self.assertEqual((method, path, reply.status), (method, path, 401))
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Basic realm="sftpgo", charset="UTF-8"')

    def test_good_ones(self) -> None:
        self.assertEqual((self.login("alice", "s:cret"), self.login("bob", "other")), (200, 200))

    def test_bad_ones(self) -> None:
        for username, password in (
            ("alice", "other"),
            ("alice", ""),
            ("", ""),
            ("carl", "nobody's"),
            ("ALICE", "s:cret"),
        ):
            self.assertEqual(self.login(username, password), 401)
        self.assertEqual(len(self.users.checked), 5)  # an unknown user costs as much
        self.assertEqual(len(self.said), 5)
        self.assertNotIn("s:cret", repr(self.said))

    def test_malformed_headers(self) -> None:
        good = basic("alice", "s:cret")
        for value in ("", "Basic", "Basic !", "Basic YWxpY2U=", "Bearer x", good[:-3], "Basic /zo=", f"{good} x"):
            self.assertEqual(self.ask(Authorization=value).status, 401)
        self.assertEqual(self.ask(Authorization=f"{good}\r\nAuthorization: {good}").status, 401)
        self.assertEqual(self.users.checked, [])
        self.assertEqual(self.ask(Authorization=good.replace("Basic", "bAsIc")).status, 200)

    def test_a_good_password_is_hashed_once(self) -> None:
        for _ in range(20):
            self.assertEqual(self.login("alice", "s:cret"), 200)
        self.assertEqual(len(self.users.checked), 1)
        self.clock.advance(301)
        self.assertEqual(self.login("alice", "s:cret"), 200)
        self.assertEqual(len(self.users.checked), 2)

    def test_a_changed_file_counts_within_a_second(self) -> None:
        self.login("alice", "s:cret")
        self.users.hashes["alice"] = "new"
        self.clock.advance(1)
        self.assertEqual((self.login("alice", "s:cret"), self.login("alice", "new")), (401, 200))
        del self.users.hashes["alice"]
        self.clock.advance(1)
        self.assertEqual(self.login("alice", "new"), 401)

    def test_limit_of_failures(self) -> None:
        for _ in range(LIMIT):
            self.assertEqual(self.login("alice", "wrong"), 401)
        reply = self.ask(Authorization=basic("alice", "s:cret"))
        self.assertEqual((reply.status, reply.headers["Retry-After"]), (429, str(int(WINDOW))))
        self.assertEqual(len(self.users.checked), LIMIT)
        # Somebody else is not concerned, and later nobody is.
        self.assertEqual(self.login("bob", "other", client=IPv4Address("TCP", "192.0.2.2", 5)), 200)
        self.clock.advance(WINDOW)
        self.assertEqual(self.login("alice", "s:cret"), 200)

    def test_who_is_in_stays_in(self) -> None:
        self.login("alice", "s:cret")
        for _ in range(LIMIT + 1):
            self.login("alice", "wrong")
        self.assertEqual(self.login("alice", "s:cret"), 200)

    def test_many_at_once_are_no_way_around(self) -> None:
        wires = [Wire(self.server.site) for _ in range(LIMIT * 3)]
        for number, wire in enumerate(wires):
            wire.send(head("GET", PATH, {"Authorization": basic("alice", f"guess{number}")}))
        self.run_threads()
        statuses = [Received(wire.value()).reply().status for wire in wires]
        self.assertEqual((statuses.count(401), statuses.count(429)), (LIMIT, LIMIT * 2))
        self.assertEqual(len(self.users.checked), LIMIT)

    def test_a_client_that_goes_while_it_is_checked(self) -> None:
        for password in ("s:cret", "wrong"):
            wire = Wire(self.server.site)
            wire.send(head("DELETE", f"{PATH}/1", {"Authorization": basic("alice", password)}))
            wire.hang_up()
            self.run_threads()
            self.assertEqual(wire.value(), b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_the_host_is_judged_first(self) -> None:
        self.server = Server(clock=self.clock, authentication=self.authentication)
        self.assertEqual(self.ask(Host="evil.example").status, 403)


class FailuresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.failures = Failures(self.clock.seconds)

    def fail_times(self, address: str, times: int = LIMIT) -> None:
        for _ in range(times):
            self.failures.began(address)

    def test_window(self) -> None:
        self.fail_times("a", LIMIT - 1)
        self.clock.advance(10)
        self.assertEqual(self.failures.wait("a"), 0)
        self.failures.began("a")
        self.assertEqual(self.failures.wait("a"), WINDOW - 10)
        self.clock.advance(WINDOW - 10)
        self.assertEqual(self.failures.wait("a"), 0)

    def test_success_does_not_count(self) -> None:
        for _ in range(LIMIT * 2):
            self.failures.began("a")
            self.failures.succeeded("a")
        self.assertEqual(self.failures.wait("a"), 0)

    def test_one_client_has_a_whole_network_of_ipv6(self) -> None:
        for number in range(LIMIT):
            self.failures.began(f"2001:db8::{number}")
        self.assertGreater(self.failures.wait("2001:db8::ffff:1"), 0)
        self.assertEqual(self.failures.wait("2001:db8:0:1::1"), 0)

    def test_memory_is_bounded(self) -> None:
        for number in range(MAX_ADDRESSES + 50):
            self.failures.began(str(number))
        self.assertEqual(len(self.failures._times), MAX_ADDRESSES)
