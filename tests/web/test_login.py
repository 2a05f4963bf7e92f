from __future__ import annotations

import base64
from collections.abc import Coroutine
from typing import Any, TypeVar
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import User
from sftpgo.log import Log
from sftpgo.web.authenticate import Authentication
from sftpgo.web.entrance import COOKIE, draft_of, own_path
from sftpgo.web.events import SESSION_LOOKS
from sftpgo.web.failures import LIMIT
from sftpgo.web.proxies import Proxies
from sftpgo.web.sessions import IDLE, LIFETIME, MAX_DRAFTS, MAX_SESSIONS, Draft, Sessions
from tests.doubles import run_now
from tests.web.talk import HASH, HOST, Reply, Server, Wire, head
from tests.web.visitor import Page, Visitor

_T = TypeVar("_T")

SECRET = "s3cret-ä"


class Users:
    """Plain passwords in the place of hashes."""

    def __init__(self) -> None:
        self.users = {"admin": SECRET, "second": "other"}

    def hash_of(self, username: str) -> tuple[str, bool]:
        return self.users.get(username, "nobody's"), username in self.users


class LoginCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.users = Users()
        self.hashed: list[bytes] = []
        self.told: list[Any] = []
        self.server = Server(clock=self.clock, authentication=self.authentication())
        self.visitor = Visitor(self.server)

    def authentication(self) -> Authentication:
        def matches(stored: str, given: bytes) -> bool:
            self.hashed.append(given)
            return stored.encode() == given

        return Authentication(self.users, matches, run_now, self.clock.seconds, Log("httpd", self.told.append))

    def now(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.now(self.visitor.ask(method, path, body, fields))

    def log_in(self, name: str = "admin", password: str = SECRET, path: str = "/web/login", **more: str) -> Any:
        form = self.now(self.visitor.get(path)).form("/web/login")
        return self.now(self.visitor.send("/web/login", form.filled(username=name, password=password, **more)))


class LiveData(LoginCase):
    """What the scripts of a page ask for, with a session that may end behind it."""

    SCRIPT = {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}

    def test_no_window_of_the_browser_opens_over_the_page(self) -> None:
        self.log_in()
        headers = {name.replace("-", "_"): value for name, value in self.SCRIPT.items()}
        self.assertEqual(self.ask("GET", "/api/v1/status", **headers).status, 200)
        self.clock.advance(IDLE)
        reply = self.ask("GET", "/api/v1/status", **headers)
        self.assertEqual((reply.status, reply.json["error"]), (401, "the session has ended"))
        self.assertNotIn("Basic", reply.headers["WWW-Authenticate"])
        # Whoever comes for a page of the API's, or has never logged in here, is asked for name and password.
        for fields in ({}, {"Sec_Fetch_Dest": "document"}):
            self.assertIn("Basic", self.ask("GET", "/docs", **fields).headers["WWW-Authenticate"])

    def test_a_stream_outlives_no_session_for_long(self) -> None:
        self.log_in()
        wire = Wire(self.server.site)
        cookies = "; ".join(f"{name}={value}" for name, value in self.visitor.cookies.items())
        wire.send(head("GET", "/api/v1/events?totals=1", {"Cookie": cookies, **self.SCRIPT}))
        self.assertIn(b" 200 ", wire.value())
        self.assertIn(b"retry: 500\n\n", wire.value())
        self.clock.pump([1] * SESSION_LOOKS)
        self.assertTrue(wire.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(wire.value().count(b"event: totals"), SESSION_LOOKS)
        wire.hang_up()


class LogIn(LoginCase):
    def test_every_page_leads_there(self) -> None:
        for path in (
            "/",
            "/web",
            "/web/users",
            "/web/user",
            "/web/user/1",
            "/web/nothing",
            "/web/users?q=a%26b&page=2",
        ):
            reply = self.ask("GET", path)
            self.assertEqual((path, reply.status), (path, 303))
            page = self.now(self.visitor.get(reply.headers["Location"]))
            wanted = path if path not in ("/",) else "/web/users"
            self.assertEqual(page.form("/web/login").value("next"), wanted)
            self.assertNotIn("Connections", page.text)

    def test_catalogue_without_a_session(self) -> None:
        """Of all routes only the log-in page and the static files are open."""
        for route in self.server.site.routes:
            path = route.path.replace("<path:name>", "page.js").replace("<name>", "x")
            path = "/".join("1" if part.startswith("<") else part for part in path.split("/"))
            reply = self.ask(route.method, path, b"a=b" if route.method == "POST" else None)
            if path == "/web/login" or path.startswith("/static"):
                expected = {200, 301}
            elif path == "/" or path.startswith("/web"):
                expected = {303} if route.method == "GET" else {403}
            else:
                expected = {401}
            self.assertIn(reply.status, expected, (route.method, path))
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])

    def test_log_in_and_out(self) -> None:
        self.assertEqual(self.log_in(path="/web/login?next=/web/users%3Fq%3Dx"), "/web/users?q=x")
        page = self.now(self.visitor.get("/web/users"))
        self.assertIn("admin", page.text)
        self.assertEqual(self.ask("GET", "/web/login?next=/web/user").headers["Location"], "/web/user")
        session = self.visitor.cookies["sftpgo_session"]
        self.assertEqual(self.now(self.visitor.send("/web/logout", page.form("/web/logout").fields)), "/web/login")
        self.assertNotIn("sftpgo_session", self.visitor.cookies)
        self.visitor.cookies["sftpgo_session"] = session
        self.assertEqual(self.ask("GET", "/web/users").status, 303)

    def test_cookie(self) -> None:
        self.log_in()
        assert self.visitor.last is not None
        (cookie,) = [text for text in self.visitor.last.headers.get_all("Set-Cookie") or [] if "session" in text]
        self.assertRegex(cookie, r"^sftpgo_session=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict$")

    def test_cookie_behind_a_proxy_that_speaks_tls(self) -> None:
        for networks, proto, secure in (
            (["127.0.0.1"], "https", True),
            (["127.0.0.1"], "http", False),
            ([], "https", False),
        ):
            visitor = Visitor(Server(authentication=self.authentication(), proxies=Proxies(networks)))
            reply = self.now(visitor.ask("GET", "/web/login", None, {"X-Forwarded-Proto": proto}))
            self.assertEqual(reply.headers["Set-Cookie"].endswith("; Secure"), secure)

    def test_log_out_needs_a_token(self) -> None:
        self.log_in()
        self.assertEqual(self.ask("POST", "/web/logout", b"form_token=x").status, 403)
        self.assertEqual(self.ask("GET", "/web/users").status, 200)
        self.assertEqual(self.ask("GET", "/web/logout").status, 405)

    def test_wrong(self) -> None:
        for name, password in (("admin", "x"), ("nobody", SECRET), ("", ""), ("admin", ""), ("<b>", "x\0")):
            page = self.log_in(name, password)
            self.assertEqual(page.status, 200)
            self.assertIn("Name or password is wrong.", page.text)
            form = page.form("/web/login")
            self.assertEqual((form.value("username"), form.value("password")), (name, ""))
        self.assertNotIn("sftpgo_session", self.visitor.cookies)
        self.assertEqual(len(self.hashed), 5)

    def test_failures_are_limited_as_for_rest(self) -> None:
        for _ in range(LIMIT):
            self.log_in(password="x")
        page = self.log_in()
        self.assertEqual(page.status, 429)
        self.assertIn("too many failed logins", page.text)
        basic = base64.b64encode(f"admin:{SECRET}".encode()).decode()
        self.assertEqual(self.ask("GET", "/api/v1/user", Authorization=f"Basic {basic}").status, 429)

    def test_stale_token(self) -> None:
        page = self.log_in(form_token="x")
        self.assertIn("Please log in now.", page.text)
        self.assertEqual(self.hashed, [])

    def test_a_new_session_each_time(self) -> None:
        self.log_in()
        first = self.visitor.cookies["sftpgo_session"]
        second = Visitor(self.server)
        second.cookies = {"sftpgo_session": "chosen-by-somebody-else"}
        self.visitor = second
        self.log_in()
        self.assertNotIn(second.cookies["sftpgo_session"], (first, "chosen-by-somebody-else"))

    def test_where_it_leads(self) -> None:
        for address, led in (
            ("/web/user/1?back=/web/users", "/web/user/1?back=/web/users"),
            ("/web", "/web"),
            ("", "/web/users"),
            ("http://evil.example/web/users", "/web/users"),
            ("//evil.example/web", "/web/users"),
            ("/web\\@evil.example", "/web/users"),
            ("/webx", "/web/users"),
            ("/web/login?next=/web/login", "/web/users"),
            ("/web/users?q=a..b", "/web/users?q=a..b"),
            ("/web/../api/v1/dumpdata?output_file=x", "/web/users"),
            ("/web/%2e%2e/api/v1/dumpdata?output_file=x", "/web/users"),
            ("/web/.%2E/api/v1/dumpdata?output_file=x", "/web/users"),
            ("/web/x/%2E./%2e%2e//api/v1/dumpdata", "/web/users"),
            ("/web/./login", "/web/users"),
            ("/api/v1/dumpdata?output_file=x", "/web/users"),
            ("/web/x\r\nSet-Cookie: a=b", "/web/users"),
        ):
            self.assertEqual((address, own_path(address)), (address, led))

    def test_nobody_has_many_fields_read(self) -> None:
        reply = self.ask("POST", "/web/login", b"&".join([b"a=b"] * 100), Origin=f"http://{HOST}")
        self.assertEqual(reply.status, 400)
        self.assertIn(b"more than 20 fields", reply.body)

    def test_nothing_to_log_in_to(self) -> None:
        self.visitor = Visitor(Server())
        reply = self.ask("GET", "/web/login")
        self.assertEqual((reply.status, reply.headers["Location"]), (303, "/web/users"))


