"""What the users' pages do by scripts of their own, on top of the forms that work without."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.web.pages import PageTestCase


class ScriptTests(PageTestCase):
    def setUp(self) -> None:
        super().setUp()
        for user in self.server.rest("GET", "/user?limit=500"):
            self.server.rest("DELETE", f"/user/{user['id']}")

    def stored(self, username: str) -> dict[str, Any]:
        (found,) = self.server.rest("GET", f"/user?username={username}")
        return dict(found)

    def choose(self, selector: str, value: str) -> None:
        """Set a field as a script does: how a time is typed is another thing in each country."""
        self.browser.script(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            value,
        )

    def test_expiration_in_the_zone_of_the_browser(self) -> None:
        added = self.server.add_user("alice", expiration_date=1893456000123)
        self.browser.command("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
        self.addCleanup(self.browser.command, "Emulation.setTimezoneOverride", timezoneId="")
        self.go(f"/web/user/{added['id']}")
        self.browser.wait_for_text("Expiration (Asia/")
        self.assertTrue(self.browser.find("#expiration_date").get_attribute("value").startswith("2030-01-01T05:30"))
        self.browser.click(".formbuttons .btn-primary")
        self.browser.wait_for_text("“alice” was saved.")
        self.assertEqual(self.stored("alice")["expiration_date"], 1893456000123)
        self.go(f"/web/user/{added['id']}")
        self.choose("#expiration_date", "2031-06-01T00:00")
        self.browser.click(".formbuttons .btn-primary")
        self.browser.wait_for_text("“alice” was saved.")
        self.assertEqual(self.stored("alice")["expiration_date"], 1938018600000)
        self.go(f"/web/user/{added['id']}")
        self.choose("#expiration_date", "")
        self.browser.click(".formbuttons .btn-primary")
        self.browser.wait_for_text("“alice” was saved.")
        self.assertEqual(self.stored("alice")["expiration_date"], 0)

    def test_expiration_on_the_day_the_clock_is_changed(self) -> None:
        """What was picked is stored and shown again; an hour that is left out becomes the one after it."""
        added = self.server.add_user("alice")
        self.addCleanup(self.browser.command, "Emulation.setTimezoneOverride", timezoneId="")
        for zone, picked, stored, shown in (
            ("Europe/Berlin", "2030-03-31T00:00", "2030-03-30T23:00", "2030-03-31T00:00"),
            ("Europe/Berlin", "2030-03-31T02:30", "2030-03-31T01:30", "2030-03-31T03:30"),
            ("Europe/Berlin", "2030-10-27T02:30", "2030-10-27T00:30", "2030-10-27T02:30"),
            ("Europe/Berlin", "2030-10-27T23:59:59", "2030-10-27T22:59:59", "2030-10-27T23:59:59"),
            # There the day of the change had no midnight.
            ("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T03:00", "2018-11-04T01:00"),
            ("America/Sao_Paulo", "2018-11-03T23:59:59", "2018-11-04T02:59:59", "2018-11-03T23:59:59"),
        ):
            self.browser.command("Emulation.setTimezoneOverride", timezoneId=zone)
            self.go(f"/web/user/{added['id']}")
            self.choose("#expiration_date", picked)
            self.browser.script("document.getElementById('expiration_date').dispatchEvent(new Event('blur'))")
            self.assertEqual(self.browser.script("return expiration_date.value").removesuffix(":00.000"), shown)
            self.browser.click(".formbuttons .btn-primary")
            self.browser.wait_for_text("“alice” was saved.")
            milliseconds = round(datetime.fromisoformat(stored).replace(tzinfo=UTC).timestamp()) * 1000
            self.assertEqual((picked, self.stored("alice")["expiration_date"]), (picked, milliseconds))
            self.go(f"/web/user/{added['id']}")
            self.assertEqual(self.browser.script("return expiration_date.value").removesuffix(":00.000"), shown)
            day = self.browser.script("return new Date(arguments[0]).toLocaleDateString('en-US')", milliseconds)
            self.assertEqual(datetime.strptime(day, "%m/%d/%Y").date().isoformat(), shown[:10])
        # The hour there is twice: the second one stays the second one.
        second = round(datetime(2030, 10, 27, 1, 30, tzinfo=UTC).timestamp()) * 1000
        self.server.rest("PUT", f"/user/{added['id']}", {"expiration_date": second})
        self.browser.command("Emulation.setTimezoneOverride", timezoneId="Europe/Berlin")
        self.go(f"/web/user/{added['id']}")
        self.browser.script("document.getElementById('expiration_date').dispatchEvent(new Event('blur'))")
        self.assertTrue(self.browser.script("return expiration_date.value").startswith("2030-10-27T02:30"))
        self.browser.click(".formbuttons .btn-primary")
        self.browser.wait_for_text("“alice” was saved.")
        self.assertEqual(self.stored("alice")["expiration_date"], second)

    def test_directories_as_rows(self) -> None:
        permissions = {"/": ["list"], "/a": ["list", "download"], "/b:c": ["*"]}
        added = self.server.add_user("alice", permissions=permissions)
        self.go(f"/web/user/{added['id']}")
        self.assertEqual(len(self.browser.all(".entry")), 2)
        self.browser.fill("#explain-path", "/b:c/x")
        self.browser.wait_for_text("As it is saved: allowed.", "#explain-stored")
        self.browser.click(".entry:nth-of-type(1) button")
        self.browser.click("#permissions-download")
        self.browser.click(".formbuttons .btn-primary")
        self.browser.wait_for_text("“alice” was saved.")
        self.assertEqual(self.stored("alice")["permissions"], {"/": ["list", "download"], "/b:c": ["*"]})

    def test_directories_are_checked_as_one_types(self) -> None:
        self.go("/web/user")
        self.browser.click("#directories > button")
        for path, told in (
            ("in", "must begin with a slash"),
            ("//", "home stands above"),
            ("/in", "Choose at"),
        ):
            self.browser.fill(".entry input[type=text]", path)
            self.browser.wait_for_text(told, ".entry .fault")
        self.browser.click(".entry input[value=upload]")
        self.browser.wait(lambda: not self.browser.text(".entry .fault"), "the fault stays")
        self.browser.fill("#explain-path", "/in/file")
        self.browser.wait_for_text("As it stands here: refused. The entry of /in decides: upload.", "#explain")

    def test_a_scan_is_shown_to_its_end(self) -> None:
        # A home that no other test of this server has.
        self.server.add_user("scanned")
        home = self.server.home("scanned")
        home.mkdir(parents=True, exist_ok=True)
        (home / "file").write_bytes(bytes(1234))
        self.go("/web/users")
        self.browser.click("summary")
        self.browser.click(".items button")
        self.browser.wait_for_text("1.2 KB", "tbody .quota")
        self.assertEqual(self.stored("scanned")["used_quota_size"], 1234)
