from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import Filters, User
from sftpgo.errors import ProviderError
from sftpgo.storage.usage import scan
from tests.doubles import HeldThreads, run_now
from tests.web.talk import HASH, KEY, Server
from tests.web.visitor import Page, Visitor

_T = TypeVar("_T")

HOSTILE = "<img src=x onerror=pwned()>\"'&\u202e{{7*7}}"

#: A user with something in every field.
FULL = User(
    status=1,
    username="full",
    expiration_date=1893456000123,
    password=HASH,
    public_keys=(KEY, 'from="*" ' + KEY),
    home_dir="/srv/full",
    uid=1000,
    gid=1001,
    max_sessions=3,
    quota_size=1_234_567,
    quota_files=77,
    permissions={"/": ("list", "download"), "/a:b": ("*",), "/c d": ("upload", "list")},
    upload_bandwidth=128,
    download_bandwidth=2000,
    filters=Filters(("192.168.0.0/24", "::1/128"), ("10.0.0.0/8",)),
)


class VisitorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.visitor = Visitor(self.server)

    def now(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def get(self, path: str, status: int = 200) -> Page:
        page = self.now(self.visitor.get(path))
        self.assertEqual((path, page.status), (path, status))
        return page

    def send(self, action: str, fields: list[tuple[str, str]]) -> Any:
        return self.now(self.visitor.send(action, fields))

    def save(self, page: Page, action: str, **values: str | list[str]) -> Any:
        """Fill in the form on a page and send it."""
        return self.send(action, page.form(action).filled(**values))

    def keep(self, user: User = FULL) -> User:
        return self.now(self.server.provider.add(user))

    def stored(self, user_id: int = 1) -> User:
        return self.now(self.server.provider.user_by_id(user_id))


class Adding(VisitorCase):
    def test_add(self) -> None:
        page = self.get("/web/user")
        self.assertIn("Add a new user", page.text)
        self.assertEqual(page.form("/web/user").value("status"), "1")
        answer = self.save(
            page,
            "/web/user",
            username="alice",
            password=HASH,
            home_dir="/srv/alice",
            permissions=["list", "download"],
            sub_dirs_permissions="/in: upload , list\r\n\r\n/x:y/../z:*",
            public_keys=f"{KEY}\r\n\r\n  {KEY}  ",
            quota_size="10 GB",
            quota_files="",
            upload_bandwidth="1.5 MB",
            download_bandwidth="512",
            expiration_date="2030-01-02T03:04:05",
            allowed_ip=" 10.0.0.0/8 ,192.168.0.0/16,",
            denied_ip="",
            uid="1000",
            gid="1000",
            max_sessions="2",
        )
        self.assertEqual(answer, "/web/users")
        self.assertEqual(
            self.stored(),
            User(
                id=1,
                status=1,
                username="alice",
                password=HASH,
                home_dir="/srv/alice",
                permissions={"/": ("list", "download"), "/in": ("upload", "list"), "/z": ("*",)},
                public_keys=(KEY, KEY),
                quota_size=10**10,
                upload_bandwidth=1500,
                download_bandwidth=512,
                expiration_date=1893553445000,
                filters=Filters(("10.0.0.0/8", "192.168.0.0/16")),
                uid=1000,
                gid=1000,
                max_sessions=2,
            ),
        )
        self.assertIn("“alice” was added.", self.get("/web/users").text)
        self.assertNotIn("was added", self.get("/web/users").text)

    def test_only_checked(self) -> None:
        page = self.get("/web/user")
        given = {"username": "alice", "password": "secret", "home_dir": "/srv/a", "public_keys": KEY, "check": "1"}
        again = self.save(page, "/web/user", **given)
        self.assertIn("Nothing was saved yet.", again.text)
        self.assertIn("SHA256:", again.text)
        self.assertEqual(again.form("/web/user").value("password"), "secret")
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])
        self.assertEqual(self.save(page, "/web/user", **{**given, "home_dir": "srv"}).fault("home_dir")[:8], "home_dir")

    def test_name_that_is_taken(self) -> None:
        self.keep()
        page = self.save(self.get("/web/user"), "/web/user", username="full", password="x", home_dir="/srv/x")
        self.assertEqual((page.status, page.fault("username")), (200, "there is a user of this name already"))

    def test_clone(self) -> None:
        self.keep()
        page = self.get("/web/user?clone=1")
        form = page.form("/web/user")
        self.assertEqual([form.value(name) for name in ("username", "public_keys", "home_dir", "password")], [""] * 4)
        answer = self.save(page, "/web/user", username="twin", password=HASH, home_dir="/srv/twin")
        self.assertEqual(answer, "/web/users")
        twin = attrs.evolve(FULL, id=2, username="twin", home_dir="/srv/twin", public_keys=())
        self.assertEqual(self.stored(2), attrs.evolve(twin, expiration_date=1893456000000))
        self.get("/web/user?clone=9", 404)
        self.get("/web/user?clone=x", 400)


