from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, ROOT, Server


class ExplainCommandTests(SynchronousTestCase):
    """Beside the running server, on its database."""

    def setUp(self) -> None:
        self.server = Server()
        self.addCleanup(self.server.clean_up)
        self.server.start()
        self.server.add_user("alice", permissions={"/": ["*"], "/d": ["list"]})

    def explain(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sftpgo", "explain", "-c", str(self.server.directory), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)

    def test_it_says_what_the_server_says(self) -> None:
        done = self.explain("alice", "upload", "/d/x")
        self.assertEqual((done.returncode, done.stderr), (2, ""))
        self.assertEqual(
            done.stdout,
            "denied: upload '/d/x', by permissions: \"upload\" is not granted on /d: the entry of /d decides\n",
        )
        done = self.explain("alice", "upload", "/x", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rest = self.server.rest("GET", "/explain?username=alice&operation=upload&path=/x")
        self.assertEqual(json.loads(done.stdout), rest)
        for words, text in (
            (["bob", "upload", "/x"], 'there is no user "bob"'),
            (["alice", "fly", "/x"], "invalid choice"),
            (["alice", "list", "/", "--ip", "x"], "'x'"),
        ):
            done = self.explain(*words)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
            self.assertIn(text, done.stderr)

    def test_no_configuration_is_told(self) -> None:
        """Else somebody would take an empty database of the defaults for the server's."""
        with tempfile.TemporaryDirectory() as directory:
            done = self.explain("alice", "upload", "/x", "-c", directory)
        first, last = done.stderr.splitlines()
        self.assertEqual((done.returncode, last), (1, 'sftpgo: there is no user "alice"'))
        self.assertTrue(first.startswith("sftpgo: warning: "), first)
        self.assertIn(directory, first)

    def test_names_steer_no_terminal(self) -> None:
        done = self.explain("alice", "upload", "/d\x1b[2J\n/x")
        self.assertEqual((done.returncode, done.stdout.count("\n")), (0, 1), done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        done = self.explain("b\x1b[2J\nob", "upload", "/x")
        self.assertEqual((done.returncode, done.stderr), (1, 'sftpgo: there is no user "b\\x1b[2J\\nob"\n'))
        done = self.explain("alice", "upload", "/x", "--ip", "\x1b[2J")
        self.assertNotIn("\x1b", done.stderr)
