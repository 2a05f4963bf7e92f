from __future__ import annotations

import os
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.keys import KeyTable
from sftpgo.config.model import Config
from sftpgo.reference.commands import program
from tests.harness import PATIENCE, ROOT, need


def rendered(name: str) -> tuple[str, str]:
    """A page as C{man} shows it, wide, and what it complains of."""
    need("man")
    done = subprocess.run(
        ["man", "--warnings", "--encoding=ascii", "-P", "cat", "-l", str(ROOT / "etc/man" / name)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "MANWIDTH": "500", "LC_ALL": "C", "MAN_KEEP_FORMATTING": "", "MANROFFOPT": "-c"},
        timeout=PATIENCE,
        check=True,
    )
    return " ".join(done.stdout.decode("ascii").split()), done.stderr.decode()


class ManualPageTests(SynchronousTestCase):
    def test_commands(self) -> None:
        text, complaints = rendered("sftpgo.1")
        self.assertEqual(complaints, "")
        for command in program().commands:
            self.assertIn(f"sftpgo {command.name}", text)
            for option in command.options:
                self.assertIn(option.names[-1], text)
                self.assertIn(" ".join(option.text.split())[1:], text)
        self.assertIn("rest add-user Add a user.", text)

    def test_configuration(self) -> None:
        text, complaints = rendered("sftpgo.json.5")
        self.assertEqual(complaints, "")
        for key in KeyTable.of(Config).keys.values():
            self.assertIn(f"{key.path[-1]} {key.doc}", text)
