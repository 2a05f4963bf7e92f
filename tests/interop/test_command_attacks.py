"""Everything a user may try to get out by commands, with the real programs; what lies outside is watched by inotify.

Each attack counts the bytes of the secret that came to the client, and what happened to the files outside: none.
"""

from __future__ import annotations

import os
import shlex
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from sftpgo.storage import landlock
from tests.harness import run
from tests.interop.commands import CommandTestCase
from tests.storage.world import Watch

SECRET = "the content nobody may read"

#: What a client that was made to harm sends in place of rsync's own line; {out} is a directory outside.
RSYNC_LINES = (
    "rsync --server --sender -re.LsfxCIvu . /etc/passwd",
    "rsync --server --sender -re.LsfxCIvu . {out}/secret",
    "rsync --server --sender -re.LsfxCIvu . {out}/secret y",
    "rsync --server --sender -re.LsfxCIvu . ../../../../../..{out}/secret",
    "rsync --server --sender -re.LsfxCIvu . way/secret",
    "rsync --server --sender -rLe.LsfxCIvu . way/",
    "rsync --server --sender -rLe.LsfxCIvu . .",
    "rsync --server --sender -rke.LsfxCIvu . .",
    "rsync --server --sender -rLe.LsfxCIvu --copy-unsafe-links . .",
    "rsync --server --sender -rse.LsfxCIvu",
    "rsync --server --sender -re.LsfxCIvu --files-from={out}/secret . .",
    "rsync --server --sender -re.LsfxCIvu --files-from - . /",
    "rsync --server --sender -re.LsfxCIvu --exclude-from={out}/secret . .",
    "rsync --server --sender -re.LsfxCIvu --password-file={out}/secret . .",
    "rsync --server --sender -re.LsfxCIvu --iconv={out}/secret . .",
    "rsync --server --sender -re.LsfxCIvu --log-file={out}/new . .",
    "rsync --server --sender -re.LsfxCIvu --log-file={out}/secret --log-file-format=%f . .",
    "rsync --server --sender -re.LsfxCIvu --write-batch={out}/new . .",
    "rsync --server -re.LsfxCIvu --partial-dir={out} . .",
    "rsync --server -re.LsfxCIvu --partial-dir=../../../../../..{out} . .",
    "rsync --server -re.LsfxCIvu --temp-dir={out} . .",
    "rsync --server -re.LsfxCIvu --backup-dir={out} . .",
    "rsync --server -re.LsfxCIvu --link-dest={out} . .",
    "rsync --server -re.LsfxCIvu --copy-dest=way . .",
    "rsync --server -re.LsfxCIvu . {out}/",
    "rsync --server -re.LsfxCIvu . way/",
    "rsync --server -rKe.LsfxCIvu . .",
    "rsync --server -re.LsfxCIvu --write-devices . .",
    "rsync --server -re.LsfxCIvu -e 'sh -c id' . .",
    "rsync --server -re.LsfxCIvu --rsh='sh -c id' . .",
    "rsync --server -re.LsfxCIvu --rsync-path=/bin/sh . .",
    "rsync --daemon --no-detach --config={out}/secret",
    "rsync --server --daemon --config={out}/secret .",
    "rsync --version",
    "rsync {out}/secret stolen",
)

GIT_LINES = (
    "git-upload-pack --help",
    "git-upload-pack '--upload-pack=id' r.git",
    "git-upload-pack {out}/other.git",
    "git-upload-pack ../../../../../..{out}/other.git",
    "git-upload-pack way/other.git",
    "git-upload-pack r.git {out}/other.git",
    "git-upload-archive way/other.git",
    "git-upload-archive --remote={out}/other.git",
    "git-receive-pack way/other.git",
    "git-receive-pack {out}/new.git",
    "git-shell -c id",
    "git upload-pack r.git",
)

OTHER_LINES = (
    "md5sum {out}/secret way/secret ../../../..{out}/secret",
    "sha256sum way/secret",
    "scp -f {out}/secret way/secret",
    "scp -r -f way .",
    "scp -f way/*",
    "scp -t way",
    "scp -t -- -oProxyCommand=id",
    "scp -S /bin/sh -t x",
    "/bin/sh -c id",
    "md5sum x; cat {out}/secret",
    "md5sum $(cat {out}/secret)",
    "md5sum x\ncat {out}/secret",
)


