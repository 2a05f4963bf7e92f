"""The version, wherever it is told."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sftpgo import __version__
from tests.e2e.test_startup import sftpgo
from tests.harness import shared_server


class VersionTests(SynchronousTestCase):
    """The command line and the REST API of one checkout or installation."""

    def test_they_agree(self) -> None:
        told = shared_server({}, {}).rest("GET", "/version")
        self.assertEqual(sorted(told), ["build_date", "commit_hash", "version"])
        self.assertEqual(told["version"], __version__)
        parts = [told[name] for name in ("version", "commit_hash", "build_date") if told[name]]
        self.assertEqual(sftpgo("--version").stdout, f"SFTPGo version: {'-'.join(parts)}\n")
