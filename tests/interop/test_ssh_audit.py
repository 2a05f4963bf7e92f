"""What ssh-audit says of the default configuration."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.harness import need, run
from tests.interop.base import ServerTestCase


class SSHAuditTests(ServerTestCase):
    keys = False

    def test_nothing_fails(self) -> None:
        """No algorithm offered is one that ssh-audit fails."""
        program = Path(sys.executable).with_name("ssh-audit")
        if not program.exists():
            need("ssh-audit")
            program = Path("ssh-audit")
        done = run([program, "--skip-rate-test", "-jj", "-p", str(self.server.sftp_port), "127.0.0.1"])
        report = json.loads(done.stdout)
        seen = 0
        for section in ("kex", "key", "enc", "mac"):
            for algorithm in report[section]:
                seen += 1
                self.assertEqual(algorithm.get("notes", {}).get("fail", []), [], algorithm["algorithm"])
        self.assertGreater(seen, 10)
