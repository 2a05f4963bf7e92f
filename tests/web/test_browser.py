"""That the browser's watch sees what it is there to see: what these tests do on purpose, no page may do."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twisted.trial.unittest import SynchronousTestCase

from tests.web.browser import NARROW, WIDE, shared_browser

_PAGE = b"""<!DOCTYPE html><title>Bad</title>
<img src="http://127.0.0.2:%d/pixel.png"><input><p id=asked>no script</p>
<script>document.getElementById('asked').textContent = 'script'; console.error('alas'); undefinedFunction()</script>
"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = _PAGE % self.server.server_address[1]
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Set-Cookie", "seen=yes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.browser = shared_browser()
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.origin = f"http://127.0.0.1:{server.server_address[1]}"
        self.browser.driver.get(f"{self.origin}/")

    def test_errors_and_foreign_requests_are_seen(self) -> None:
        self.browser.look()
        said = "\n".join(self.browser.complaints)
        self.assertIn("alas", said)
        self.assertIn("undefinedFunction", said)
        (foreign,) = self.browser.foreign(self.origin)
        self.assertTrue(foreign.startswith("http://127.0.0.2:"))
        page = next(e for e in self.browser.exchanges.values() if e.url == f"{self.origin}/")
        self.assertEqual((page.status, page.octets > len(_PAGE)), (200, True))

    def test_what_shuts_people_out_is_seen(self) -> None:
        findings = "\n".join(self.browser.findings())
        for rule in ("critical image-alt", "critical label", "serious html-has-lang"):
            self.assertIn(rule, findings)

    def test_a_fresh_one_remembers_nothing(self) -> None:
        self.browser.script("localStorage.setItem('a', 'b')")
        self.browser.look()
        self.browser.fresh()
        self.assertEqual((self.browser.exchanges, self.browser.complaints), ({}, []))
        with self.browser.without_scripts():
            self.browser.driver.get(f"{self.origin}/")
            self.assertEqual(self.browser.text("#asked"), "no script")
        self.assertIsNone(self.browser.script("return localStorage.getItem('a')"))

    def test_sizes_and_schemes(self) -> None:
        dark = "return [innerWidth, matchMedia('(prefers-color-scheme: dark)').matches]"
        self.assertEqual(self.browser.script(dark), [WIDE[0], False])
        self.browser.size(*NARROW)
        self.browser.scheme("dark")
        # The page has no viewport of its own, so a telephone would show it as it is wide.
        self.assertEqual(self.browser.script(dark)[1], True)
        self.assertEqual(self.browser.script("return screen.width"), NARROW[0])
