from __future__ import annotations

import gzip

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.doubles import HeldThreads
from tests.web.talk import Reply, Server, Wire, head


class MetricsPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def ask(self, path: str, method: str = "GET", **headers: str) -> Reply:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.successResultOf(Deferred.fromCoroutine(self.server.call(method, path, None, fields)))

    def test_page(self) -> None:
        reply = self.ask("/metrics")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        for name in ("sftpgo_active_connections", "python_gc_", "process_resident_memory_bytes"):
            self.assertIn(name.encode(), reply.body)

    def test_gzip(self) -> None:
        reply = self.ask("/metrics", Accept_Encoding="deflate, gzip")
        self.assertEqual((reply.headers["Content-Encoding"], reply.headers["Vary"]), ("gzip", "Accept-Encoding"))
        self.assertIn(b"sftpgo_http_req_total", gzip.decompress(reply.body))

    def test_requests_are_counted_once_each(self) -> None:
        for path in ("/api/v1/user", "/nothing", "/api/v1/user/x"):
            self.ask(path)
        self.ask("/api/v1/user", Host="evil.example")
        wire = Wire(self.server.site)
        wire.send(head("POST", "/api/v1/user", {"Content-Length": "5"}) + b"12")
        wire.hang_up()  # was no request yet
        body = self.ask("/metrics").body
        for line in (
            b"sftpgo_http_req_total 4.0",
            b"sftpgo_http_req_ok_total 1.0",
            b"sftpgo_http_client_errors_total 3.0",
            b"sftpgo_http_server_errors_total 0.0",
        ):
            self.assertIn(line, body)

    def test_made_in_a_thread(self) -> None:
        threads = HeldThreads()
        self.server = Server(run_in_thread=threads.run)
        wire = Wire(self.server.site)
        self.assertEqual(wire.send(head("GET", "/metrics")), b"")
        threads.release()
        self.assertIn(b"sftpgo_active_connections 0.0", wire.value())
