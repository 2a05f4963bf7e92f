from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError
from sftpgo.web.requestid import RequestIds
from tests.web.talk import HOST, Received, Reply, Server, Wire, head, user

PATH = "/api/v1/user"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND")
ROUTES = {
    "/api/v1/user": {"GET", "HEAD", "POST"},
    "/api/v1/user/1": {"GET", "HEAD", "PUT", "DELETE"},
    "/api/v1/connection": {"GET", "HEAD"},
    "/api/v1/connection/1": {"DELETE"},
    "/api/v1/quota_scan": {"GET", "HEAD", "POST", "DELETE"},
    "/api/v1/dumpdata": {"GET", "POST"},
    "/api/v1/loaddata": {"GET", "POST"},
    "/api/v1/explain": {"GET", "HEAD"},
    "/api/v1/events": {"GET", "HEAD"},
    "/api/v1/openapi.yaml": {"GET", "HEAD"},
    "/docs": {"GET", "HEAD"},
    "/docs/x": {"GET", "HEAD"},
    "/api/v1/version": {"GET", "HEAD"},
    "/api/v1/providerstatus": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
}


class SiteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body, headers)))


class General(SiteCase):
    def test_version(self) -> None:
        reply = self.ask("GET", "/api/v1/version")
        self.assertEqual(
            (reply.status, reply.body),
            (200, b'{"version":"1.2.3","build_date":"2020-01-01","commit_hash":"abc"}\n'),
        )

    def test_headers_of_every_answer(self) -> None:
        self.ask("POST", PATH, user())
        for method, path in (
            ("GET", PATH),
            ("GET", f"{PATH}/1"),
            ("GET", f"{PATH}/2"),
            ("GET", f"{PATH}/x"),
            ("POST", PATH),
            ("PATCH", PATH),
            ("HEAD", PATH),
            ("GET", "/nothing"),
            ("DELETE", f"{PATH}/1"),
        ):
            reply = self.ask(method, path)
            headers = reply.headers
            self.assertEqual(headers.get_all("Content-Type"), ["application/json; charset=utf-8"])
            self.assertEqual(headers.get_all("Server"), ["sftpgo"])
            self.assertEqual(headers.get_all("X-Content-Type-Options"), ["nosniff"])
            self.assertEqual(headers.get_all("X-Frame-Options"), ["DENY"])
            self.assertEqual(headers.get_all("Cross-Origin-Resource-Policy"), ["same-origin"])
            self.assertEqual(headers.get_all("Cache-Control"), ["no-store"])
            self.assertNotIn("Transfer-Encoding", headers)
            if method != "HEAD":
                self.assertEqual(headers.get_all("Content-Length"), [str(len(reply.body))])
                self.assertEqual(reply.body.find(b"\n"), len(reply.body) - 1)

    def test_status_object(self) -> None:
        self.assertEqual(self.ask("GET", "/nothing").body, b'{"error":"","message":"Not Found","status":404}\n')
        self.assertEqual(self.ask("PATCH", PATH).body, b'{"error":"","message":"Method not allowed","status":405}\n')
        self.assertEqual(
            self.ask("GET", f"{PATH}/<1>&").body, b'{"error":"Invalid userID","message":"","status":400}\n'
        )
        self.ask("POST", PATH, user())
        self.assertEqual(self.ask("PUT", f"{PATH}/1", {}).body, b'{"error":"","message":"User updated","status":200}\n')
        self.assertEqual(
            self.ask("POST", PATH, user(username="b", home_dir="<&>")).body,
            b'{"error":"Validation error: home_dir must be an absolute path, actual value: \\u003c\\u0026\\u003e",'
            b'"message":"","status":400}\n',
        )

    def test_methods(self) -> None:
        for path, allowed in ROUTES.items():
            for method in set(METHODS) - allowed - {"OPTIONS"}:
                reply = self.ask(method, path)
                self.assertEqual((method, path, reply.status), (method, path, 405))
                self.assertEqual(reply.headers["Allow"], ", ".join(sorted({*allowed, "OPTIONS"})))
                if method == "HEAD":
                    self.assertEqual(reply.body, b"")
                else:
                    self.assertEqual(reply.json, {"error": "", "message": "Method not allowed", "status": 405})

    def test_options(self) -> None:
        for path, allowed in ROUTES.items():
            reply = self.ask("OPTIONS", path)
            self.assertEqual((path, reply.status, reply.body), (path, 204, b""))
            self.assertEqual(reply.headers["Allow"], ", ".join(sorted({*allowed, "OPTIONS"})))
            self.assertEqual(reply.headers["Server"], "sftpgo")
            for name in ("Content-Type", "Content-Length", "Transfer-Encoding", "Access-Control-Allow-Origin"):
                self.assertNotIn(name, reply.headers)

    def test_head_is_get_without_a_body(self) -> None:
        self.ask("POST", PATH, user())
        for path, allowed in ROUTES.items():
            if "HEAD" in allowed and path not in ("/metrics", "/api/v1/events", "/api/v1/explain", "/docs/x"):
                got, asked = self.ask("GET", path), self.ask("HEAD", path)
                self.assertEqual((path, asked.status, asked.body), (path, 200, b""))
                for reply in (asked, got):
                    del reply.headers["Date"]  # a second may have passed
                self.assertEqual(asked.headers.items(), got.headers.items())

    def test_unknown_paths(self) -> None:
        for path in (
            "/api",
            "/api/v1",
            "/api/v1/",
            "/api/v1/user/",
            "/api/v1/user/1/",
            "/api/v1/user/1/2",
            "//api/v1/user",
            "/api//v1/user",
            "/api/v1/user//1",
            "/API/v1/user",
            "/api/v1/User",
            "/api/v1/users",
            "/api/v1/version/",
            "/api/v1/version/1",
            "/api/v1/./user",
            "/api/v1/x/../user",
            "/api/v1%2Fuser",
            "/api/v1/user%2f1",
            "/api/v1/user%00",
            "/api/v1/user;x",
            "/%FF",
            "/%",
            "x",
            "xapi/v1/user",
            "///api/v1/user",
            f"http://{HOST}/elsewhere",
        ):
            for method in METHODS:
                reply = self.ask(method, path)
                self.assertEqual((method, path, reply.status), (method, path, 404))
                if method != "HEAD":
                    self.assertEqual(reply.json, {"error": "", "message": "Not Found", "status": 404})

    def test_escaped_spelling_of_a_path(self) -> None:
        self.assertEqual(self.ask("GET", "/api/v1/%75ser").status, 200)

    def test_star(self) -> None:
        reply = self.ask("OPTIONS", "*")
        self.assertEqual((reply.status, reply.body, reply.headers["Server"]), (200, b"", "sftpgo"))

    def test_body_of_get_is_ignored(self) -> None:
        self.assertEqual(self.ask("GET", PATH, b"{broken").status, 200)

    def test_one_connection_many_requests(self) -> None:
        wire = Wire(self.server.site)
        body = b'{"trailing":"'
        request = head("POST", PATH, {"Content-Length": str(len(body))}) + body
        stream = Received(wire.send(request + head("GET", PATH) + head("HEAD", PATH) + head("GET", "/x")))
        for method, status in (("POST", 400), ("GET", 200), ("HEAD", 200), ("GET", 404)):
            self.assertEqual(stream.reply(method).status, status)
        self.assertFalse(wire.disconnecting)

    def test_two_sites_know_nothing_of_each_other(self) -> None:
        self.ask("POST", PATH, user())
        other = Server()
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(other.call("GET", PATH))).json, [])
        self.assertEqual(len(other.lines), 1)


