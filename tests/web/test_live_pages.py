from __future__ import annotations

import html
import re
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.activity import Totals
from sftpgo.web import shown
from sftpgo.web.connectionspage import MOST
from sftpgo.web.statuspage import minutes
from tests.web.talk import Reply, Server
from tests.web.test_status import failing, sick

HOSTILE = "<img src=x onerror=pwned()>\"'&\u202e\udc80"


class LiveCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.closed: list[str] = []

    def ask(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Reply:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        method, body = ("GET", None) if form is None else ("POST", urlencode(form).encode())
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, body, fields)))

    def connect(self, connection_id: str, username: str = "alice", protocol: str = "SFTP", command: str = "") -> None:
        registry = self.server.registry
        registry.opened(
            connection_id,
            client_version="SSH-2.0-x",
            remote_address="192.0.2.1:5",
            close=lambda: self.closed.append(connection_id),
            now=0,
        )
        registry.try_login(connection_id, username, 0, 0)
        registry.channel_opened(connection_id, protocol, 0, command)

    def rows(self, reply: Reply) -> list[str]:
        """The table's rows, as a reader without a browser sees them."""
        table = re.sub(r"<template.*?</template>", "", reply.body.decode(), flags=re.DOTALL)
        rows = re.findall(r"<tr [^>]*data-id.*?</tr>", table, re.DOTALL)
        return [html.unescape(" ".join(re.sub(r"<[^>]*>", "", row).split())) for row in rows]


class ConnectionsTests(LiveCase):
    def test_table(self) -> None:
        self.connect("a" * 64)
        self.connect("b" * 64, "bob", "SSH", "md5sum /f")
        transfer = self.server.registry.transfer_started("a" * 64, "upload", "/d", 1_000)
        transfer.size = 98_300
        self.server.clock.advance(3600)
        self.assertEqual(
            self.rows(self.ask("/web/connections")),
            [
                'alice Time 01:00:00 SFTP. Client: "SSH-2.0-x" From: "192.0.2.1:5" UL /d '
                "Size 98.3 KB Elapsed 59:59 Speed 27 B/s Disconnect alice from 192.0.2.1:5",
                'bob Time 01:00:00 SSH. Client: "SSH-2.0-x" From: "192.0.2.1:5". Command: "md5sum /f" '
                "Disconnect bob from 192.0.2.1:5",
            ],
        )

    def test_nobody(self) -> None:
        reply = self.ask("/web/connections")
        self.assertIn(b'<p id="nobody" class="empty">No user connected</p>', reply.body)
        self.connect("a")
        self.assertIn(b'<p id="nobody" class="empty" hidden>', self.ask("/web/connections").body)

    def test_many(self) -> None:
        for number in range(MOST + 5):
            self.connect(str(number), f"user{number:03}")
        reply = self.ask("/web/connections")
        self.assertEqual(len(self.rows(reply)), MOST)
        self.assertIn(b"Showing 200 of 205", reply.body)
        (row,) = self.rows(self.ask("/web/connections?q=USER204"))
        self.assertTrue(row.startswith("user204 "))

    def test_whatever_clients_name_themselves_is_text(self) -> None:
        self.connect("a", HOSTILE, "SSH", HOSTILE)
        self.server.registry.transfer_started("a", "upload", f"/{HOSTILE}", 1)
        for path in (
            "/web/connections",
            "/web/connections/a",
            "/web/connections?q=" + "%3Cimg+src%3Dx%3E",
            "/web/status",
        ):
            page = self.ask(path).body.decode()
            self.assertNotIn("<img src=x", page)
            self.assertEqual(page.count("onerror"), page.count("&lt;img src=x onerror=pwned()&gt;"))

    def test_disconnect(self) -> None:
        self.connect("a" * 64)
        path = f"/web/connections/{'a' * 64}"
        asked = self.ask(path)
        self.assertIn(b"Disconnect <bdi>alice</bdi>?", asked.body)
        token = re.findall(r'name="form_token" value="([0-9a-f]+)"', asked.body.decode())[0]
        cookie = asked.headers["Set-Cookie"].partition(";")[0]
        self.assertEqual(self.closed, [])
        done = self.ask(path, {"form_token": token}, Cookie=cookie)
        self.assertEqual((done.status, done.headers["Location"]), (303, "/web/connections?ended=1"))
        self.assertEqual(self.closed, ["a" * 64])
        self.assertIn(b"was told to end", self.ask("/web/connections?ended=1").body)

    def test_nothing_ends_without_the_forms_token(self) -> None:
        self.connect("a")
        cookie = self.ask("/web/connections/a").headers["Set-Cookie"].partition(";")[0]
        for form in ({}, {"form_token": ""}, {"form_token": "0" * 64}):
            self.assertEqual(self.ask("/web/connections/a", form, Cookie=cookie).status, 403)
        self.assertEqual(self.closed, [])

    def test_one_that_has_gone(self) -> None:
        for path in ("/web/connections/gone", "/web/connections/%3Cimg%3E"):
            reply = self.ask(path)
            self.assertEqual(reply.status, 404)
            self.assertIn(b"This connection has ended already.", reply.body)


class StatusTests(LiveCase):
    def test_numbers_are_there_without_scripts(self) -> None:
        self.connect("a")
        self.server.registry.transfer_started("a", "download", "/f", 0).size = 1_500_000
        self.server.metrics.login_failed("password")
        self.server.clock.advance(90_000)
        page = " ".join(re.sub(r"<[^>]*>", " ", self.ask("/web/status").body.decode()).split())
        self.assertIn("Connections 1 Transfers 1 Received 0 B Sent 1.5 MB Logins 0 1 failed", page)
        self.assertIn("Up for 1 d 1 h", page)
        self.assertIn("1.2.3-abc-2020-01-01", page)
        self.assertIn("Answers within 0 ms", page)
        self.assertIn("The server has not run for a minute yet.", page)

    def test_minutes(self) -> None:
        def moment(second: int) -> Totals:
            return Totals(second * 1000, second, 2, second * 10, second, 0, 0, 0, 0, second // 60, 0, True)

        told = minutes([moment(second) for second in range(0, 185, 5)])
        self.assertEqual([(each.time, each.uploaded, each.logins_ok) for each in told],
                         [(180_000, 600, 1), (120_000, 600, 1), (60_000, 600, 1)])  # fmt: skip
        self.assertEqual((minutes([]), minutes([moment(1)])), ([], []))


class Down(SynchronousTestCase):
    def test_the_dashboard_says_so(self) -> None:
        server = Server(sick(failing))
        reply = self.successResultOf(Deferred.fromCoroutine(server.call("GET", "/web/status")))
        page = " ".join(re.sub(r"<[^>]*>", " ", reply.body.decode()).split())
        self.assertEqual(reply.status, 200)
        self.assertIn("Down the disk is on fire", page)


class ShownTests(SynchronousTestCase):
    def test_words(self) -> None:
        self.assertEqual(
            [shown.elapsed(ms) for ms in (-5, 0, 61_999, 3_600_000)], ["00:00", "00:00", "01:01", "01:00:00"]
        )
        self.assertEqual([shown.span(minutes * 60_000) for minutes in (0, 61, 1501)], ["0 min", "1 h 1 min", "1 d 1 h"])
        self.assertEqual([shown.rate(61_249.6), shown.rate(0.4)], ["61.2 KB/s", "0 B/s"])
        self.assertEqual(shown.count(1234567), "1,234,567")
