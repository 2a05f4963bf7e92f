"""What an installation holds: the plugin twistd lists, the schema's scripts, the sample configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo import __version__
from tests.harness import PATIENCE, ROOT

_LIST = "from twisted.scripts.twistd import run; run()"


def python(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python outside the checkout."""
    with tempfile.TemporaryDirectory() as elsewhere:
        return subprocess.run(
            [sys.executable, *words],
            cwd=elsewhere,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


class EditableTests(SynchronousTestCase):
    """The checkout as C{pip install --editable} leaves it, which is how C{make} sets it up."""

    def test_twistd_lists_it(self) -> None:
        done = python("-c", _LIST, "--help")
        self.assertRegex(done.stdout, r"sftpgo +An SFTP, SCP and SSH file server")

    def test_command(self) -> None:
        self.assertEqual(python("-m", "sftpgo", "--version").returncode, 0)


class WheelTests(SynchronousTestCase):
    """A normal installation: the wheel unpacked, with the checkout out of reach."""

    def setUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-wheel-")
        self.addCleanup(self.directory.cleanup)
        where = Path(self.directory.name)
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(where)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (self.archive,) = where.glob("*.whl")
        self.installed = where / "installed"
        with zipfile.ZipFile(self.archive) as archive:
            archive.extractall(self.installed)
        # As entries of PYTHONPATH, without `site`, so that the editable install's .pth is not followed.
        self.environ = {"PYTHONPATH": f"{self.installed}{os.pathsep}{sysconfig.get_path('purelib')}"}

    def test_installed(self) -> None:
        """twistd lists it, it is not the checkout's, and it makes its own database from its own scripts."""
        done = python("-S", "-c", "import sftpgo; print(sftpgo.__file__)", **self.environ)
        self.assertEqual(Path(done.stdout.strip()).parent.parent, self.installed, done.stderr)
        done = python("-S", "-c", _LIST, "--help", **self.environ)
        self.assertRegex(done.stdout, r"sftpgo +An SFTP, SCP and SSH file server", done.stderr)
        scripts = sorted(path.name for path in (ROOT / "sql" / "sqlite").iterdir())
        self.assertEqual(sorted(path.name for path in (self.installed / "sftpgo/sql/sqlite").iterdir()), scripts)
        done = python("-S", "-c", _MAKE_DATABASE, str(self.installed / "new.db"), **self.environ)
        self.assertEqual(done.stdout.strip(), "0 users", done.stderr)

        self.check_version()

    def check_version(self) -> None:
        """It tells the commit and the moment of the build, where it was built from git."""
        done = python("-S", "-m", "sftpgo", "--version", **self.environ)
        moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        commit = r"[0-9a-f]{7,40}(-dirty)?-" if (ROOT / ".git").exists() and shutil.which("git") else ""
        self.assertRegex(done.stdout, rf"^SFTPGo version: {re.escape(__version__)}-{commit}{moment}\n$", done.stderr)

    def test_contents(self) -> None:
        names = zipfile.ZipFile(self.archive).namelist()
        units = (
            "sftpgo/servicecommand/etc/systemd/sftpgo.service",
            "sftpgo/servicecommand/etc/launchd/org.sftpgo.server.plist",
        )
        for wanted in (*units, "twisted/plugins/sftpgo_plugin.py", "sftpgo/py.typed"):
            self.assertIn(wanted, names)
        for shared in ("sftpgo/etc/sftpgo.json", "man/man1/sftpgo.1", "bash-completion/completions/sftpgo"):
            self.assertTrue([name for name in names if name.endswith(f"data/share/{shared}")], shared)
        self.assertFalse([name for name in names if name.startswith("twisted/") and name.endswith("__init__.py")])
        self.assertFalse([name for name in names if name.startswith("tests/")])


_MAKE_DATABASE = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from sftpgo.dataprovider.sqlite import SQLiteProvider

async def main():
    provider = SQLiteProvider(sys.argv[1], reactor=reactor, warn=print)
    await provider.start()
    print(len(await provider.users(10, 0)), "users")
    await provider.stop()

d = Deferred.fromCoroutine(main())
d.addErrback(lambda f: print(f.getErrorMessage()))
d.addBoth(lambda _: reactor.stop())
reactor.run()
"""
