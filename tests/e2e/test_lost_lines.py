"""A log that cannot be written, as its metric tells of it."""

from __future__ import annotations

import re
import resource
import urllib.request

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import Server


class LostLinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server({"data_provider": {"driver": "memory"}})
        self.addCleanup(self.server.clean_up)
        self.server.start()

    def lost(self) -> int:
        page = urllib.request.urlopen(f"http://127.0.0.1:{self.server.http_port}/metrics").read().decode()
        found = re.search(r"^sftpgo_log_lines_dropped_total (\d+)", page, re.MULTILINE)
        assert found is not None, page
        return int(found[1])

    def test_counted(self) -> None:
        self.assertEqual(self.lost(), 0)
        process = self.server.process
        assert process is not None
        # From here on no file of the server's grows, as on a full disk.
        _, most = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, most))
        for _ in range(3):
            self.server.rest("GET", "/version")
        self.assertGreaterEqual(self.lost(), 3)