class AttackCase(CommandTestCase):
    """A home with a repository and links to a place outside that has secrets."""

    programs: ClassVar[tuple[str, ...]] = ("git", "rsync", "scp")

    def setUp(self) -> None:
        super().setUp()
        if landlock.abi() < landlock.USABLE_ABI:
            self.skipTest("this kernel has no usable Landlock")
        # Beside the homes, and open to everybody: nothing but the confinement is in the way.
        self.outside = self.server.directory / f"outside-{self.user}"
        self.outside.mkdir()
        (self.outside / "secret").write_text(SECRET)
        (self.outside / "sub").mkdir()
        (self.outside / "sub" / "secret").write_text(SECRET)
        self.assertDone(self.git("init", "-q", "--bare", self.outside / "other.git"))
        self.assertDone(self.git("init", "-q", "local"))
        (self.work / "local" / "f").write_text(SECRET)
        self.assertDone(self.git("add", "f", cwd=self.work / "local"))
        self.assertDone(self.git("commit", "-q", "-m", SECRET, cwd=self.work / "local"))
        self.assertDone(self.git("push", "-q", self.outside / "other.git", "main", cwd=self.work / "local"))
        for path in (self.outside, *self.outside.rglob("*")):
            path.chmod(0o777)
        self.assertDone(self.git("init", "-q", "--bare", self.home / "r.git"))
        self.assertDone(self.git("init", "-q", "mine"))
        self.assertDone(self.git("commit", "-q", "--allow-empty", "-m", "mine", cwd=self.work / "mine"))
        self.assertDone(self.git("push", "-q", self.home / "r.git", "main", cwd=self.work / "mine"))
        (self.home / "way").symlink_to(self.outside)
        (self.home / "file").symlink_to(self.outside / "secret")
        self.before = self.facts()
        self.watch = Watch(os.fsencode(self.outside))
        self.addCleanup(self.watch.close)

    def facts(self) -> dict[str, tuple[int, int, int, int]]:
        """What could change outside."""
        found = {}
        for path in (self.outside, *sorted(self.outside.rglob("*"))):
            status = path.lstat()
            found[str(path)] = (status.st_mode, status.st_uid, status.st_size, status.st_ctime_ns)
        return found

    def assertUntouched(self, what: object) -> None:
        """Nothing outside was opened, read, written or changed."""
        self.assertEqual(self.watch.events(), [], what)
        self.assertEqual(self.facts(), self.before, what)
        self.watch.events()  # that was us

    def assertNothingGot(self, done: Any, what: object) -> None:
        """No byte of the secret came, and nothing that names the place."""
        said = (done.stdout + done.stderr).replace(str(self.work), "")
        for word in (SECRET, "root:", "uid=0"):
            self.assertNotIn(word, said, what)

    def stolen(self) -> list[str]:
        """Files here or in the home with the secret in them."""
        found = []
        for directory in (self.home, self.work):
            for path in directory.rglob("*"):
                looked_at = path.is_file() and not path.is_symlink() and "local" not in path.parts
                if looked_at and SECRET.encode() in path.read_bytes():
                    found.append(str(path))
        return found


class LineTests(AttackCase):
    """Command lines that no honest client sends."""

    def test_lines(self) -> None:
        lines = (*RSYNC_LINES, *GIT_LINES, *OTHER_LINES)
        refused = 0
        for line in lines:
            # What rsync would hear of a receiver's client, so that those that start go on to read.
            done = self.ssh(line.format(out=self.outside), stdin="\x1f\0\0\0\0\0\0\0" + "\0" * 64)
            self.assertNothingGot(done, line)
            self.assertUntouched(line)
            refused += done.returncode != 0
        self.assertEqual(self.stolen(), [])
        self.assertFalse(list(self.home.rglob("new*")))
        # The rest are harmless as they are: a path that stays inside, a digest of nothing.
        self.assertGreater(refused, len(lines) - 12)


