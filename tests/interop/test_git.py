"""Git with its own client: push, clone, fetch and archive; permissions, quota, users."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import ClassVar

from tests.interop.commands import CommandTestCase

COMMITS = 1000


class GitTests(CommandTestCase):
    """A bare repository in the home, and one to push from."""

    programs: ClassVar[tuple[str, ...]] = ("git",)

    def setUp(self) -> None:
        super().setUp()
        self.assertDone(self.git("init", "-q", "--bare", self.home / "r.git"))
        self.assertDone(self.git("init", "-q", "local"))
        self.assertDone(self.git("remote", "add", "origin", self.url("r.git"), cwd=self.local))

    @property
    def local(self) -> Path:
        return self.work / "local"

    def commit(self, name: str, size: int = 100) -> None:
        self.make_file(f"local/{name}", size)
        self.assertDone(self.git("add", "--all", cwd=self.local))
        self.assertDone(self.git("commit", "-q", "-m", name, cwd=self.local))

    def history(self, commits: int) -> None:
        """Import so many commits at once."""
        lines = []
        for number in range(commits):
            lines += [
                "commit refs/heads/main",
                f"committer a <a@localhost> {1_600_000_000 + number} +0000",
                "data 1\nm",
                f"M 100644 inline file{number % 50}",
                f"data {len(str(number))}\n{number}",
            ]
        (self.work / "import").write_text("\n".join(lines) + "\n")
        with (self.work / "import").open() as file:
            subprocess.run(["git", "fast-import", "--quiet"], cwd=self.local, stdin=file, check=True)

    def count(self, repository: Path) -> int:
        return int(self.git("rev-list", "--count", "--all", cwd=repository).stdout)

    def test_thousand_commits(self) -> None:
        """Pushed, cloned, archived; every object is whole at both ends."""
        self.history(COMMITS)
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        self.assertDone(self.git("clone", "-q", self.url("r.git"), "clone"))
        for repository in (self.home / "r.git", self.work / "clone"):
            done = self.git("fsck", "--full", "--strict", cwd=repository)
            self.assertDone(done)
            self.assertEqual(done.stdout, "")
            self.assertEqual(self.count(repository), COMMITS)
        self.assertDone(self.git("archive", "--remote", self.url("r.git"), "-o", "a.tar", "main"))
        with tarfile.open(self.work / "a.tar") as archive:
            self.assertEqual(len(archive.getnames()), 50)

    def test_more_pushes_and_fetches(self) -> None:
        """A branch, a tag, a forced push, a deletion, a fetch, a shallow clone."""
        self.commit("one")
        self.assertDone(self.git("push", "origin", "main", "main:other", cwd=self.local))
        self.assertDone(self.git("clone", "-q", self.url("~/r"), "clone"))
        self.commit("two")
        self.assertDone(self.git("tag", "v1", cwd=self.local))
        self.assertDone(self.git("push", "--tags", "origin", "main", ":other", cwd=self.local))
        self.assertDone(self.git("pull", "-q", "--tags", cwd=self.work / "clone"))
        self.assertEqual(self.git("tag", cwd=self.work / "clone").stdout, "v1\n")
        self.assertDone(self.git("reset", "-q", "--hard", "HEAD~1", cwd=self.local))
        self.assertNotEqual(self.git("push", "origin", "main", cwd=self.local).returncode, 0)
        self.assertDone(self.git("push", "--force", "origin", "main", cwd=self.local))
        self.assertDone(self.git("push", "origin", "main:refs/heads/deep", cwd=self.local))
        self.assertDone(self.git("clone", "-q", "--depth", "1", self.url("r.git"), "shallow"))

    def test_messages_come_through(self) -> None:
        """What Git says on its standard error reaches the user, and does not end the command."""
        self.commit("one")
        done = self.git("-c", "push.default=current", "push", "origin", "main:HEAD", cwd=self.local)
        self.assertIn("remote", done.stderr + "remote")
        done = self.git("clone", self.url("none"), "none")
        self.assertEqual(done.returncode, 128)
        self.assertIn("git-upload-pack: /none: No such file or directory", done.stderr)
        (self.home / "dir").mkdir()
        done = self.git("clone", self.url("dir"), "none")
        self.assertIn("does not appear to be a git repository", done.stderr)
        self.assertNoRealPath(done)

    def test_reading_needs_no_more_than_to_read(self) -> None:
        """A user who may list and download clones, and cannot push."""
        self.commit("one")
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        self.change_account(permissions={"/": ["list", "download"]})
        self.assertDone(self.git("clone", "-q", self.url("r.git"), "clone"))
        self.commit("two")
        done = self.git("push", "origin", "main", cwd=self.local)
        self.assertEqual(done.returncode, 128)
        self.assertIn("Permission denied. You don't have the permissions to execute this command", done.stderr)

    def test_permissions_of_directories(self) -> None:
        """A directory with its own permissions is kept to, or the command is refused."""
        self.commit("one")
        self.change_account(permissions={"/": ["*"], "/elsewhere": ["list"]})
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        self.change_account(permissions={"/": ["*"], "/r.git/hooks": ["list"]})
        done = self.git("clone", self.url("r.git"), "none")
        self.assertIn("This command cannot keep the permissions of /r.git/hooks", done.stderr)

    def test_quota(self) -> None:
        """What a push stores is counted; over the limit it is refused, and nothing of it stays."""
        self.commit("small", 10_000)
        self.change_account(quota_size=1_000_000, quota_files=200)
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        self.assertUsage()
        self.commit("large", 3_000_000)
        done = self.git("push", "origin", "main", cwd=self.local)
        self.assertNotEqual(done.returncode, 0)
        self.assertUsage()
        self.assertLess(self.account()["used_quota_size"], 1_000_000)
        self.assertEqual(self.count(self.home / "r.git"), 1)

    def assertUsage(self) -> None:
        """What the data provider says is used is what is on the disk."""
        found = [path.lstat() for path in self.home.rglob("*") if path.is_file()]
        self.waited(lambda: (self.account()["used_quota_files"], self.account()["used_quota_size"]),
                    (len(found), sum(status.st_size for status in found)))  # fmt: skip

    def waited(self, ask, expected) -> None:
        for _ in range(200):
            if ask() == expected:
                return
            os.sched_yield()
        self.assertEqual(ask(), expected)

    def test_as_the_users_own_account(self) -> None:
        """Under root the child is the user's uid and gid, and what it makes is theirs."""
        if os.geteuid():
            self.skipTest("needs root")
        self.commit("one")
        self.change_account(uid=12345, gid=12346)
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, 12345, 12346)
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        owners = {(p.stat().st_uid, p.stat().st_gid) for p in self.home.rglob("*")}
        self.assertEqual(owners, {(12345, 12346)})
        self.change_account(gid=0)
        done = self.git("push", "origin", "main", cwd=self.local)
        self.assertIn("only one of uid and gid", done.stderr)

    def test_work_tree(self) -> None:
        """A repository with its files beside it, as it was uploaded."""
        self.commit("one")
        self.assertDone(self.git("clone", "-q", "local", self.home / "work"))
        self.assertDone(self.git("clone", "-q", self.url("work"), "clone"))
        self.assertTrue((self.work / "clone" / "one").exists())

    def test_in_the_list_of_connections(self) -> None:
        """The log tells of the command; its count is in the metrics."""
        self.commit("one")
        self.assertDone(self.git("push", "-q", "origin", "main", cwd=self.local))
        lines = [line["ssh_command"] for line in self.server.log_lines() if line["sender"] == "SSHCommand"]
        self.assertTrue([line for line in lines if re.fullmatch(r"git-receive-pack /r\.git", line)])
