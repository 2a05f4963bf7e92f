"""logrotate itself, with the configuration that is shipped, beside a running server."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, ROOT, Server, need
from tests.operations.programs import ENVIRON, check

#: In the place of systemd's, which is not there in a test: it tells the server's process.
_SYSTEMCTL = """\
#!/bin/sh
[ "$*" = "show --property=MainPID --value sftpgo.service" ] || exit 1
echo {pid}
"""


class LogrotateTests(SynchronousTestCase):
    def setUp(self) -> None:
        need("logrotate")
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-logrotate-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.server = Server(arguments=["--log-max-size", "0"])
        self.addCleanup(self.server.clean_up)
        self.server.start()
        self.log = self.server.directory / "sftpgo.log"

    def lines(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.lines():
            self.assertLess(time.monotonic(), end, f"{text} does not come")
            self.server.rest("GET", "/version")
            time.sleep(0.05)

    def rotate(self, pid: int) -> None:
        systemctl = self.directory / "systemctl"
        systemctl.write_text(_SYSTEMCTL.format(pid=pid))
        systemctl.chmod(0o755)
        config = self.directory / "logrotate.conf"
        text = (ROOT / "etc/logrotate.d/sftpgo").read_text()
        self.assertIn("\n/var/log/sftpgo/sftpgo.log {", text)
        for old, new in (
            ("/var/log/sftpgo/sftpgo.log", str(self.log)),
            ("su sftpgo sftpgo", f"su {os.geteuid()} {os.getegid()}"),
        ):
            self.assertIn(old, text)
            text = text.replace(old, new)
        config.write_text(text)
        config.chmod(0o644)
        environ = {**ENVIRON, "PATH": f"{self.directory}:{ENVIRON['PATH']}"}
        check("logrotate", "--force", "--state", self.directory / "state", config, environ=environ)

    def rotated(self) -> list[Path]:
        return [path for path in self.server.directory.iterdir() if path.name.startswith("sftpgo.log-")]

    def test_a_rotation(self) -> None:
        before = self.lines()
        self.assertIn('"SFTP listens on', before)
        assert self.server.process is not None
        self.rotate(self.server.process.pid)
        (old,) = self.rotated()
        self.assertTrue(old.read_text().startswith(before))
        self.wait_for('/api/v1/version"')
        self.assertNotIn("listens on", self.lines())
        self.assertEqual(self.server.log_lines()[0]["level"], "info")
        # Nothing was lost between the two files.
        asked = sum(text.count('/api/v1/version"') for text in (old.read_text(), self.lines()))
        self.assertGreater(asked, 0)

    def test_a_server_that_does_not_run(self) -> None:
        """systemd tells 0 then, which as a process would be logrotate's own group."""
        self.server.stop()
        self.rotate(0)
        self.assertEqual(len(self.rotated()), 1)

    def test_sighup_reopens_too(self) -> None:
        assert self.server.process is not None
        self.log.rename(self.server.directory / "moved")
        self.server.process.send_signal(signal.SIGHUP)
        self.wait_for('/api/v1/version"')
        self.assertIsNone(self.server.process.poll())
