from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.keys import KeyTable
from sftpgo.config.model import Config
from tests.harness import PATIENCE, ROOT


class CheckConfigTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-check-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "sftpgo.json"

    def check(self, config: object, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        self.path.write_text(config if isinstance(config, str) else json.dumps(config))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SFTPGO_")}
        return subprocess.run(
            [sys.executable, "-m", "sftpgo", "check-config", "-c", str(self.directory), *words],
            cwd=ROOT,
            env=inherited | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def test_where_each_value_comes_from(self) -> None:
        config = {
            "sftpd": {"bind_port": 2222, "bindngs": []},
            "data_provider": {
                "driver": "postgresql",
                "password": "hidden-1",
                "actions": {"http_notification_url": "http://me:hid@hidden-2@127.0.0.1/x?t=hidden-3"},
            },
        }
        done = self.check(config, "--json", SFTPGO_SFTPD__IDLE_TIMEOUT="7", SFTPGO_DATA_PROVIDER__NAME="hidden-not")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = json.loads(done.stdout)
        keys = found["keys"]
        self.assertEqual(set(keys), set(KeyTable.of(Config).keys))
        self.assertEqual(keys["sftpd.bind_port"], {"value": 2222, "source": str(self.path)})
        source = "environment variable SFTPGO_SFTPD__IDLE_TIMEOUT"
        self.assertEqual(keys["sftpd.idle_timeout"], {"value": 7, "source": source})
        self.assertEqual(keys["sftpd.umask"], {"value": "0022", "source": "default"})
        self.assertEqual(keys["data_provider.password"], {"value": "********", "source": str(self.path)})
        self.assertEqual(keys["data_provider.connection_string"], {"value": "", "source": "default"})
        url = keys["data_provider.actions.http_notification_url"]["value"]
        self.assertEqual(url, "http://********@127.0.0.1/x?********")
        self.assertEqual((found["file"], found["config_dir"]), (str(self.path), str(self.directory)))
        self.assertIn("did you mean sftpd.bindings?", found["warnings"][0])

        done = self.check(config)
        self.assertEqual(done.returncode, 0)
        self.assertNotIn("hidden", done.stdout + done.stderr)
        rows = {line.split()[0]: line.split(maxsplit=2)[1:] for line in done.stdout.splitlines() if line}
        self.assertEqual(rows["sftpd.bind_port"], ["2222", str(self.path)])
        self.assertEqual(rows["sftpd.umask"], ['"0022"', "default"])
        self.assertIn("bindngs", done.stderr)

    def test_every_problem_is_named(self) -> None:
        config = {"sftpd": {"bind_port": "x", "umask": 22}, "httpd": {"bind_port": -1}}
        done = self.check(config, SFTPGO_SFTPD__GRACE_TIME="soon")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 4, lines)
        for name in ("sftpd.bind_port", "sftpd.umask", "httpd.bind_port", "sftpd.grace_time"):
            self.assertTrue(any(f": {name}: expected" in line for line in lines), name)
        done = self.check(config, "--json")
        self.assertEqual((done.returncode, len(json.loads(done.stdout)["problems"])), (1, 3))

    def test_what_only_the_start_would_show(self) -> None:
        done = self.check({"sftpd": {"ciphers": ["rot13"]}, "httpd": {"bind_address": "0.0.0.0"}})
        self.assertEqual(done.returncode, 1)
        self.assertIn("rot13", done.stderr)
        self.assertIn("httpd.bind_address: whoever reaches 0.0.0.0 could manage users", done.stderr)
        done = self.check("{")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"sftpgo: {self.path}: ", done.stderr)
