from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import User
from tests.web.talk import HASH, KEY, Reply, Server, user

USERS = "/api/v1/user"
DUMP = "/api/v1/dumpdata"
LOAD = "/api/v1/loaddata"


class MaintenanceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.backups = self.folder / "backups"
        self.folder.mkdir()
        self.server = Server(backups_path=str(self.backups))

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body, headers)))

    def add(self, *names: str, **fields: Any) -> None:
        for name in names:
            self.assertEqual(self.ask("POST", USERS, user(username=name, **fields)).status, 200)

    def names(self) -> list[str]:
        return [found["username"] for found in self.ask("GET", USERS).json]

    def file(self, content: object, name: str = "in.json") -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return str(path)

    def refused(self, reply: Reply, error: str, message: str = "", status: int = 400) -> None:
        self.assertEqual((reply.status, reply.json), (status, {"error": error, "message": message, "status": status}))


class DumpTests(MaintenanceCase):
    def test_dump(self) -> None:
        self.add("bob", "alice", public_keys=[KEY])
        reply = self.ask("GET", f"{DUMP}?output_file=all.json")
        self.assertEqual((reply.status, reply.json), (200, {"error": "", "message": "Data saved", "status": 200}))
        content = (self.backups / "all.json").read_bytes()
        self.assertTrue(content.startswith(b'{"users":[{"id":2,"status":0,"username":"alice","expiration_date":0,'))
        self.assertTrue(content.endswith(b"}]}"))
        self.assertNotIn(b", ", content.replace(KEY.encode(), b""))
        self.assertEqual([found["password"] for found in json.loads(content)["users"]], [HASH, HASH])
        self.assertEqual(os.listdir(self.backups), ["all.json"])

    def test_nobody_else_may_read_it(self) -> None:
        for umask in (0, 0o777):
            before = os.umask(umask)
            try:
                self.assertEqual(self.ask("GET", f"{DUMP}?output_file=a/b/{umask}").status, 200)
            finally:
                os.umask(before)
        for path, mode in (("", 0o700), ("a", 0o700), ("a/b", 0o700), ("a/b/0", 0o600), ("a/b/511", 0o600)):
            self.assertEqual(stat.S_IMODE((self.backups / path).stat().st_mode), mode, path)

    def test_nobody(self) -> None:
        self.ask("POST", DUMP, {"output_file": "none"})
        self.assertEqual((self.backups / "none").read_bytes(), b'{"users":[]}')

    def test_more_than_a_page(self) -> None:
        for number in range(2001):
            one = User(username=f"u{number:04}", password=HASH, home_dir="/srv", permissions={"/": ("*",)})
            self.successResultOf(Deferred.fromCoroutine(self.server.provider.add(one)))
        self.ask("POST", DUMP, {"output_file": "many"})
        names = [found["username"] for found in json.loads((self.backups / "many").read_bytes())["users"]]
        self.assertEqual(names, [f"u{number:04}" for number in range(2001)])

    def test_names(self) -> None:
        for name in (
            "", " ", "/etc/x", "../x", "a/../x", "a/..", "..", "a..b", "a%00b",
            "a/", ".", "./", "a/.", "x" * 256, "%FF",
        ):  # fmt: skip
            reply = self.ask("GET", f"{DUMP}?output_file={name.replace(' ', '%20')}")
            self.assertEqual((name, reply.status), (name, 400))
        self.refused(self.ask("GET", DUMP), "Invalid or missing output_file")
        self.refused(self.ask("POST", DUMP, {}), "Invalid or missing output_file")
        self.refused(self.ask("POST", DUMP, {"output_file": 1}), "output_file: expected a string")
        self.refused(self.ask("POST", DUMP, []), "the body must be an object")
        self.assertEqual([path.name for path in self.folder.rglob("*") if path.is_file()], [])

    def test_links_and_other_things_in_the_folder(self) -> None:
        outside = self.folder / "outside"
        outside.mkdir()
        (outside / "f").write_text("kept")
        self.backups.mkdir()
        (self.backups / "d").symlink_to(outside)
        (self.backups / "f").symlink_to(outside / "f")
        (self.backups / "dangling").symlink_to(outside / "new")
        (self.backups / "real").mkdir()
        os.mkfifo(self.backups / "pipe")
        (self.backups / "file").write_text("x")
        for name in ("d/x", "d/f", "f", "dangling", "real", "pipe", "file/x"):
            reply = self.ask("POST", DUMP, {"output_file": name})
            self.assertEqual((name, reply.status), (name, 400))
            self.assertIn("Invalid output_file", reply.json["error"])
        self.assertEqual((os.listdir(outside), (outside / "f").read_text()), (["f"], "kept"))
        self.assertEqual(sorted(os.listdir(self.backups)), ["d", "dangling", "f", "file", "pipe", "real"])

    def test_an_older_dump_is_replaced_when_the_new_one_is_whole(self) -> None:
        self.add("alice")
        self.ask("POST", DUMP, {"output_file": "x"})
        before = (self.backups / "x").read_bytes()

        async def fail(_after: str = "", _limit: int = 0) -> list[User]:
            raise RuntimeError("gone")

        self.server.provider.dump = fail
        self.assertEqual(self.ask("POST", DUMP, {"output_file": "x"}).status, 500)
        self.assertEqual(((self.backups / "x").read_bytes(), os.listdir(self.backups)), (before, ["x"]))
        del self.server.provider.dump
        self.add("bob")
        self.ask("POST", DUMP, {"output_file": "x"})
        self.assertIn(b'"bob"', (self.backups / "x").read_bytes())

    def test_a_folder_that_cannot_be_made(self) -> None:
        self.backups.write_text("in the way")
        reply = self.ask("POST", DUMP, {"output_file": "x"})
        self.assertEqual(reply.status, 500)
        self.assertNotIn(str(self.backups), reply.json["error"])


