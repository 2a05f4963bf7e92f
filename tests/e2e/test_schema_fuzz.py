"""Schemathesis asks the running server everything its description allows, and much that it does not."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, Server

_CHECKS = (
    "status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,"
    "unsupported_method,allow_header_conformance,use_after_free,ensure_resource_availability"
)


class SchemathesisTests(SynchronousTestCase):
    def test_no_undescribed_answer_and_no_fault_of_the_server(self) -> None:
        """The one answer of 500 that may come is the data provider's, for a name that is taken."""
        if importlib.util.find_spec("schemathesis") is None:
            raise SkipTest("not installed: schemathesis")
        server = Server({"data_provider": {"driver": "memory"}}).start()
        self.addCleanup(server.clean_up)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--seed", "1", "--max-examples", "5"),
                *("--checks", _CHECKS, "--exclude-path", "/api/v1/events"),  # which never ends
                *("--generation-database", "none", "--max-failures", "5"),
                f"http://127.0.0.1:{server.http_port}/api/v1/openapi.yaml",
            ],
            cwd=server.directory,
            env={**os.environ, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        found = re.search(r"^\s+(\d+) generated", done.stdout, re.MULTILINE)
        assert found is not None, done.stdout
        self.assertGreater(int(found[1]), 300)
        lines = server.log_lines()
        self.assertEqual([line for line in lines if line["level"] == "error"], [])
        failed = [line for line in lines if line.get("resp_status", 0) >= 500]
        self.assertEqual(
            [line for line in failed if (line["method"], line["uri"][-12:]) != ("POST", "/api/v1/user")], []
        )