class Faults(VisitorCase):
    """Nonsense in every field: told there, nothing is stored, and all that was typed is still there."""

    def refused(self, **nonsense: str | list[str]) -> None:
        good: dict[str, str | list[str]] = {"username": "alice", "password": "secret", "home_dir": "/srv/alice"}
        page = self.get("/web/user")
        fields = page.form("/web/user").filled(**{**good, **nonsense})
        again = self.send("/web/user", fields)
        (field,) = nonsense
        self.assertIsInstance(again, Page, nonsense)
        self.assertEqual(again.status, 200)
        self.assertTrue(again.fault(field), nonsense)
        self.assertIn(f"#{field}", [link.partition("/web/user")[2] for link in again.links])
        kept = [pair for pair in again.form("/web/user").fields if pair[0] != "form_token"]
        self.assertEqual(sorted(kept), sorted(pair for pair in fields if pair[0] != "form_token"))
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])

    def test_numbers(self) -> None:
        for name in ("quota_files", "max_sessions", "uid", "gid"):
            for text in ("x", "1.5", "1e3", "١", "9" * 19, "9" * 40, HOSTILE, "0x1", "1 2"):
                self.refused(**{name: text})

    def test_sizes(self) -> None:
        for name in ("quota_size", "upload_bandwidth", "download_bandwidth"):
            for text in ("x", "10 XB", "1,5 GB", "9" * 19 + " PB", "0.3 B", HOSTILE):
                self.refused(**{name: text})

    def test_status(self) -> None:
        for text in ("2", "-1", "x", HOSTILE, ""):
            self.refused(status=text)

    def test_expiration(self) -> None:
        for text in ("tomorrow", "2030-13-01 00:00:00", "2030-02-30", "01/02/2030", "2030-01-01 25:00:00", HOSTILE):
            self.refused(expiration_date=text)
        # Stored they would mean that the account never expires.
        for text in ("1970-01-01", "1969-12-31T23:59:59", "0026-12-31 00:00:00", "0001-01-01"):
            self.refused(expiration_date=text)

    def test_texts(self) -> None:
        for text in ("", "x" * 256, "a\x01b"):
            self.refused(username=text)
        for text in ("", "srv/alice", "/" + "x" * 255):
            self.refused(home_dir=text)
        for text in ("", "x" * 1025):
            self.refused(password=text)

    def test_keys(self) -> None:
        for text in ("x", HOSTILE, f"{KEY}\nssh-rsa AAAA", "ssh-ed25519 !!!!"):
            self.refused(public_keys=text)

    def test_networks(self) -> None:
        for name in ("allowed_ip", "denied_ip"):
            for text in ("x", "10.0.0.1", "10.0.0.0/8, 300.0.0.0/8", HOSTILE):
                self.refused(**{name: text})

    def test_permissions(self) -> None:
        for names in ([], ["fly"], ["list", HOSTILE]):
            self.refused(permissions=names)

    def test_directories(self) -> None:
        for text in (
            "x",
            "/a",
            "/a:",
            ":list",
            "a:list",
            "/a:fly",
            "/a:list:x",
            "/:list",
            "/b/..:list",
            "/a:list\n/a/:list",
            "/a\0:list",
            HOSTILE,
        ):
            self.refused(sub_dirs_permissions=text)

    def test_very_much_of_everything_takes_no_time(self) -> None:
        """Each of these would take minutes if it cost the square of its length."""
        page = self.get("/web/user")
        blob = base64.b64encode(b"\0\0\0\0" * 150_000).decode()
        for values in (
            {"sub_dirs_permissions": "\n".join(f"/{number}:*" for number in range(60_000))},
            {"public_keys": f"x AAAA{blob[4:]}"},
            {"denied_ip": "x," * 200_000},
        ):
            again = self.save(page, "/web/user", username="a", password=HASH, home_dir="/srv/a", uid="x", **values)
            self.assertTrue(again.fault("uid"))

    def test_several_at_once(self) -> None:
        page = self.save(self.get("/web/user"), "/web/user", username="a", uid="x", gid="y", quota_size="z")
        self.assertTrue(all(page.fault(name) for name in ("uid", "gid", "quota_size")))

    def test_a_form_that_is_none(self) -> None:
        token = self.get("/web/user").form("/web/user").value("form_token")
        page = self.send("/web/user", [("form_token", token), ("username", "a")])
        self.assertIn("the field is missing", page.fault("quota_size"))
        for body in (b"\xff", b"a=%ff", b"&".join([b"a=b"] * 10_001)):
            self.assertEqual(self.now(self.visitor.ask("POST", "/web/user", body)).status, 400)
        multipart = {"Content-Type": "multipart/form-data; boundary=x"}
        reply = self.now(self.visitor.ask("POST", "/web/user", b'--x\r\nname="username"\r\n\r\na\r\n--x--', multipart))
        self.assertIn(b"was open for too long", reply.body)

    def test_nothing_comes_back_that_runs(self) -> None:
        page = self.get("/web/user")
        names = [name for name, _ in page.form("/web/user").fields if name not in ("form_token", "permissions")]
        values: dict[str, Any] = dict.fromkeys(names, HOSTILE)
        again = self.save(page, "/web/user", **values, permissions=[HOSTILE])
        self.assertEqual([tag for tag, _ in again.tags if tag == "img"], ["img"])  # our own
        self.assertNotIn("49", again.fault("uid"))
        for _, attributes in again.tags:
            self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"])


