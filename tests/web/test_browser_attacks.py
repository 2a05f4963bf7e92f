"""Somebody else's page in the browser of who administers the server: it changes nothing and reads nothing."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver.common.keys import Keys
from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, Server, shared_server
from tests.web import foreignpage
from tests.web.browser import REBOUND, Browser, shared_browser
from tests.web.clients import Client
from tests.web.pages import GUARDED, GUARDED_FILES

_CREDENTIALS = "Basic " + b64encode(b"admin:admin-secret").decode()


class Attacks:
    """Against a server; from another port of the same host, where cookies are sent along, and from another host."""

    config: Mapping[str, Mapping[str, Any]]
    files: Mapping[str, str] = {}

    browser: Browser
    server: Server

    def setUp(self: Any) -> None:
        self.browser = shared_browser()
        self.server = shared_server(self.config, self.files)
        self.target = f"http://127.0.0.1:{self.server.http_port}"
        if not self.rest("GET", "/user"):
            self.rest("POST", "/user", self.account("alice"))
        # The connection of the test before may not have ended yet.
        self.browser.wait(lambda: not self.rest("GET", "/connection"), "somebody is still connected")
        self.client = Client(self.server)
        self.addCleanup(self.client.close)
        self.log_in()
        serving = foreignpage.foreign_page()
        self.foreign_port = serving.__enter__()
        self.addCleanup(serving.__exit__, None, None, None)

    def log_in(self) -> None:
        """Be who administers the server, where one has to say so."""

    def account(self, username: str) -> dict[str, Any]:
        given = {"username": username, "password": f"{username}-secret", "status": 1, "permissions": {"/": ["*"]}}
        return given | {"home_dir": str(self.server.home(username))}

    def rest(self, method: str, path: str, body: object = None) -> Any:
        """As a program does that may."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": _CREDENTIALS}
        request = urllib.request.Request(f"{self.target}/api/v1{path}", content, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def state(self: Any) -> Any:
        """What nobody else may change."""
        backups = self.server.directory / "backups"
        connections = [each["connection_id"] for each in self.rest("GET", "/connection")]
        return (
            [{**each, "last_login": 0} for each in self.rest("GET", "/user")],
            connections,
            self.rest("GET", "/quota_scan"),
            sorted(backups.iterdir()) if backups.exists() else [],
        )

    def attack(self: Any, *scripts: str, origin: str = "") -> None:
        """Have these run there; nothing may come of it."""
        before = self.state()
        backup = self.server.directory / "users.json"
        backup.write_text(json.dumps({"users": [self.account("carol") | {"id": 7}]}))
        given = {**self.account("mallory"), "connections": before[1], "backup": str(backup)}
        for script in scripts:
            for host in ("127.0.0.1", "localhost"):
                self.browser.driver.get(origin or f"http://{host}:{self.foreign_port}/")
                found = self.browser.driver.execute_async_script(script, self.target, given)
                self.assertEqual(found, {"spoil": []}, (host, script))
        self.assertEqual(self.state(), before)
        self.assertEqual(self.client.sftp.listdir("/"), [])
        self.assert_in_still()

    def assert_in_still(self: Any) -> None:
        """Nobody was logged out, or logged in as somebody else."""
        self.browser.driver.get(f"{self.target}/web/users")
        self.assertEqual(self.browser.driver.current_url, f"{self.target}/web/users")
        self.browser.wait_for_text("alice", "tbody")

    def test_requests(self: Any) -> None:
        self.attack(foreignpage.FETCHES, foreignpage.ELEMENTS, foreignpage.FORMS)
        # All of it arrived, and this is what kept it out.
        sent = [
            line
            for line in self.server.log_lines()
            if line.get("method") in ("POST", "PUT", "DELETE") and "Mozilla" in line["user_agent"]
        ]
        refused = [line for line in sent if line["resp_status"] == 403]
        self.assertGreater(len(refused), 100)
        others = {(line["resp_status"], urlsplit(line["uri"]).path) for line in sent if line not in refused}
        self.assertEqual(others, {(303, "/web/login")} if self.files else set())

    def test_frames(self: Any) -> None:
        driver = self.browser.driver
        driver.get(f"http://127.0.0.1:{self.foreign_port}/")
        found = driver.execute_async_script(foreignpage.FRAMES, self.target, {"connections": [], "backup": ""})
        self.assertEqual(found, {"spoil": []})
        frames = self.browser.all("iframe")
        self.assertGreater(len(frames), 10)
        for frame in frames:
            driver.switch_to.frame(frame)
            address, text = self.browser.script("return [location.href, document.body.innerText]")
            driver.switch_to.default_content()
            self.assertTrue(address.startswith("chrome-error:"), address)
            self.assertNotIn("alice", text)

    def test_opened_window(self: Any) -> None:
        driver = self.browser.driver
        driver.get(f"http://127.0.0.1:{self.foreign_port}/")
        first = driver.current_window_handle
        found = driver.execute_async_script(foreignpage.OPENER, self.target, {"connections": [], "backup": ""})
        self.assertEqual(found, {"spoil": []})
        (other,) = set(driver.window_handles) - {first}
        driver.switch_to.window(other)
        try:
            self.browser.wait_for_text("alice", "tbody")
            self.assertIsNone(self.browser.script("return window.opener"))
        finally:
            driver.close()
            driver.switch_to.window(first)

    def test_name_that_leads_here_by_now(self: Any) -> None:
        self.attack(foreignpage.REBINDING, origin=f"http://{REBOUND}:{self.server.http_port}/web/users")


class Open(Attacks, SynchronousTestCase):
    """Who reaches it is believed: all depends on telling the pages apart."""

    config = {"sftpd": {"banner": "attacked"}}


class Guarded(Attacks, SynchronousTestCase):
    """A session's cookie goes to every port of the host."""

    config = {**GUARDED, "sftpd": {"banner": "attacked"}}
    files = GUARDED_FILES

    def log_in(self) -> None:
        self.browser.driver.get(f"{self.target}/web/users")
        self.browser.fill("#username", "admin")
        self.browser.fill("#password", "admin-secret")
        self.browser.press(Keys.ENTER)
        self.browser.wait_for_text("alice", "tbody")