class ClientTests(AttackCase):
    """The honest programs, with a dishonest user."""

    def test_rsync(self) -> None:
        """Wishes as rsync's own options."""
        out = str(self.outside)
        remote_shell = shlex.join(self.shell)
        (self.work / "up").mkdir()
        (self.work / "up" / "secret").write_text("overwritten")
        for words in (
            (self.remote(f"{out}/secret"), "got"),
            ("-a", self.remote("r.git"), f":{out}/sub", "got"),
            ("-aL", self.remote("way/"), "got/"),
            ("-aL", self.remote("."), "got/"),
            ("-ak", self.remote("."), "got/"),
            ("-a", "--copy-unsafe-links", self.remote("."), "got/"),
            ("-aR", self.remote("way/secret"), "got/"),
            ("-a", "--files-from=:" + out + "/secret", self.remote("/"), "got/"),
            ("-a", "--rsync-path", f"rsync --log-file={out}/new", self.remote("."), "got/"),
            ("-a", "--remote-option=--log-file=" + out + "/new", self.remote("."), "got/"),
            ("-a", "-M--files-from=" + out + "/secret", self.remote("."), "got/"),
            ("-a", "up/", self.remote("way/")),
            ("-aK", "up/", self.remote("way")),
            ("-aK", "up/", self.remote(".")),
            ("-a", "--keep-dirlinks", "--omit-dir-times", "up", self.remote("way/sub")),
            ("-a", "--inplace", "up/secret", self.remote("file")),
            ("-a", "--append", "up/secret", self.remote("file")),
            ("-a", "--temp-dir=" + out, "up/", self.remote("t/")),
            ("-ab", "--backup-dir=" + out, "up/", self.remote("t/")),
            ("-a", "--partial-dir=" + out, "up/", self.remote("t/")),
            ("-a", "--partial-dir=../../../../../.." + out, "up/", self.remote("t/")),
            ("-a", "--link-dest=" + out, "up/", self.remote("u/")),
            ("-ac", "--copy-dest=../way", "up/", self.remote("v/")),
            ("-ac", "--compare-dest=../way", "up/", self.remote("w/")),
            ("-a", "--delete", "up/", self.remote("way/sub/")),
            ("-a", "--chmod=u+s", "up/", self.remote("t/")),
            ("-a", "--fake-super", "up/", self.remote("way/")),
            ("-a", "--devices", "--specials", "/dev/null", self.remote("t/")),
        ):
            done = run(["rsync", "-e", remote_shell, *words], cwd=self.work)
            self.assertNothingGot(done, words)
            self.assertUntouched(words)
            self.assertNotIn(str(self.home), done.stderr)
        self.assertEqual(self.stolen(), [])
        self.assertFalse([path for path in self.home.rglob("*") if path.stat(follow_symlinks=False).st_mode & 0o6000])

    def test_git_repository_of_the_users_making(self) -> None:
        """Hooks, configuration, alternates, links in place of parts: whatever the user has put there."""
        repository = self.home / "r.git"
        out = self.outside
        script = f"#!/bin/sh\ncat {out}/secret >{self.home}/stolen\nid >{out}/new\n"
        (self.home / "evil").write_text(script)
        (self.home / "evil").chmod(0o777)
        (repository / "hooks").mkdir(exist_ok=True)
        for hook in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "proc-receive"):
            (repository / "hooks" / hook).write_text(script)
            (repository / "hooks" / hook).chmod(0o777)
        configuration = {
            "core.hooksPath": str(repository / "hooks"),
            "core.alternateRefsCommand": f"{self.home}/evil",
            "core.fsmonitor": f"{self.home}/evil",
            "core.sshCommand": f"{self.home}/evil",
            "core.pager": f"{self.home}/evil",
            "core.gitProxy": f"{self.home}/evil",
            "uploadpack.packObjectsHook": f"{self.home}/evil",
            "tar.tar.command": f"{self.home}/evil",
            "tar.evil.command": "/home/evil",
            "tar.evil.remote": "true",
            "tar.shell.command": f"cat {out}/secret",
            "tar.shell.remote": "true",
            "receive.procReceiveRefs": "refs",
            "receive.denyCurrentBranch": "updateInstead",
            "gc.auto": "1",
            "gc.autoDetach": "false",
            "remote.origin.url": f"ext::sh -c {self.home}/evil",
            "remote.origin.promisor": "true",
            "extensions.partialClone": "origin",
            "core.worktree": str(out),
            "include.path": f"{out}/secret",
        }
        for key, value in configuration.items():
            self.assertDone(self.git("config", key, value, cwd=repository))
        (repository / "objects" / "info").mkdir(exist_ok=True)
        (repository / "objects" / "info" / "alternates").write_text(f"{out}/other.git/objects\n")
        other = self.git("rev-parse", "main", cwd=out / "other.git").stdout.strip()
        (repository / "refs" / "heads" / "theirs").write_text(other + "\n")
        (repository / "refs" / "heads" / "linked").symlink_to(out / "other.git" / "refs" / "heads" / "main")
        self.before = self.facts()
        self.watch.events()
        url = self.url("r.git")
        commit = ("commit", "-q", "--allow-empty", "-m", "x")
        for words in (
            ("clone", "-q", url, "got"),
            ("fetch", "-q", url, "theirs"),
            ("fetch", "-q", url, other),
            commit,
            ("push", "-q", url, "main"),
            ("push", "-q", "--force", url, "main:refs/heads/new"),
            ("archive", "--remote", url, "-o", "got.tar", "main"),
            ("archive", "--remote", url, "--format=evil", "-o", "got.evil", "main"),
            ("archive", "--remote", url, "--format=shell", "-o", "got.shell", "main"),
            ("archive", "--remote", url, "-o", "got.theirs", "theirs"),
            ("clone", "-q", self.url("way/other.git"), "got2"),
            ("push", "-q", self.url("way/other.git"), "main:refs/heads/x"),
        ):
            done = self.git(*words, cwd=self.work / "mine")
            self.assertNothingGot(done, words)
            self.assertUntouched(words)
        # A directory of objects that is somewhere else.
        os.rename(repository / "objects", repository / "old")
        (repository / "objects").symlink_to(out / "other.git" / "objects")
        for words in (("clone", "-q", url, "got3"), ("push", "-q", url, "main:refs/heads/y")):
            done = self.git(*words, cwd=self.work / "mine")
            self.assertNotEqual(done.returncode, 0)
            self.assertUntouched(words)
        self.assertFalse((self.home / "stolen").exists())
        self.assertEqual(self.stolen(), [])


