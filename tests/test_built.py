"""Which commit a checkout is at, against what git itself says."""

from __future__ import annotations

import os
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.built import Built, checkout
from sftpgo.version import VersionInfo
from tests.harness import need


class CheckoutTests(SynchronousTestCase):
    """Real repositories, in the forms they take."""

    def setUp(self) -> None:
        need("git")
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name) / "repository"
        self.root.mkdir()
        self.git("init", "-q", "-b", "trunk/main")
        self.git("commit", "-q", "--allow-empty", "-m", "first")

    def git(self, *words: str | Path, at: Path | None = None) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", *identity, *words],
            cwd=at or self.root,
            env={name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def check(self, root: Path | None = None) -> Built:
        """It is what git says."""
        found = checkout(str(root or self.root))
        self.assertEqual(found.commit, self.git("rev-parse", "--short=7", "HEAD", at=root))
        self.assertRegex(found.commit, "^[0-9a-f]{7}$")
        moved = self.git("log", "-g", "-1", "--format=%gd", "--date=unix", at=root)
        self.assertEqual(f"HEAD@{{{datetime.fromisoformat(found.date).timestamp():.0f}}}", moved)
        return found

    def test_branch(self) -> None:
        first = self.check()
        self.git("commit", "-q", "--allow-empty", "-m", "second\twith a tab")
        self.assertNotEqual(self.check().commit, first.commit)

    def test_detached(self) -> None:
        self.git("checkout", "-q", "--detach")
        self.check()

    def test_packed(self) -> None:
        self.git("pack-refs", "--all")
        self.check()

    def test_worktree(self) -> None:
        beside = self.root.parent / "beside"
        self.git("worktree", "add", "-q", "-b", "other", beside)
        self.git("commit", "-q", "--allow-empty", "-m", "there", at=beside)
        self.assertNotEqual(self.check(beside), self.check())

    def test_clone(self) -> None:
        """As most people come by it."""
        clone = self.root.parent / "clone"
        self.git("clone", "-q", self.root, clone)
        self.check(clone)

    def test_no_reflog(self) -> None:
        (self.root / ".git/logs/HEAD").unlink()
        found = checkout(str(self.root))
        self.assertEqual((found.commit, found.date), (self.git("rev-parse", "--short=7", "HEAD"), ""))

    def test_none(self) -> None:
        """No repository, one without a commit, one that is damaged, and one that lies around another thing."""
        inner = self.root / "inner"
        inner.mkdir()
        self.assertEqual(checkout(str(inner)), Built())
        (self.root / ".git/HEAD").write_text("ref: refs/heads/nothing\n")
        self.assertEqual(checkout(str(self.root)), Built())
        (self.root / ".git/HEAD").write_bytes(b"\xff\x00nonsense")
        self.assertEqual(checkout(str(self.root)), Built())


class VersionTests(SynchronousTestCase):
    """The parts that are set."""

    def test_text(self) -> None:
        self.assertEqual(str(VersionInfo("1.0", "2020-01-01", "abc")), "1.0-abc-2020-01-01")
        self.assertEqual(str(VersionInfo("1.0", "", "abc")), "1.0-abc")
        self.assertEqual(str(VersionInfo("1.0", "", "")), "1.0")
