"""What the tests of pages in a real browser have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import Server, shared_server
from tests.web.browser import Browser, Exchange, shared_browser

#: A server that wants a log-in: C{admin}, with the password C{admin-secret}.
GUARDED: Mapping[str, Mapping[str, Any]] = {"httpd": {"auth_user_file": "administrators"}}
GUARDED_FILES = {"administrators": "admin:$2b$04$tXZZZ0B17AYhYbaqGVSmB.eUT9HgEtOaIw0mfZQCyeVB3tBjLR1CO\n"}


class PageTestCase(SynchronousTestCase):
    """A browser that has never been here, and a server to look at.

    No test passes whose pages complained to the console or asked another server for something.

    @ivar config: of the server; those of equal configuration share one, and what is on it.
    @ivar files: what else is in its configuration directory.
    @ivar expected: what the console may say, as regular expressions: a refusal that the test wants.
    """

    config: Mapping[str, Mapping[str, Any]] = {"sftpd": {"banner": "pages"}}
    files: Mapping[str, str] = {}

    server: Server
    browser: Browser
    origin: str

    def setUp(self) -> None:
        self.browser = shared_browser()
        self.server = shared_server(self.config, self.files)
        self.origin = f"http://127.0.0.1:{self.server.http_port}"
        self.expected: list[str] = []
        self.addCleanup(self.check_what_was_seen)

    def look_at(self, path: str) -> list[Exchange]:
        """What was asked for that begins so."""
        self.browser.look()
        return [e for e in self.browser.exchanges.values() if e.url.startswith(self.origin + path)]

    def go(self, path: str) -> None:
        """Open a page."""
        self.browser.driver.get(self.origin + path)

    @property
    def path(self) -> str:
        """Where the browser is: path and query."""
        return self.browser.driver.current_url.removeprefix(self.origin)

    def check_what_was_seen(self) -> None:
        """Nothing on the console that nobody expected, and no request to anybody else."""
        self.browser.look()
        complaints = [text for text in self.browser.complaints if not any(re.search(e, text) for e in self.expected)]
        self.assertEqual(complaints, [])
        self.assertEqual(self.browser.foreign(self.origin), [])
        self.assertTrue([exchange for exchange in self.browser.exchanges.values() if exchange.status])

    def assert_accessible(self) -> None:
        """axe-core finds nothing serious or critical in the page as it is."""
        findings = self.browser.findings()
        self.assertEqual(findings, [], "\n".join(findings))