class Changing(VisitorCase):
    def setUp(self) -> None:
        super().setUp()
        self.before = self.keep()

    def test_saving_what_is_shown_changes_nothing(self) -> None:
        for user in (
            FULL,
            attrs.evolve(FULL, username="b", expiration_date=0, quota_size=0),
            attrs.evolve(FULL, username="c", expiration_date=2**62, quota_size=-5, upload_bandwidth=-1, uid=-1),
            attrs.evolve(FULL, username="d", expiration_date=-1, home_dir="/srv/ two  \nlines ", status=0),
            attrs.evolve(FULL, username=f"e{HOSTILE}", permissions={"/": ("*",), "/a\nb": ("list",), "/ ": ("list",)}),
            attrs.evolve(FULL, username="f", permissions={"/": ("*",), "/\udcff": ("list",), "/ok": ("list",)}),
            attrs.evolve(FULL, username="g", quota_size=10**10, upload_bandwidth=1024, download_bandwidth=1),
        ):
            before = self.before if user is FULL else self.keep(user)
            page = self.get(f"/web/user/{before.id}")
            self.assertEqual(self.save(page, f"/web/user/{before.id}"), "/web/users")
            self.assertEqual(self.stored(before.id), before)

    def test_change(self) -> None:
        page = self.get("/web/user/1")
        form = page.form("/web/user/1")
        self.assertEqual(form.value("quota_size"), "1234567 B")
        self.assertEqual(form.value("download_bandwidth"), "2 MB")
        self.assertEqual(form.value("password"), "")
        self.assertNotIn(HASH, page.rawdata_)
        answer = self.save(page, "/web/user/1", quota_size="2 GB", expiration_date="", username="other")
        self.assertEqual(answer, "/web/users")
        self.assertEqual(self.stored(), attrs.evolve(self.before, quota_size=2 * 10**9, expiration_date=0))

    def test_expiration_that_was_not_sent_stays(self) -> None:
        fields = [pair for pair in self.get("/web/user/1").form("/web/user/1").fields if pair[0] != "expiration_date"]
        self.assertEqual(self.send("/web/user/1", fields), "/web/users")
        self.assertEqual(self.stored(), self.before)

    def test_password_taken_away(self) -> None:
        self.assertEqual(self.save(self.get("/web/user/1"), "/web/user/1", clear_password="1"), "/web/users")
        self.assertEqual(self.stored().password, "")
        page = self.save(self.get("/web/user/1"), "/web/user/1", public_keys="")
        self.assertEqual(page.fault("password"), "Please set a password or at least a public_key")

    def test_two_editors(self) -> None:
        first, second = self.get("/web/user/1"), self.get("/web/user/1")
        self.assertEqual(self.save(first, "/web/user/1", uid="5", quota_files="9"), "/web/users")
        told = self.save(second, "/web/user/1", gid="6")
        self.assertIn("Somebody else has changed this user", told.text)
        self.assertIn("UID: 5; here 1000", told.words())
        self.assertIn("GID: 1001; here 6", told.words())
        self.assertNotIn("Home directory: ", told.words())
        self.assertEqual(self.stored().uid, 5)
        self.assertEqual(told.form("/web/user/1").value("gid"), "6")
        # Who was told may go on.
        self.assertEqual(self.save(told, "/web/user/1"), "/web/users")
        self.assertEqual((self.stored().uid, self.stored().gid), (1000, 6))

    def test_what_the_server_counts_is_nobodys_change(self) -> None:
        page = self.get("/web/user/1")
        self.now(self.server.provider.update_quota("full", 1, 1, 1))
        self.now(self.server.provider.update_last_login("full", 2))
        self.assertEqual(self.save(page, "/web/user/1"), "/web/users")
        self.assertEqual((self.stored().used_quota_files, self.stored().last_login), (1, 2))

    def test_scripts_without_a_version(self) -> None:
        fields = [
            pair for pair in self.get("/web/user/1").form("/web/user/1").fields if pair[0] not in ("version", "back")
        ]
        self.assertEqual(self.send("/web/user/1", fields), "/web/users")

    def test_deleted_meanwhile(self) -> None:
        page = self.get("/web/user/1")
        self.now(self.server.provider.delete(1))
        told = self.save(page, "/web/user/1", uid="7")
        self.assertEqual(told.status, 404)
        self.assertIn("was deleted while you had the form open", told.text)
        self.assertEqual(told.form("/web/user").value("uid"), "7")
        self.assertEqual(self.save(told, "/web/user", password=HASH), "/web/users")
        self.assertEqual(self.stored().uid, 7)

    def test_missing_and_malformed(self) -> None:
        for path in ("/web/user/9", "/web/user/9/delete"):
            self.assertIn("Not found", self.get(path, 404).text)
        for path in ("/web/user/x", "/web/user/1x/delete", f"/web/user/{2**64}"):
            self.assertIn("Bad request", self.get(path, 400).text)
        fields = self.get("/web/user/1").form("/web/user/1").fields
        self.assertEqual([self.send(f"/web/user/{name}", fields).status for name in ("9", "x")], [404, 400])

    def test_stale_token(self) -> None:
        page = self.get("/web/user/1")
        for token in ("", "x", "0" * 64, "é"):
            told = self.save(page, "/web/user/1", uid="7", form_token=token)
            self.assertEqual(told.status, 200)
            self.assertIn("was open for too long", told.text)
            self.assertEqual(told.form("/web/user/1").value("uid"), "7")
        self.assertEqual(self.stored(), self.before)
        # The page that says so has a good one.
        self.assertEqual(self.save(told, "/web/user/1"), "/web/users")

    def test_token_of_another_browser(self) -> None:
        page = self.get("/web/user/1")
        other = Visitor(self.server)
        self.now(other.get("/web/user/1"))
        told = self.now(other.send("/web/user/1", page.form("/web/user/1").filled(uid="7")))
        self.assertIsInstance(told, Page)
        self.assertEqual(self.stored(), self.before)

    def test_managing_disabled(self) -> None:
        self.server = Server(self.server.provider, manage_users=False)
        self.visitor = Visitor(self.server)
        page = self.save(self.get("/web/user/1"), "/web/user/1", uid="7")
        self.assertIn("managing users is disabled", page.text)
        self.assertEqual(page.form("/web/user/1").value("uid"), "7")
        self.assertEqual(self.stored(), self.before)