class LoadTests(MaintenanceCase):
    def test_what_was_dumped(self) -> None:
        self.add(
            "alice", "bob", quota_files=3, permissions={"/": ["list"], "/d": ["*"]}, filters={"denied_ip": ["::/0"]}
        )
        shown = self.ask("GET", USERS).json
        self.ask("POST", DUMP, {"output_file": "x"})
        self.ask("DELETE", f"{USERS}/1")
        self.ask("PUT", f"{USERS}/2", {"quota_files": 9, "status": 1})
        reply = self.ask("GET", f"{LOAD}?input_file={self.backups}/x")
        self.assertEqual((reply.status, reply.json), (200, {"error": "", "message": "Data restored", "status": 200}))
        for found in (restored := self.ask("GET", USERS).json) + shown:
            del found["id"]
        self.assertEqual(restored, shown)
        stored = self.successResultOf(Deferred.fromCoroutine(self.server.provider.user_by_name("alice")))
        self.assertEqual(stored.password, HASH)

    def test_report(self) -> None:
        self.add("bob")
        path = self.file({"users": [user(username="carl", id=77), user(username="bob", uid=5)]})
        reply = self.ask("POST", LOAD, {"input_file": path})
        self.assertEqual(
            reply.json,
            {
                "error": "", "message": "Data restored", "status": 200, "added": 1, "updated": 1, "refused": 0,
                "users": [
                    {"index": 0, "username": "carl", "result": "added", "id": 2, "error": ""},
                    {"index": 1, "username": "bob", "result": "updated", "id": 1, "error": ""},
                ],
            },
        )  # fmt: skip
        self.assertEqual(self.ask("GET", f"{USERS}/1").json["uid"], 5)

    def test_a_known_user_is_replaced_and_not_merged(self) -> None:
        self.add("bob", uid=7, public_keys=[KEY])
        body = {"username": "bob", "home_dir": "/srv/b", "permissions": {"/": ["list"]}}
        reply = self.ask("POST", LOAD, {"input_file": self.file({"users": [body]})})
        self.assertEqual((reply.status, self.ask("GET", f"{USERS}/1").json["uid"]), (400, 7))
        self.ask("POST", LOAD, {"input_file": self.file({"users": [body | {"password": HASH}]})})
        found = self.ask("GET", f"{USERS}/1").json
        self.assertEqual((found["uid"], found.get("public_keys"), found["permissions"]), (0, None, {"/": ["list"]}))

    def test_nothing_is_applied_when_one_is_faulty(self) -> None:
        faulty = [user(username="a"), user(username="b", permissions={}), user(username="c", uid="x"), 7]
        path = self.file({"users": faulty})
        text = 'user 1 "b": Validation error: Please grant some permissions to this user, and 2 more'
        self.refused(self.ask("GET", f"{LOAD}?input_file={path}"), text)
        reply = self.ask("POST", LOAD, {"input_file": path})
        self.assertEqual((reply.status, reply.json["error"], reply.json["refused"]), (400, text, 3))
        self.assertEqual(
            [(found["index"], found["username"], found["result"]) for found in reply.json["users"]],
            [(1, "b", "refused"), (2, "c", "refused"), (3, "", "refused")],
        )
        self.assertEqual(self.names(), [])
        reply = self.ask("POST", LOAD, {"input_file": path, "partial": True})
        self.assertEqual((reply.status, reply.json["added"], reply.json["refused"]), (200, 1, 3))
        self.assertEqual(self.names(), ["a"])

    def test_nothing_is_applied_of_a_file_that_ends_too_early(self) -> None:
        whole = json.dumps({"users": [user(username=f"u{number}") for number in range(300)]}).encode()
        for end in (0, 1, 10, len(whole) - 1, len(whole) // 2):
            for partial in (False, True):
                reply = self.ask("POST", LOAD, {"input_file": self.file(whole[:end]), "partial": partial})
                self.assertEqual((reply.status, reply.json["message"]), (400, "Unable to parse the backup file"))
                self.assertNotEqual(reply.json["error"], "")
        self.assertEqual(self.names(), [])

    def test_empty(self) -> None:
        for content in ({}, {"users": None}, {"users": [], "other": {"users": [1]}}):
            self.assertEqual(self.ask("GET", f"{LOAD}?input_file={self.file(content)}").status, 200)

    def test_files_that_are_none(self) -> None:
        os.mkfifo(self.folder / "pipe")
        for name, text in (
            ("", "Invalid input_file"),
            ("in.json", "Invalid input_file"),
            ("/no/such/file", "input_file cannot be read: No such file or directory"),
            ("/dev/zero", "input_file is no regular file"),
            (str(self.folder), "input_file is no regular file"),
            (str(self.folder / "pipe"), "input_file is no regular file"),
            ("/a%00b", "Invalid input_file"),
            ("/" + "x" * 5000, "input_file cannot be read: File name too long"),
        ):
            reply = self.ask("GET", f"{LOAD}?input_file={name}")
            self.assertEqual((name, reply.status), (name, 400))
            self.assertIn(text, reply.json["error"])

    def test_scan_quota_is_looked_at_first(self) -> None:
        for value in ("x", "", "1.5"):
            self.refused(self.ask("GET", f"{LOAD}?scan_quota={value}&input_file=x"), "Invalid scan_quota")
        self.refused(self.ask("POST", LOAD, {"scan_quota": "1"}), "Invalid scan_quota")
        self.refused(self.ask("POST", LOAD, {"scan_quota": True}), "Invalid scan_quota")
        self.refused(self.ask("POST", LOAD, {"partial": 1}), "partial: expected a boolean")

    def test_size(self) -> None:
        limit = 10485760
        content = b'{"users":[]}' + b" " * (limit - 12)
        self.assertEqual(self.ask("GET", f"{LOAD}?input_file={self.file(content)}").status, 200)
        path = self.file(content + b" ")
        self.refused(
            self.ask("GET", f"{LOAD}?input_file={path}"), "", f"Backup file size too big: {limit + 1}/{limit} bytes"
        )
        self.assertEqual(self.ask("POST", LOAD, {"input_file": path}).status, 200)

    def test_scans(self) -> None:
        home = str(self.folder / "home")
        os.mkdir(home)
        (self.folder / "home" / "f").write_text("12345")
        users = [user(username="free", home_dir=home), user(username="bound", home_dir=home, quota_files=9)]
        path = self.file({"users": users})
        for scan_quota, expected in (("0", (0, 0)), ("7", (0, 0)), ("-1", (0, 0)), ("2", (1, 0)), ("1", (1, 1))):
            self.assertEqual(self.ask("GET", f"{LOAD}?input_file={path}&scan_quota={scan_quota}").status, 200)
            counts = tuple(found["used_quota_files"] for found in self.ask("GET", USERS).json)
            self.assertEqual((scan_quota, counts), (scan_quota, expected))

    def test_where_users_are_not_managed(self) -> None:
        self.server = Server(backups_path=str(self.backups), manage_users=False)
        self.assertEqual(self.ask("GET", f"{LOAD}?input_file={self.file({'users': [user()]})}").status, 403)
        self.assertEqual(self.ask("POST", DUMP, {"output_file": "x"}).status, 200)


class BrowserTests(MaintenanceCase):
    """A page of another site cannot reach the two GETs that change something."""

    MOZILLA = "Mozilla/5.0 (X11; Linux x86_64) Firefox/120.0"

    def status(self, headers: dict[str, str]) -> int:
        first = self.ask("GET", f"{DUMP}?output_file=x", None, headers).status
        self.assertEqual(self.ask("GET", f"{LOAD}?input_file={self.file({})}", None, headers).status, first)
        return first

    def test_let_through(self) -> None:
        for headers in (
            {},
            {"User-Agent": "python-requests/2.22.0"},
            {"User-Agent": self.MOZILLA, "Sec-Fetch-Site": "same-origin"},
            {"User-Agent": self.MOZILLA, "X-Requested-With": "me"},
            {"User-Agent": self.MOZILLA, "X-Requested-With": "", "Sec-Fetch-Site": "none"},
        ):
            self.assertEqual((headers, self.status(headers)), (headers, 200))

    def test_refused(self) -> None:
        for headers in (
            {"User-Agent": self.MOZILLA},
            {"Referer": "http://evil.example/"},
            {"Cookie": "a=b"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "X-Requested-With": "x"},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Mode": "navigate"},
            {"Origin": "http://evil.example", "X-Requested-With": "x"},
            {"Host": "evil.example"},
        ):
            self.assertEqual((headers, self.status(headers)), (headers, 403))
        self.assertFalse(self.backups.exists())