class Failing(MemoryProvider):
    """A data provider whose reading raises, or waits for, whatever it is told to."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__()
        self.error = error
        self.waiting: Deferred[None] | None = None

    async def user_by_id(self, user_id: int) -> User:
        if self.waiting is not None:
            await self.waiting
        if self.error is not None:
            raise self.error
        return await super().user_by_id(user_id)


class Failures(SiteCase):
    def test_unexpected_error(self) -> None:
        for error in (RuntimeError("secret /home/path"), KeyError("secret"), CancelledError("secret")):
            self.server = Server(Failing(error))
            reply = self.ask("GET", f"{PATH}/1")
            self.assertEqual(
                (reply.status, reply.body), (500, b'{"error":"","message":"Internal Server Error","status":500}\n')
            )
            (event,) = [event for event in self.server.events if "log_failure" in event]
            self.assertIs(event["log_failure"].value, error)
            self.assertEqual(event["text"], "GET /api/v1/user/1 failed")
            self.assertEqual([line["resp_status"] for line in self.server.lines], [500])

    def test_error_of_the_provider(self) -> None:
        self.server = Server(Failing(ProviderError("database is locked")))
        reply = self.ask("GET", f"{PATH}/1")
        self.assertEqual(reply.json, {"error": "database is locked", "message": "", "status": 500})
        self.assertEqual([event for event in self.server.events if "log_failure" in event], [])

    def test_a_change_goes_on_when_its_client_has_gone(self) -> None:
        provider = Failing()
        self.server = Server(provider)
        self.ask("POST", PATH, user())
        provider.waiting = Deferred()
        wire = Wire(self.server.site)
        wire.send(head("PUT", f"{PATH}/1", {"Content-Length": "9"}) + b'{"uid":4}')
        wire.hang_up()
        provider.waiting.callback(None)
        self.assertEqual(self.successResultOf(provider.user_by_name("alice")).uid, 4)
        # And the next change does not wait for it.
        self.assertEqual(self.ask("PUT", f"{PATH}/1", {"uid": 5}).status, 200)

    def test_failing_after_the_client_has_gone(self) -> None:
        for error, told in ((RuntimeError("x"), 1), (ProviderError("x"), 0)):
            provider = Failing(error)
            provider.waiting = Deferred()
            self.server = Server(provider)
            wire = Wire(self.server.site)
            wire.send(head("GET", f"{PATH}/1"))
            wire.hang_up()
            provider.waiting.callback(None)
            self.assertEqual(len([event for event in self.server.events if "log_failure" in event]), told)
            self.assertEqual([line["resp_status"] for line in self.server.lines], [499])


class Lines(SiteCase):
    def line(self) -> dict[str, Any]:
        (event,) = self.server.lines
        names = ("method", "proto", "remote_addr", "request_id", "uri", "user_agent", "resp_status", "resp_size")
        return {name: event[name] for name in names}

    def test_line(self) -> None:
        reply = self.ask("DELETE", f"{PATH}/9?a=b%20c", None, {"X-Request-Id": "abc/1"})
        self.assertEqual(
            self.line(),
            {
                "method": "DELETE",
                "proto": "HTTP/1.1",
                "remote_addr": "127.0.0.1:58538",
                "request_id": "abc/1",
                "uri": f"http://{HOST}{PATH}/9?a=b%20c",
                "user_agent": "curl/7.88.1",
                "resp_status": 404,
                "resp_size": len(reply.body),
            },
        )

    def test_every_request_has_one(self) -> None:
        requests = [("GET", PATH), ("HEAD", PATH), ("GET", "/x"), ("POST", PATH), ("OPTIONS", "*"), ("GET", "/%FF")]
        for method, path in requests:
            self.ask(method, path)
        self.ask("GET", PATH, None, {"Host": "evil.example"})
        self.assertEqual([line["resp_status"] for line in self.server.lines], [200, 200, 404, 400, 200, 404, 403])

    def test_headers_of_proxies_are_not_believed(self) -> None:
        forged = {"X-Real-IP": "6.6.6.6", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6", "Via": "6.6.6.6"}
        self.ask("GET", PATH, None, forged)
        self.assertEqual(self.line()["remote_addr"], "127.0.0.1:58538")

    def test_ipv6(self) -> None:
        wire = Wire(self.server.site, IPv6Address("TCP", "::1", 4711))
        wire.send(head("GET", PATH))
        self.assertEqual(self.line()["remote_addr"], "[::1]:4711")

    def test_time(self) -> None:
        provider = Failing()
        provider.waiting = Deferred()
        self.server = Server(provider)
        wire = Wire(self.server.site)
        wire.send(head("GET", f"{PATH}/1"))
        self.assertEqual(self.server.lines, [])
        self.server.clock.advance(1.5)
        provider.waiting.callback(None)
        self.assertEqual([line["elapsed_ms"] for line in self.server.lines], [1500])

    def test_what_is_no_text(self) -> None:
        wire = Wire(self.server.site)
        wire.send(b"GET /\x80 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \xff\x1b[31m\r\n\r\n")
        self.assertEqual((self.line()["uri"], self.line()["user_agent"]), ("http://localhost/\\x80", "\\xff\x1b[31m"))

    def test_request_ids(self) -> None:
        pattern = r"box/[A-Za-z0-9]{10}-00000%d"
        for number, header in enumerate(("", "a b", "x" * 65, "ä"), 1):
            self.server.events.clear()
            self.ask("GET", PATH, None, {"X-Request-Id": header})
            self.assertRegex(self.line()["request_id"], re.compile(pattern % number))
        self.server.events.clear()
        self.ask("GET", PATH)
        self.assertRegex(self.line()["request_id"], re.compile(pattern % 5))

    def test_two_processes_have_other_ids(self) -> None:
        self.assertNotEqual(RequestIds("box").id_for(None), RequestIds("box").id_for(None))
