"""The units for systemd that are shipped."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.tap import Options
from tests.harness import PATIENCE, ROOT, need

UNITS = ROOT / "etc" / "systemd"


class UnitTests(SynchronousTestCase):
    def analyze(self, *words: str) -> str:
        """What systemd's own checker says of them, as if the server were installed."""
        need("systemd-analyze")
        directory = Path(self.mktemp())
        directory.mkdir()
        units = []
        for unit in sorted(UNITS.iterdir()):
            text = unit.read_text().replace("/usr/local/bin/sftpgo", sys.executable)
            units.append(directory / unit.name)
            units[-1].write_text(text)
        done = subprocess.run(
            ["systemd-analyze", *words, *units],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout + done.stderr

    def test_verify(self) -> None:
        self.assertEqual(self.analyze("verify"), "")

    def test_exposure(self) -> None:
        """The figure that the documentation tells."""
        said = self.analyze("security", "--offline=true", "--no-pager")
        found = re.search(r"exposure level for sftpgo\.service: (\d+\.\d)", said)
        self.assertIsNotNone(found, said)
        self.assertLessEqual(float(found[1]), 2.5)
        told = re.search(r"exposure level\s+(\d+\.\d)", (ROOT / "docs" / "running.rst").read_text())
        self.assertLessEqual(abs(float(found[1]) - float(told[1])), 0.3)

    def test_the_command_is_one(self) -> None:
        text = (UNITS / "sftpgo.service").read_text()
        (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
        _program, command, *flags = shlex.split(line)
        self.assertEqual(command, "serve")
        options = Options(environ={})
        options.parseOptions(flags)
        # What it writes to is what the unit lets it write to.
        self.assertEqual(options["config-dir"], "/var/lib/sftpgo")
        self.assertEqual(options["log-file-path"], "/var/log/sftpgo/sftpgo.log")
        self.assertIn("\nStateDirectory=sftpgo\n", text)
        self.assertIn("\nLogsDirectory=sftpgo\n", text)