class Ending(LoginCase):
    def open(self) -> bool:
        return self.ask("GET", "/web/users").status == 200

    def test_idle(self) -> None:
        self.log_in()
        for _ in range(5):
            self.clock.advance(IDLE - 1)
            self.assertTrue(self.open())
        self.clock.advance(IDLE)
        self.assertFalse(self.open())

    def test_absolute(self) -> None:
        self.log_in()
        for _ in range(int(LIFETIME / 1000)):
            self.assertTrue(self.open())
            self.clock.advance(1000)
        self.clock.advance(1000)
        self.assertFalse(self.open())

    def test_another_password(self) -> None:
        self.log_in()
        self.users.users["admin"] = "changed"
        self.clock.advance(2)
        self.assertFalse(self.open())

    def test_removed_from_the_file(self) -> None:
        self.log_in()
        del self.users.users["admin"]
        self.clock.advance(2)
        self.assertFalse(self.open())

    def test_bounded(self) -> None:
        sessions = Sessions(self.clock.seconds)
        first, second = sessions.open("a", ""), sessions.open("b", "")
        for _ in range(MAX_SESSIONS - 2):
            sessions.open("c", "")
        self.assertIs(sessions.find(first.id), first)
        sessions.open("d", "")
        self.assertEqual(len(sessions), MAX_SESSIONS)
        self.assertIsNone(sessions.find(second.id))
        self.assertIs(sessions.find(first.id), first)

    def test_what_has_ended_is_forgotten_at_the_next_log_in(self) -> None:
        sessions = Sessions(self.clock.seconds)
        kept = sessions.open("a", "")
        for _ in range(10):
            sessions.open("b", "")
        self.clock.advance(IDLE - 1)
        self.assertIs(sessions.find(kept.id), kept)
        self.clock.advance(1)
        sessions.open("c", "")
        self.assertEqual(len(sessions), 2)
        self.assertIs(sessions.find(kept.id), kept)

    def test_drafts_are_bounded_together(self) -> None:
        sessions = Sessions(self.clock.seconds)
        half = Draft("/web/user", bytes(MAX_DRAFTS // 2))
        first, second, third = (sessions.open("a", "", half) for _ in range(3))
        self.assertEqual([first.draft, second.draft, third.draft], [None, half, half])
        self.assertIs(sessions.find(first.id), first)

    def test_many_log_ins_shut_nobody_out(self) -> None:
        """Neither who looks now and then, nor who comes after them."""
        self.log_in()
        robot = Visitor(self.server)
        form = self.now(robot.get("/web/login")).form("/web/login")
        sent = form.filled(username="second", password="other")
        for number in range(MAX_SESSIONS + 100):
            robot.cookies.pop(COOKIE, None)
            self.assertEqual(self.now(robot.send("/web/login", sent)), "/web/users")
            if number % 500 == 0:
                self.assertTrue(self.open())
        self.assertTrue(self.open())
        latest = Visitor(self.server)
        form = self.now(latest.get("/web/login")).form("/web/login")
        self.now(latest.send("/web/login", form.filled(username="admin", password=SECRET)))
        self.assertEqual(self.now(latest.ask("GET", "/web/users")).status, 200)

    def test_nothing_secret_in_a_repr(self) -> None:
        session = Sessions(self.clock.seconds).open("a", HASH, Draft("/web/user", b"uid=7"))
        self.assertNotIn(session.id, repr(session))
        self.assertNotIn(HASH, repr(session))


class InMidForm(LoginCase):
    def setUp(self) -> None:
        super().setUp()
        self.log_in()

    def typed(self, action: str, **values: str) -> Page:
        """The page after a form was sent whose session had ended."""
        form = self.now(self.visitor.get(action)).form(action)
        self.clock.advance(IDLE)
        page = self.now(self.visitor.send(action, form.filled(**values)))
        self.assertIsInstance(page, Page)
        return page

    def log_in_again(self, page: Page) -> Any:
        fields = page.form("/web/login").filled(username="admin", password=SECRET)
        return self.now(self.visitor.send("/web/login", fields))

    def test_nothing_typed_is_lost(self) -> None:
        page = self.typed("/web/user", username="alice", password="hidden-secret", uid="seven", home_dir="/srv/ä&=")
        self.assertEqual(page.status, 403)
        self.assertIn("Your session had ended.", page.text)
        self.assertNotIn("hidden-secret", page.rawdata_)
        self.assertEqual(self.log_in_again(page), "/web/user")
        form = self.now(self.visitor.get("/web/user"))
        self.assertIn("What you typed is here again", form.text)
        fields = form.form("/web/user")
        self.assertEqual(
            [fields.value(name) for name in ("username", "password", "uid", "home_dir")],
            ["alice", "", "seven", "/srv/ä&="],
        )
        fields = form.form("/web/user").filled(uid="7", password=HASH)
        self.assertEqual(self.now(self.visitor.send("/web/user", fields)), "/web/users")
        # Shown once only.
        self.assertNotIn("alice", self.now(self.visitor.get("/web/user")).text)

    def test_a_change(self) -> None:
        self.now(self.server.accounts.add(_user()))
        page = self.typed("/web/user/1", uid="7")
        self.assertEqual(self.now(self.server.provider.user_by_id(1)).uid, 0)
        self.assertEqual(self.log_in_again(page), "/web/user/1")
        form = self.now(self.visitor.get("/web/user/1")).form("/web/user/1")
        self.assertEqual(form.value("uid"), "7")
        self.assertEqual(self.now(self.visitor.send("/web/user/1", form.fields)), "/web/users")
        self.assertEqual(self.now(self.server.provider.user_by_id(1)).uid, 7)

    def test_a_wrong_password_in_between(self) -> None:
        page = self.typed("/web/user", username="alice")
        wrong = page.form("/web/login").filled(username="admin", password="x")
        page = self.now(self.visitor.send("/web/login", wrong))
        self.assertIn("Name or password is wrong.", page.text)
        self.log_in_again(page)
        self.assertEqual(self.now(self.visitor.get("/web/user")).form("/web/user").value("username"), "alice")

    def test_too_much_is_not_carried(self) -> None:
        self.assertEqual(draft_of(b"a=" + b"x" * 300_000), "")
        self.assertEqual(draft_of(b"&".join([b"a=b"] * 10_001)), "")
        self.assertEqual(draft_of(b"a=1&password=2&form_token=3&a=%ff"), urlencode([("a", "1"), ("a", "\ufffd")]))

    def test_other_actions_are_not_carried_out(self) -> None:
        self.now(self.server.accounts.add(_user()))
        page = self.now(self.visitor.get("/web/users"))
        form = next(form for form in page.forms if form.method == "post" and form.action != "/web/logout")
        self.clock.advance(IDLE)
        page = self.now(self.visitor.send("/web/user/1/status", form.filled(status="0", back="/web/users?page=2")))
        self.assertEqual(page.status, 403)
        self.assertIn("Nothing was changed.", page.words())
        self.assertEqual(self.log_in_again(page), "/web/users?page=2")
        self.assertEqual(self.now(self.server.provider.user_by_id(1)).status, 1)


class Rest(LoginCase):
    """The session lets pages of ours use the API, and nobody else."""

    def setUp(self) -> None:
        super().setUp()
        self.log_in()

    def bare(self, method: str, path: str, body: object = None, **headers: str) -> int:
        cookie = "; ".join(f"{name}={value}" for name, value in self.visitor.cookies.items())
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.now(self.server.call(method, path, body, {"Cookie": cookie} | fields)).status

    def test_reading(self) -> None:
        self.assertEqual(self.bare("GET", "/api/v1/user"), 200)
        self.assertEqual(self.bare("GET", "/api/v1/user", Sec_Fetch_Site="same-origin"), 200)
        for site in ("same-site", "cross-site"):
            self.assertEqual(self.bare("GET", "/api/v1/user", Sec_Fetch_Site=site), 403)
        self.assertEqual(self.bare("GET", "/api/v1/user", Origin="http://evil.example"), 403)

    def test_changing(self) -> None:
        self.assertEqual(self.bare("DELETE", "/api/v1/user/1"), 403)
        self.assertEqual(self.bare("DELETE", "/api/v1/user/1", Origin="http://127.0.0.1:9999"), 403)
        self.assertEqual(self.bare("DELETE", "/api/v1/user/1", Sec_Fetch_Site="same-site"), 403)
        for headers in (
            {"Origin": f"http://{HOST}"},
            {"Sec_Fetch_Site": "same-origin"},
            {"X_Requested_With": "x"},
        ):
            self.assertEqual(self.bare("DELETE", "/api/v1/user/1", **headers), 404)

    def test_basic_goes_on(self) -> None:
        self.visitor.cookies.clear()
        basic = "Basic " + base64.b64encode(f"admin:{SECRET}".encode()).decode()
        self.assertEqual(self.ask("GET", "/api/v1/user", Authorization=basic).status, 200)
        self.assertEqual(self.ask("GET", "/web/users", Authorization=basic).status, 200)
        self.assertEqual(self.ask("GET", "/web/users", Authorization="Basic x").status, 401)
        self.assertEqual(self.ask("GET", "/api/v1/user").headers["WWW-Authenticate"][:5], "Basic")


def _user() -> User:
    return User(username="full", status=1, password=HASH, home_dir="/srv/x", permissions={"/": ("*",)})
