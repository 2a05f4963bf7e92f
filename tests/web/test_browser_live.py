"""The live pages, as a person sees them while real clients come and go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selenium.webdriver.common.keys import Keys

from tests.web.browser import NARROW, WIDE
from tests.web.clients import Client, refused
from tests.web.pages import PageTestCase

ROW = "#table tbody tr"

#: As a user, a client and a file may be named.
EVIL = "<img src=x onerror=document.title='pwned'>"
EVIL_FILE = "<img src=x onerror=document.title='pwned'><script>alert(1)\"'&amp;.bin"


class LiveCase(PageTestCase):
    #: A server of their own: they count what is on it.
    config: Mapping[str, Mapping[str, Any]] = {"sftpd": {"banner": "live"}}

    def setUp(self) -> None:
        super().setUp()
        if not self.server.rest("GET", "/user?username=alice"):
            for username in ("alice", "bob", EVIL):
                self.server.add_user(username, home_dir=str(self.server.directory / "homes" / username[:5]))
        # The connections of the test before may not have ended yet.
        self.browser.wait(lambda: not self.server.rest("GET", "/connection"), "somebody is still connected")

    def connect(self, username: str = "alice", **options: str) -> Client:
        client = Client(self.server, username, **options)
        self.addCleanup(client.close)
        return client

    def rows(self) -> list[str]:
        # In one step, for they change while one looks.
        texts = self.browser.script(f"return [...document.querySelectorAll('{ROW}')].map(row => row.innerText)")
        return [" ".join(text.split()) for text in texts]


class ConnectionsTests(LiveCase):
    def test_they_come_and_go_without_a_reload(self) -> None:
        self.go("/web/connections")
        self.browser.wait_for_text("No user connected")
        self.browser.wait_for_text("Live", "#live")
        client = self.connect()
        self.browser.wait_for_text('SFTP. Client: "SSH-2.0-client_1.0" From: "127.0.0.1:', ROW)
        file = client.upload("growing", 1_000_000)
        self.browser.wait_for_text("Size 1 MB ", ROW)
        self.assertIn("UL /growing", self.rows()[0])
        file.write(bytes(500_000))
        self.browser.wait_for_text("Size 1.5 MB", ROW)
        self.assertRegex(self.rows()[0], r"Elapsed \d\d:\d\d Speed [\d.]+ [KM]?B/s")
        file.close()
        self.browser.wait(lambda: "/growing" not in self.rows()[0], "the transfer does not end")
        other = self.connect("bob")
        self.browser.wait(lambda: len(self.rows()) == 2, "the second is not shown")
        self.browser.fill("#filter", "BOB")
        self.browser.wait_for_text("Showing 1 of 2")
        self.assertTrue(self.rows()[0].startswith("bob"))
        self.browser.fill("#filter", " ")
        client.close()
        other.close()
        self.browser.wait_for_text("No user connected")
        self.assertEqual(len(self.look_at("/web/connections")), 1)

    def test_disconnect(self) -> None:
        client = self.connect()
        self.go("/web/connections")
        self.browser.wait_for_text("Live", "#live")
        self.browser.click(f"{ROW} a")
        self.assertEqual(self.browser.text("#confirm h2"), "Disconnect alice?")
        self.assert_accessible()
        self.browser.click('#confirm button[value=""]')
        self.assertTrue(client.transport.is_active())
        self.browser.click(f"{ROW} a")
        self.browser.click("#confirm button[value=yes]")
        self.browser.wait_for_text("No user connected")
        self.browser.wait(lambda: not client.transport.is_active(), "the client is still there")
        self.assertEqual([e.method for e in self.look_at("/api/v1/connection/")], ["DELETE"])

    def test_disconnect_by_keyboard_alone(self) -> None:
        client = self.connect()
        self.go("/web/connections")
        self.browser.wait_for_text("Live", "#live")
        self.browser.press_until("Disconnect alice", Keys.TAB)
        self.browser.press(Keys.ENTER)
        self.browser.find("#confirm[open]")
        self.browser.press(Keys.ESCAPE)
        self.browser.wait(lambda: not self.browser.all("#confirm[open]"), "Escape does not close the question")
        # Who said no is where he was.
        self.assertTrue(self.browser.focused().startswith("Disconnect"))
        self.browser.press(Keys.ENTER)
        self.browser.find("#confirm[open]")
        self.browser.press_until("Disconnect", Keys.TAB)
        self.browser.press(Keys.ENTER)
        self.browser.wait(lambda: not client.transport.is_active(), "the client is still there")
        self.browser.wait_for_text("No user connected")

    def test_disconnect_without_scripts(self) -> None:
        client = self.connect()
        client.upload("file", 10)
        with self.browser.without_scripts():
            self.go("/web/connections")
            self.assertIn("/file", self.rows()[0])
            self.browser.click(f"{ROW} a")
            self.browser.wait_for_text("Disconnect alice?")
            self.assertIn("UL /file, 10 B", self.browser.text())
            self.browser.click("main form button")
            self.browser.wait_for_text("The connection was told to end.")
            self.browser.wait(lambda: not client.transport.is_active(), "the client is still there")
            self.browser.wait(lambda: self.go("/web/connections") or not self.rows(), "it is still listed")
            self.assertIn("No user connected", self.browser.text())

    def test_the_server_goes_and_comes_back(self) -> None:
        self.go("/web/connections")
        self.browser.wait_for_text("Live", "#live")
        # The stream breaks, and nobody answers for a while.
        self.expected.append("net::ERR_INTERNET_DISCONNECTED")
        self.browser.offline(True)
        self.addCleanup(self.browser.offline, False)
        self.browser.script("window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
        self.browser.wait_for_text("No connection to the server, trying again", "#live")
        self.browser.offline(False)
        self.browser.wait_for_text("Live", "#live")
        self.connect()
        self.browser.wait_for_text("alice", ROW)


class HostileNames(LiveCase):
    """Whatever somebody calls himself, his client and his files: it is shown, and it is inert."""

    def test_they_are_text_everywhere(self) -> None:
        client = self.connect(EVIL, version=f"SSH-2.0-{EVIL}")
        client.upload(EVIL_FILE, 1000)
        places = 0
        for path in ("/web/connections", "/web/status", "/web/connections?q=%3Cimg%20src%3Dx"):
            self.go(path)
            self.browser.wait_for_text("Live", "#live")
            places += self.assert_inert()
            if "connections" in path:
                self.assert_named(self.rows()[0])
        self.browser.click(f"{ROW} a")
        self.assertEqual(self.browser.text("#confirm h2"), f"Disconnect {EVIL}?")
        places += self.assert_inert()
        self.browser.press(Keys.ESCAPE)
        self.go(self.browser.find(f"{ROW} a").get_attribute("href").removeprefix(self.origin))
        self.assertIn(EVIL_FILE, self.browser.text("main"))
        places += self.assert_inert()
        with self.browser.without_scripts():
            self.go("/web/connections")
            self.assert_named(self.rows()[0])
            places += self.assert_inert()
        # User, client and file: live, filtered and without scripts; the question asks for the user; the page, for all.
        self.assertGreaterEqual(places, 14)
        print(f"\nhostile names: shown {places} times, run 0 times")

    def assert_named(self, row: str) -> None:
        self.assertTrue(row.startswith(EVIL), row)
        self.assertIn(f'Client: "SSH-2.0-{EVIL}"', row)
        self.assertIn(f"/{EVIL_FILE}", row)

    def assert_inert(self) -> int:
        """Nothing of the names has become an element; returns how often one is shown."""
        self.assertEqual(self.browser.all("img[src=x], [onerror], main script"), [])
        self.assertTrue(self.browser.driver.title.startswith("SFTPGo - "))
        return self.browser.text().count("<img src=x onerror=")


class StatusTests(LiveCase):
    def shown(self, name: str) -> str:
        return self.browser.text(f'[data-shows="{name}"]')

    def points(self) -> str:
        return self.browser.find("#throughput polyline.line-1").get_attribute("points") or ""

    def test_it_moves(self) -> None:
        self.go("/web/status")
        self.browser.wait_for_text("Live", "#live")
        before = self.points()
        self.browser.wait(lambda: self.points() != before, "the plot does not move")
        self.assertEqual(self.shown("connections"), "0")
        failed = int(self.shown("logins_failed"))
        client = self.connect()
        self.browser.wait(lambda: self.shown("connections") == "1", "the connection is not counted")
        file = client.upload("moving", 3_000_000)
        self.browser.wait(lambda: "MB/s" in self.seen_rates() or "KB/s" in self.seen_rates(), "no throughput is shown")
        self.browser.wait(lambda: self.shown("transfers") == "1", "the transfer is not counted")
        self.browser.wait(lambda: "MB" in self.shown("uploaded"), "what was received is not counted")
        self.assertEqual(len(self.browser.all("#throughput polyline")), 2)
        file.close()
        self.browser.wait(lambda: self.shown("transfers") == "0", "the transfer does not end")
        refused(self.server, "alice")
        self.browser.wait(lambda: int(self.shown("logins_failed")) == failed + 1, "the refusal is not counted")
        self.assertEqual(self.shown("provider"), "Answers")
        self.assertEqual(len(self.look_at("/web/status")), 1)

    def seen_rates(self) -> str:
        """What the plot reaches up to: the peak stays when the rate has sunk."""
        return self.browser.text("#throughput .plot-top") if self.peak() else ""

    def peak(self) -> bool:
        heights = [float(pair.split(",")[1]) for pair in self.points().split()]
        return bool(heights) and min(heights) < 149

    def test_disks(self) -> None:
        self.go("/web/status")
        ((mounted, homes),) = [
            (row.find_element("css selector", "th").text, row.find_element("css selector", "td").text)
            for row in self.browser.all("#disks tr")
        ]
        self.assertTrue(mounted.startswith("/"))
        self.assertEqual(homes, "3")
        self.browser.script("document.querySelector('details').open = true")
        self.assert_accessible()

    def test_without_scripts(self) -> None:
        with self.browser.without_scripts():
            self.go("/web/status")
            self.assertEqual(self.browser.all("figure:not([hidden])"), [])
            self.assertEqual(self.shown("connections"), "0")
            self.browser.click("summary")
            self.assertTrue(self.browser.find("details[open] table").is_displayed())


class LookTests(LiveCase):
    def test_accessible_and_narrow_enough_in_both_themes(self) -> None:
        client = self.connect()
        client.upload("a-file-with-a-rather-long-name-" * 4, 1000)
        (session,) = self.server.rest("GET", "/connection")
        for path in ("/web/connections", "/web/status", f"/web/connections/{session['connection_id']}"):
            self.go(path)
            if self.browser.all("#live"):
                self.browser.wait_for_text("Live", "#live")
            for scheme, size in (("light", WIDE), ("dark", NARROW)):
                self.browser.scheme(scheme)
                self.browser.size(*size)
                self.assert_accessible()
                self.assertLessEqual(self.browser.script("return document.documentElement.scrollWidth"), size[0])

    def test_weight_and_paint(self) -> None:
        for path in ("/web/connections", "/web/status"):
            self.browser.fresh()
            self.go(path)
            self.browser.wait_for_text("Live", "#live")
            paint = self.browser.first_paint()
            octets = self.browser.weight()
            self.assertLess(octets, 200_000)
            print(f"\n{path}: {octets / 1000:.0f} KB, first paint after {paint:.0f} ms")
