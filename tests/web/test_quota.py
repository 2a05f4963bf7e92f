from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.scans import AT_ONCE
from tests.doubles import HeldThreads
from tests.web.talk import Reply, Server, user

PATH = "/api/v1/quota_scan"


class QuotaScanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        (self.home / "a").write_bytes(b"12345")
        (self.home / "d").mkdir()
        (self.home / "d" / "b").write_bytes(b"123")
        (self.home / "link").symlink_to("a")
        self.threads = HeldThreads()
        self.serve(self.threads.run)

    def serve(self, run_in_thread: Callable[..., Any] = maybeDeferred, **options: Any) -> None:
        self.server = Server(run_in_thread=run_in_thread, **options)
        self.server.clock.advance(5)

    def add(self, name: str = "alice", home: str = "") -> None:
        body = user(username=name, home_dir=home or os.path.abspath(self.home))
        self.assertEqual(self.ask("POST", "/api/v1/user", body).status, 200)

    def ask(self, method: str, path: str = PATH, body: object = None) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body)))

    def run_threads(self) -> None:
        while self.threads.waiting:
            self.threads.release()

    def usage(self, name: str = "alice") -> tuple[int, int]:
        found: tuple[int, int] = self.successResultOf(Deferred.fromCoroutine(self.server.provider.used_quota(name)))
        return found

    def said(self) -> str:
        return "\n".join(event.get("text", "") for event in self.server.events)

    def test_scan(self) -> None:
        self.add()
        self.assertEqual(self.ask("GET").body, b"[]\n")
        reply = self.ask("POST", PATH, {"username": "alice"})
        self.assertEqual((reply.status, reply.json), (201, {"error": "", "message": "Scan started", "status": 201}))
        self.assertEqual(self.ask("GET").body, b'[{"username":"alice","start_time":5000,"files":0,"size":0}]\n')
        self.assertEqual(self.usage(), (0, 0))
        self.run_threads()
        self.assertEqual(self.usage(), (2, 8))
        self.assertEqual(self.ask("GET").body, b"[]\n")
        self.assertIn('quota scanned for user "alice": 2 files, 8 bytes', self.said())

    def test_one_per_user(self) -> None:
        self.add()
        self.add("bob")
        self.assertEqual(self.ask("POST", PATH, {"username": "alice"}).status, 201)
        reply = self.ask("POST", PATH, {"USERNAME": "alice"})
        self.assertEqual(
            (reply.status, reply.json),
            (409, {"error": "", "message": "Another scan is already in progress", "status": 409}),
        )
        self.assertEqual(self.ask("POST", PATH, {"username": "bob"}).status, 201)
        self.run_threads()
        self.assertEqual(self.ask("POST", PATH, {"username": "alice"}).status, 201)
        self.run_threads()

    def test_refusals(self) -> None:
        for body, status, text in (
            (b"", 400, "EOF"),
            (b'{"username":', 400, "unexpected EOF"),
            (b"[]", 400, "user: expected an object, got an array"),
            ({"username": 1}, 400, "username: expected a string, got an integer"),
            ({"username": "bob"}, 404, "Not found: username bob does not exist"),
            ({}, 404, "Not found: username  does not exist"),
        ):
            reply = self.ask("POST", PATH, body)
            self.assertEqual((reply.status, reply.json), (status, {"error": text, "message": "", "status": status}))
        self.assertEqual(self.threads.waiting, [])

    def test_quota_that_is_not_kept(self) -> None:
        self.serve(track_quota=False)
        self.add()
        self.assertEqual(self.ask("POST", PATH, {"username": "alice"}).status, 403)

    def test_a_home_that_is_not_there_changes_nothing(self) -> None:
        self.add(home="/no/such/home")
        self.successResultOf(Deferred.fromCoroutine(self.server.provider.update_quota("alice", 3, 4, 1)))
        self.assertEqual(self.ask("POST", PATH, {"username": "alice"}).status, 201)
        self.run_threads()
        self.assertEqual((self.usage(), self.ask("GET").json), ((3, 4), []))
        self.assertIn('the home of user "alice" cannot be scanned', self.said())

    def test_cancel(self) -> None:
        self.add()
        self.ask("POST", PATH, {"username": "alice"})
        reply = self.ask("DELETE", f"{PATH}?username=alice")
        self.assertEqual((reply.status, reply.json["message"]), (200, "Scan cancelled"))
        self.run_threads()
        self.assertEqual((self.usage(), self.ask("GET").json), ((0, 0), []))
        self.assertIn("was cancelled", self.said())
        for query in ("", "?username=", "?username=alice", "?username=nobody"):
            self.assertEqual(self.ask("DELETE", PATH + query).status, 404)

    def test_only_so_many_at_once(self) -> None:
        """The others wait, and are listed; one that is cancelled while it waits never begins."""
        names = [f"u{number}" for number in range(AT_ONCE + 2)]
        for name in names:
            self.add(name)
            self.assertEqual(self.ask("POST", PATH, {"username": name}).status, 201)
        self.assertEqual(len(self.threads.waiting), AT_ONCE)
        self.assertEqual([scan["username"] for scan in self.ask("GET").json], names)
        self.ask("DELETE", f"{PATH}?username={names[-1]}")
        self.run_threads()
        self.assertEqual([self.usage(name) for name in names], [(2, 8)] * (AT_ONCE + 1) + [(0, 0)])

    def test_progress(self) -> None:
        """While the thread counts, the list tells how far it is."""
        for number in range(600):
            (self.home / "d" / str(number)).touch()
        self.add()
        seen: list[dict[str, Any]] = []

        def run(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
            if not callable(args[-1] if args else None):
                return maybeDeferred(function, *args)
            progress = args[-1]

            def watched(files: int, size: int) -> None:
                progress(files, size)
                seen.extend(self.ask("GET").json)

            return maybeDeferred(function, *args[:-1], watched)

        self.server = Server(self.server.provider, run_in_thread=run)
        self.assertEqual(self.ask("POST", PATH, {"username": "alice"}).status, 201)
        counts = [scan["files"] for scan in seen]
        self.assertGreater(len(counts), 2)
        self.assertEqual((counts, counts[-1]), (sorted(counts), 602))

    def test_stop_waits_for_the_threads(self) -> None:
        self.add()
        self.ask("POST", PATH, {"username": "alice"})
        stopping = Deferred.fromCoroutine(self.server.scans.stop())
        self.assertNoResult(stopping)
        self.run_threads()
        self.successResultOf(stopping)
        self.assertEqual(self.usage(), (0, 0))