class RaceTests(AttackCase):
    """Links that take the place of directories while rsync and scp are at work in them."""

    seconds = 3.0

    def test_races(self) -> None:
        (self.home / "t").mkdir()
        inside, link = self.home / "t" / "d", self.home / "link"
        inside.mkdir()
        for number in range(50):
            (inside / f"{number}").write_bytes(b"x")
        (inside / "secret").write_text("mine")
        link.symlink_to(self.outside)
        tree = self.work / "t" / "d"
        tree.mkdir(parents=True)
        for number in range(50):
            (tree / f"{number}").write_bytes(b"y" * 100)
        (tree / "secret").write_text("overwritten")
        self.watch.events()
        stop = threading.Event()
        swaps = [0]
        swapper = threading.Thread(target=self._swap, args=(inside, link, stop, swaps))
        swapper.start()
        runs = 0
        try:
            end = time.monotonic() + self.seconds
            while time.monotonic() < end or runs < 8:
                for words in (
                    ("-a", self.remote("t/"), f"got{runs}/"),
                    ("-aI", "--delete", "t/", self.remote("t/")),
                    ("-aI", "--inplace", "t/", self.remote("t/")),
                ):
                    done = self.rsync(*words)
                    self.assertNothingGot(done, words)
                    runs += 1
                for words in (
                    ("-rp", self.remote("t"), f"scp{runs}"),
                    ("-rp", "t", self.remote(".")),
                ):
                    self.assertNothingGot(self.scp(*words), words)
                    runs += 1
        finally:
            stop.set()
            swapper.join()
        self.assertUntouched("races")
        self.assertGreater(swaps[0], 100)
        self.assertEqual(self.stolen(), [])

    def _swap(self, inside: Path, link: Path, stop: threading.Event, swaps: list[int]) -> None:
        spare = self.home / "spare"
        while not stop.is_set():
            try:
                os.rename(inside, spare)
                os.rename(link, inside)
                os.rename(inside, link)
                os.rename(spare, inside)
                swaps[0] += 1
            except OSError:
                # rsync has made or removed one of them meanwhile: begin anew.
                for path in (inside, spare):
                    if path.is_symlink():
                        path.unlink()
                inside.mkdir(exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(self.outside)
            time.sleep(0.0005)
