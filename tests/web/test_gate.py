from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.web.gate import hosts_for
from tests.web.talk import Received, Reply, Server, Wire, head, user

PATH = "/api/v1/user"


class GateCase(SynchronousTestCase):
    def ask(self, server: Server, method: str, headers: dict[str, str], path: str = PATH) -> Reply:
        body = user() if method == "POST" else {"uid": 1} if method == "PUT" else None
        return self.successResultOf(Deferred.fromCoroutine(server.call(method, path, body, headers)))

    def raw(self, server: Server, request: bytes) -> Reply:
        return Received(Wire(server.site).send(request)).reply()


class Hosts(GateCase):
    def test_names_of_the_loopback_interface(self) -> None:
        server = Server()
        for host in ("localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080", "localhost:"):
            self.assertEqual((host, self.ask(server, "GET", {"Host": host}).status), (host, 200))

    def test_other_names(self) -> None:
        server = Server()
        for host in (
            "evil.example",
            "evil.example:18080",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "192.168.0.1:18080",
            "[::2]",
            "::1",
            "2130706433",
            "\N{FULLWIDTH LATIN SMALL LETTER L}ocalhost",
            "",
        ):
            for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS"):
                reply = self.ask(server, method, {"Host": host})
                self.assertIn(reply.status, (403, 400), (host, method))
                self.assertEqual(reply.status, 400 if host == "::1" else 403)
        self.assertEqual(self.ask(server, "GET", {}).json, [])

    def test_malformed(self) -> None:
        server = Server(allowed_hosts=None, bind_address="")
        for host in (
            "a b",
            "user@localhost",
            "localhost:x",
            "localhost:123456",
            "[::1",
            "a/b",
            "a,b:1:2",
            "[localhost]",
        ):
            reply = self.ask(server, "GET", {"Host": host})
            self.assertEqual((host, reply.status), (host, 400))
            self.assertEqual(reply.json, {"error": "the Host header is malformed", "message": "", "status": 400})

    def test_none_or_two(self) -> None:
        server = Server(bind_address="")
        for lines in (b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: a\r\nhost: b\r\n"):
            reply = self.raw(server, b"GET /api/v1/user HTTP/1.1\r\n" + lines + b"\r\n")
            self.assertEqual((lines, reply.status), (lines, 400))

    def test_http_1_0_needs_no_host(self) -> None:
        request = b"GET /api/v1/user HTTP/1.0\r\n\r\n"
        self.assertEqual(self.raw(Server(bind_address=""), request).status, 200)
        self.assertEqual(self.raw(Server(), request).status, 403)

    def test_any_name_on_other_addresses(self) -> None:
        for address in ("", "0.0.0.0", "::", "192.168.0.1"):
            server = Server(bind_address=address)
            for host in ("evil.example", "a..b", "x" * 300, "ä.example", "\N{PILE OF POO}"):
                self.assertEqual((host, self.ask(server, "GET", {"Host": host}).status), (host, 200))

    def test_given_names(self) -> None:
        server = Server(allowed_hosts=["SFTP.example"])
        self.assertEqual(self.ask(server, "GET", {"Host": "sftp.EXAMPLE:8080"}).status, 200)
        self.assertEqual(self.ask(server, "GET", {"Host": "localhost"}).status, 403)
        self.assertEqual(self.ask(Server(allowed_hosts=[]), "GET", {"Host": "localhost"}).status, 403)

    def test_hosts_for(self) -> None:
        loopback = {"localhost", "127.0.0.1", "[::1]"}
        for address, hosts in (
            ("127.0.0.1", loopback),
            ("::1", loopback),
            ("localhost", loopback),
            ("127.1.2.3", loopback | {"127.1.2.3"}),
            ("", None),
            ("0.0.0.0", None),
            ("::", None),
            ("10.0.0.1", None),
            ("sftp.example", None),
        ):
            self.assertEqual((address, hosts_for(address)), (address, hosts))


class Origins(GateCase):
    def changes(self, headers: dict[str, str], **options: Any) -> set[int]:
        """What POST, PUT and DELETE answer to a request with these headers."""
        server = Server(**options)
        self.assertEqual(self.ask(server, "POST", {}).status, 200)
        statuses = {self.ask(server, method, headers, f"{PATH}/1").status for method in ("PUT", "DELETE")}
        return statuses | {self.ask(Server(**options), "POST", headers).status}

    def test_own(self) -> None:
        for headers in (
            {},
            {"Origin": "http://127.0.0.1:18080"},
            {"Origin": "HTTP://LOCALHOST:7", "Host": "localhost:7"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ):
            self.assertEqual((headers, self.changes(headers)), (headers, {200}))

    def test_behind_a_proxy_that_speaks_tls(self) -> None:
        headers = {"Origin": "https://sftp.example", "Host": "sftp.example", "Sec-Fetch-Site": "same-origin"}
        self.assertEqual(self.changes(headers, bind_address=""), {200})

    def test_foreign(self) -> None:
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://127.0.0.1"},
            {"Origin": "http://127.0.0.1:3000"},
            {"Origin": "http://localhost:18080"},
            {"Origin": "http://127.0.0.1:18080.evil.example"},
            {"Origin": "http://127.0.0.1:18080", "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": ""},
        ):
            self.assertEqual((headers, self.changes(headers)), (headers, {403}))

    def test_a_second_header_does_not_hide_the_first(self) -> None:
        server = Server()
        lines = {"Content-Length": "0", "Origin": "http://evil.example\r\nOrigin: http://127.0.0.1:18080"}
        self.assertEqual(self.raw(server, head("DELETE", f"{PATH}/1", lines)).status, 403)

    def test_reading_is_not_held_up(self) -> None:
        for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204)):
            reply = self.ask(Server(), method, {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
            self.assertEqual((method, reply.status), (method, status))

    def test_nothing_is_let_in_by_a_header_of_proxies(self) -> None:
        headers = {"Host": "evil.example", "X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
        self.assertEqual(self.ask(Server(), "GET", headers).status, 403)
