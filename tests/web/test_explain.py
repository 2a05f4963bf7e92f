from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.web.talk import Reply, Server, user

PATH = "/api/v1/explain"


class ExplainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        (self.home / "d" / "inner").mkdir(parents=True)
        (self.home / "d" / "f").write_text("x")
        (self.home / "link").symlink_to("d")
        self.server = Server()
        self.server.clock.advance(1000)
        self.ask("POST", "/api/v1/user", user(status=1, home_dir=str(self.home), permissions={
            "/": ["*"], "/d": ["list", "download"], "/d/own": ["upload"],
        }))  # fmt: skip

    def ask(self, method: str, path: str, body: object = None) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body)))

    def verdict(self, operation: str, path: str, ip: str = "", username: str = "alice") -> dict[str, Any]:
        reply = self.ask("GET", f"{PATH}?username={username}&operation={operation}&path={path}&ip={ip}")
        self.assertEqual(reply.status, 200, reply.body)
        found: dict[str, Any] = reply.json
        return found

    def decided(self, operation: str, path: str, **options: str) -> tuple[bool, str, str]:
        verdict = self.verdict(operation, path, **options)
        return verdict["allowed"], verdict["rule"], verdict["directory"]

    def test_nearest_entry(self) -> None:
        self.assertEqual(
            self.verdict("delete", "/d/f"),
            {
                "allowed": False,
                "rule": "permissions",
                "reason": '"delete" is not granted on /d: the entry of /d decides',
                "operation": "delete",
                "path": "/d/f",
                "directory": "/d",
                "permissions": ["download", "list"],
            },
        )
        self.assertEqual(self.verdict("delete", "/f")["permissions"], ["*"])
        for operation, path, allowed, entry in (
            ("delete", "/d/inner/x/y", False, "/d"),
            ("download", "/d/inner/x", True, "/d"),
            ("upload", "/d/own/x", True, "/d/own"),
            ("list", "/d/own", False, "/d/own"),
            ("stat", "/d/own", True, "/d"),
            ("delete", "/d", True, "/"),
            ("upload", "/d/../x", True, "/"),
            ("list", "/", True, "/"),
        ):
            self.assertEqual(self.decided(operation, path), (allowed, "permissions", entry), (operation, path))

    def test_links_are_followed(self) -> None:
        self.assertEqual(self.verdict("download", "/link/f")["path"], "/d/f")
        self.assertEqual(self.decided("upload", "/link/new"), (False, "permissions", "/d"))
        self.assertEqual(self.verdict("list", "/link")["path"], "/d")
        self.assertEqual(self.verdict("delete", "/link")["path"], "/link")

    def test_what_is_there_counts(self) -> None:
        self.assertEqual(self.verdict("upload", "/d/f")["operation"], "overwrite")
        self.assertEqual(self.verdict("upload", "/d/g")["operation"], "upload")
        # Of a directory the attributes are judged where it lies, of a file on its own path.
        self.assertEqual(self.decided("chmod", "/d"), (True, "permissions", "/"))
        self.assertEqual(self.decided("chmod", "/d/f"), (False, "permissions", "/d"))

    def test_the_home_itself(self) -> None:
        for operation in ("rename", "delete", "create_dirs", "create_symlinks"):
            self.assertEqual(self.decided(operation, "/"), (False, "permissions", "/"))

    def change(self, **fields: object) -> None:
        self.assertEqual(self.ask("PUT", "/api/v1/user/1", fields).status, 200)

    def test_login(self) -> None:
        self.change(filters={"denied_ip": ["10.0.0.0/8"]})
        self.assertEqual(self.decided("list", "/"), (True, "permissions", "/"))
        self.assertEqual(self.decided("list", "/", ip="192.168.0.1"), (True, "permissions", "/"))
        self.assertEqual(self.decided("list", "/", ip="10.1.2.3"), (False, "filters", ""))
        self.change(expiration_date=999_999)
        self.assertEqual(self.decided("list", "/", ip="10.1.2.3"), (False, "expiration_date", ""))
        self.change(status=0)
        self.assertEqual(self.decided("list", "/"), (False, "status", ""))

    def test_quota(self) -> None:
        self.change(quota_files=2, quota_size=10)
        provider = self.server.provider
        self.successResultOf(Deferred.fromCoroutine(provider.update_quota("alice", 2, 9, 1)))
        self.assertEqual(self.decided("upload", "/x"), (False, "quota", ""))
        (self.home / "x").write_text("")
        self.assertEqual(self.decided("upload", "/x"), (True, "permissions", "/"))
        self.successResultOf(Deferred.fromCoroutine(provider.update_quota("alice", 0, 1, 1)))
        self.assertEqual(self.decided("upload", "/x"), (False, "quota", ""))
        # What is forbidden anyway is not said to be a matter of space.
        self.assertEqual(self.decided("upload", "/d/f"), (False, "permissions", "/d"))

    def test_a_home_that_is_not_there_yet(self) -> None:
        self.change(home_dir="/no/such/home")
        self.assertEqual(self.decided("upload", "/d/x"), (False, "permissions", "/d"))

    def test_refusals(self) -> None:
        for query, status in (
            ("", 404),
            ("username=bob&operation=list&path=/", 404),
            ("username=alice", 400),
            ("username=alice&operation=LIST&path=/", 400),
            ("username=alice&operation=*&path=/", 400),
            ("username=alice&operation=list&path=/%00", 400),
            ("username=alice&operation=list&path=/%FF", 400),
            ("username=alice&operation=list&path=/&ip=nowhere", 400),
            ("username=alice&operation=list&path=/&ip=10.0.0.1:22", 400),
        ):
            self.assertEqual((query, self.ask("GET", f"{PATH}?{query}").status), (query, status))

    def test_without_effect(self) -> None:
        before = sorted(path.name for path in self.home.rglob("*"))
        for operation in ("upload", "create_dirs", "delete"):
            self.verdict(operation, "/n")
        self.assertEqual(sorted(path.name for path in self.home.rglob("*")), before)
