from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import attrs
from twisted.internet.defer import Deferred

from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError
from sftpgo.storage.usage import scan
from tests.doubles import HeldThreads, run_now
from tests.web.talk import HASH, Server
from tests.web.userpages import FULL, HOSTILE, VisitorCase
from tests.web.visitor import Page, Visitor


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