class Actions(VisitorCase):
    def setUp(self) -> None:
        super().setUp()
        home = os.path.abspath(self.mktemp())
        os.mkdir(home)
        self.before = self.keep(attrs.evolve(FULL, home_dir=home))

    def act(self, action: str, **values: str) -> Any:
        return self.send(action, self.get("/web/users").form("/web/users").filled(**values))

    def test_status(self) -> None:
        (action,) = [action for action in self.get("/web/users?q=full").actions if action[1] == "status"]
        self.assertEqual(action, ("/web/user/1/status", "status", "0"))
        form = next(form for form in self.get("/web/users?q=full").forms if form.method == "post")
        self.assertEqual(self.send("/web/user/1/status", form.filled(status="0")), "/web/users?q=full")
        self.assertEqual(self.stored(), attrs.evolve(self.before, status=0))
        self.assertIn("may not log in any more", self.get("/web/users").text)
        self.assertEqual(self.send("/web/user/1/status", form.filled(status="1")), "/web/users?q=full")
        self.assertEqual(self.stored(), self.before)
        for status in ("", "2", "x"):
            self.assertEqual(self.send("/web/user/1/status", form.filled(status=status)).status, 400)
        self.assertEqual(self.send("/web/user/9/status", form.filled(status="1")).status, 404)

    def test_stale_tokens(self) -> None:
        for action in ("status", "scan", "scan/cancel"):
            page = self.send(f"/web/user/1/{action}", [("form_token", "x"), ("status", "0")])
            self.assertEqual(page.status, 403)
        self.assertEqual(self.stored(), self.before)
        self.assertEqual(self.server.scans.running(), ())

    def test_delete(self) -> None:
        page = self.get("/web/user/1/delete?back=/web/users%3Fpage%3D2")
        for name in ("", "ful", "FULL", "full2"):
            again = self.save(page, "/web/user/1/delete", confirm=name)
            self.assertEqual((again.status, again.form("/web/user/1/delete").value("confirm")), (200, name))
            self.assertTrue(again.fault("confirm"))
        again = self.save(page, "/web/user/1/delete", confirm="full", form_token="x")
        self.assertIn("too long", again.fault("confirm"))
        self.assertEqual(self.stored(), self.before)
        self.assertEqual(self.save(page, "/web/user/1/delete", confirm="full"), "/web/users?page=2")
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])
        self.assertEqual(self.save(page, "/web/user/1/delete", confirm="full").status, 404)

    def test_delete_whose_name_is_a_space(self) -> None:
        self.keep(User(username="\u3000", home_dir="/srv/space", password=HASH, permissions={"/": ("*",)}))
        page = self.get("/web/user/2/delete")
        self.assertEqual(self.save(page, "/web/user/2/delete", confirm="").status, 200)
        self.assertEqual(self.stored(2).username, "\u3000")
        self.assertEqual(self.save(page, "/web/user/2/delete", confirm="\u3000"), "/web/users")

    def test_back_leads_to_no_other_site(self) -> None:
        page = self.get("/web/user/1")
        for back in (
            "http://evil.example/",
            "//evil.example",
            "/\\evil",
            "/web/../x:",
            "/web/%2e%2e/api/v1/dumpdata?output_file=x",
            "javascript:alert(1)",
            "/web\r\nx",
        ):
            self.assertEqual(self.save(page, "/web/user/1", back=back), "/web/users")

    def test_scan(self) -> None:
        threads = HeldThreads()

        def run(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
            return (threads.run if function is scan else run_now)(function, *args)

        self.server = Server(self.server.provider, run_in_thread=run)
        self.visitor = Visitor(self.server)
        page = self.get("/web/users")
        form = next(form for form in page.forms if form.method == "post")
        self.assertEqual(self.send("/web/user/1/scan", form.fields), "/web/users")
        self.assertEqual(self.send("/web/user/1/scan", form.fields), "/web/users")
        page = self.get("/web/users")
        self.assertIn("is being scanned already", page.text)
        self.assertIn("Scanning: 0 files", page.text)
        self.assertEqual(self.send("/web/user/1/scan/cancel", form.fields), "/web/users")
        self.assertEqual(self.send("/web/user/9/scan", form.fields).status, 404)
        threads.release()


class List(VisitorCase):
    def fill(self, count: int) -> None:
        for number in range(count):
            self.keep(User(username=f"u{number:03}", home_dir=f"/srv/{number}", status=number % 2))

    def names(self, page: Page) -> list[str]:
        return [attributes["data-username"] for _, attributes in page.tags if "data-username" in attributes]

    def test_empty(self) -> None:
        self.assertIn("There are no users yet.", self.get("/web/users").text)
        self.assertIn("Nobody matches.", self.get("/web/users?q=x").text)

    def test_columns(self) -> None:
        self.keep(attrs.evolve(FULL, permissions={"/": ("list", "download"), "/sub": ("*",)}))
        self.now(self.server.provider.update_quota("full", 70, 10**6, 1))
        self.now(self.server.provider.update_last_login("full", 1))
        words = self.get("/web/users").words()
        for part in (
            "Username ↑ Status Expiration Permissions Bandwidth Quota Other",
            "Active 2030-01-01 / list, download/sub *",
            "Download: 2 MB/s",
            "Upload: 128 KB/s",
            "Files 70 of 77",
            "Size 1 MB of 1.2 MB",
            "Last login: 1970-01-01",
            "Public keys: 2",
            "Max sessions: 3",
            "UID 1000, GID 1001",
            "Denied IP/Mask: 1",
            "Allowed IP/Mask: 2",
        ):
            self.assertIn(part, words)

    def test_pages(self) -> None:
        self.fill(120)
        page = self.get("/web/users")
        self.assertEqual((len(self.names(page)), self.names(page)[0]), (50, "u000"))
        self.assertIn("1–50 of 120", page.text)
        second = self.get(next(link for link in page.links if "page=2" in link))
        self.assertEqual(self.names(second)[0], "u050")
        self.assertEqual(self.names(self.get("/web/users?page=99"))[-1], "u119")
        self.assertEqual(len(self.names(self.get("/web/users?limit=100"))), 100)
        self.assertEqual(self.names(self.get("/web/users?order=desc&limit=25"))[0], "u119")
        self.assertEqual(len(self.names(self.get("/web/users?state=active&limit=500"))), 60)
        self.assertEqual(self.names(self.get("/web/users?q=U11&limit=25&page=1")), [f"u11{n}" for n in range(10)])

    def test_old_parameter(self) -> None:
        self.fill(60)
        for query, shown in (("qlimit=10", 10), ("qlimit=0", 0), ("qlimit=x", 50), ("qlimit=", 50), ("qlimit=-1", 50)):
            self.assertEqual((query, len(self.names(self.get(f"/web/users?{query}")))), (query, shown))

    def test_nonsense_in_the_address(self) -> None:
        self.fill(3)
        for query in ("page=x", "page=-1", "limit=x", "sort=x", "order=x", "state=x", "q=", "q=%ff", f"page={10**30}"):
            self.assertEqual((query, len(self.names(self.get(f"/web/users?{query}")))), (query, 3))

    def test_names_that_would_run(self) -> None:
        self.keep(
            attrs.evolve(FULL, username=HOSTILE, home_dir=f"/{HOSTILE}", permissions={"/": ("*",), f"/{HOSTILE}": ()})
        )
        self.server.clock.advance(10)
        for path in (
            "/web/users",
            "/web/user/1",
            "/web/user/1/delete",
            "/web/user?clone=1",
            f"/web/users?q={'%3Cimg%3E'}",
        ):
            page = self.get(path)
            self.assertEqual(
                [attributes.get("src") for tag, attributes in page.tags if tag == "img"], ["/static/icon.svg"]
            )
            for tag, attributes in page.tags:
                self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"], (path, tag))
        self.assertIn(HOSTILE, self.get("/web/users").text)


class Down(MemoryProvider):
    """A data provider that fails when it is told to."""

    down = False

    async def check(self) -> None:
        if self.down:
            raise ProviderError("the <database> is locked")

    async def search(self, search: Search) -> SearchResult:
        await self.check()
        return await super().search(search)


class ProviderDown(VisitorCase):
    def setUp(self) -> None:
        self.provider = Down()
        self.server = Server(self.provider)
        self.visitor = Visitor(self.server)
        self.keep()

    def test_pages_say_so(self) -> None:
        self.provider.down = True
        for path in ("/web/users", "/web/user/1", "/web/user/1/delete"):
            page = self.get(path, 500)
            self.assertIn("The data provider is down", page.text)
            self.assertIn("the <database> is locked", page.text)

    def test_nothing_typed_is_lost(self) -> None:
        page = self.get("/web/user")
        self.provider.down = True
        again = self.save(page, "/web/user", username="a", password=HASH, home_dir="/srv/a", uid="7")
        self.assertEqual(again.status, 200)
        self.assertIn("the <database> is locked", again.text)
        self.assertEqual(again.form("/web/user").value("uid"), "7")
        self.provider.down = False
        self.assertEqual(self.save(again, "/web/user"), "/web/users")

    def test_nothing_typed_is_lost_on_a_change(self) -> None:
        page = self.get("/web/user/1")
        self.provider.down = True
        again = self.save(page, "/web/user/1", uid="7")
        self.assertEqual(again.status, 200)
        self.assertEqual(again.form("/web/user/1").value("uid"), "7")
        self.provider.down = False
        self.assertEqual(self.save(again, "/web/user/1"), "/web/users")
        self.assertEqual(self.stored().uid, 7)


class Safe(VisitorCase):
    def test_no_get_changes_anything(self) -> None:
        """Every link of every page is followed, and every address of a form is asked for by GET."""
        self.keep()
        self.keep(attrs.evolve(FULL, username="other"))
        before = self.now(self.server.provider.users(10, 0))
        wanted, seen = ["/web/users"], set[str]()
        while wanted:
            path = wanted.pop().partition("#")[0]
            if path in seen or path.startswith(("/static", "/web/connections", "/web/status")):
                continue
            seen.add(path)
            reply = self.now(self.visitor.ask("GET", path))
            self.assertIn(reply.status, (200, 303, 404, 405), path)
            if reply.status == 200:
                page = Page(reply, path)
                wanted += page.links + [form.action for form in page.forms] + [action for action, _, _ in page.actions]
        self.assertGreater(len(seen), 20)
        self.assertEqual(self.now(self.server.provider.users(10, 0)), before)
        self.assertEqual(self.server.scans.running(), ())

    def test_another_sites_pages(self) -> None:
        self.keep()
        fields = self.get("/web/user/1").form("/web/user/1").filled(uid="7")
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            body = urlencode(fields).encode()
            self.assertEqual(self.now(self.visitor.ask("POST", "/web/user/1", body, headers)).status, 403)
        self.assertEqual(self.stored().uid, 1000)

    def test_no_secret_is_shown(self) -> None:
        self.keep()
        for path in ("/web/users", "/web/user/1", "/web/user?clone=1", "/web/user/1/delete"):
            self.assertNotIn("$6$", self.get(path).rawdata_)
        self.assertNotIn("$6$", json.dumps([str(event) for event in self.server.events]))
