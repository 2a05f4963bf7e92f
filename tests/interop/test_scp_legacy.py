"""SCP's old protocol with its clients: OpenSSH's C{scp -O} and PuTTY's C{pscp -scp}."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import ClassVar

from tests.harness import digest, need, run, tree_digest
from tests.interop.commands import CommandTestCase

ODD_NAMES = (
    "a b",
    "quo'te",
    'dou"ble',
    "-dash",
    "st*r",
    "ünïcode-名前",
    "back\\slash",
    "semi;colon",
    "$HOME",
    ".hidden",
)


class OpenSSHTests(CommandTestCase):
    """C{scp -O}."""

    programs: ClassVar[tuple[str, ...]] = ("scp",)

    def quoted(self, name: str) -> str:
        """A remote name as one types it for the shell that is thought to be there."""
        name = "./" + name if name.startswith("-") else name
        return self.remote("'" + name.replace("'", "'\\''") + "'")

    def test_file(self) -> None:
        local = self.make_file("local", 1_234_567)
        self.assertDone(self.scp("local", self.remote("there")))
        self.assertDone(self.scp(self.remote("there"), "back"))
        self.assertEqual({digest(self.home / "there"), digest(self.work / "back")}, {digest(local)})

    def test_odd_names(self) -> None:
        for name in ODD_NAMES:
            self.make_file(name, 10)
            self.assertDone(self.scp("--", "./" + name, self.remote(".")))
            self.assertEqual(digest(self.home / name), digest(self.work / name), name)
            # A client of today holds the name against what was typed, quotes and all, unless told not to (-T).
            self.assertDone(self.scp("-T", "--", self.quoted(name), "./back"))
            self.assertEqual(digest(self.work / "back"), digest(self.work / name), name)
            self.assertDone(self.scp("--", "./" + name, self.quoted(name + ".2")))
            self.assertTrue((self.home / (name + ".2")).exists(), name)

    def test_tree_twice(self) -> None:
        """Up, onto itself, and down again; times and modes with -p."""
        tree = self.make_tree()
        os.utime(tree / "plain.txt", (1_000_000_000, 1_100_000_000))
        os.chmod(tree / "plain.txt", 0o640)
        for _ in range(2):
            self.assertDone(self.scp("-rp", "tree", self.remote(".")))
            self.assertEqual(tree_digest(self.home / "tree"), tree_digest(tree))
        for _ in range(2):
            self.assertDone(self.scp("-rp", self.remote("tree"), "."))
            self.assertDone(self.scp("-rp", self.remote("tree"), "back"))
        self.assertEqual(tree_digest(self.work / "back" / "tree"), tree_digest(tree))
        for place in (self.home / "tree", self.work / "back"):
            there = (place / "plain.txt").stat()
            self.assertEqual((there.st_mtime, stat.S_IMODE(there.st_mode)), (1_100_000_000, 0o640))

    def test_several_and_wildcards(self) -> None:
        for name in ("a.txt", "b.txt", "c.jpg"):
            self.make_file(name, 100)
        self.assertDone(self.scp("a.txt", "b.txt", "c.jpg", self.remote(".")))
        self.assertEqual(sorted(os.listdir(self.home)), ["a.txt", "b.txt", "c.jpg"])
        (self.work / "down").mkdir()
        self.assertDone(self.scp(self.remote("*.txt"), "down"))
        self.assertEqual(sorted(os.listdir(self.work / "down")), ["a.txt", "b.txt"])
        self.assertDone(self.scp(self.remote("[c]*"), self.remote("~/b.t?t"), "down"))
        self.assertEqual(len(os.listdir(self.work / "down")), 3)

    def test_between_two_servers(self) -> None:
        """C{-3}: from one account to another, through the client."""
        tree = self.make_tree()
        self.assertDone(self.scp("-r", "tree", self.remote("one")))
        port = self.server.sftp_port
        place = f"scp://{self.user}@127.0.0.1:{port}/"
        self.assertDone(self.scp("-3", "-r", place + "one", place + "two"))
        self.assertEqual(tree_digest(self.home / "two"), tree_digest(tree))

    def test_sentences(self) -> None:
        """What cannot be done is said in a sentence, the exit status is 1, and it is not called a lost connection."""
        (self.home / "dir").mkdir()
        (self.home / "file").write_bytes(b"")
        self.make_file("f", 10)
        self.make_tree()
        for words, sentence in (
            ((self.remote("none"), "x"), "/none: No such file or directory"),
            ((self.remote("dir"), "x"), "/dir: Unable to send directory for non recursive copy"),
            (("f", self.remote("none/x")), "none/x: No such file or directory"),
            (("f", "tree/plain.txt", self.remote("file")), "file: Not a directory"),
            (("-r", "tree", self.remote("file")), "file"),
            ((self.remote("*.none"), "x"), "/*.none: No such file or directory"),
        ):
            done = self.scp(*words)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn(sentence, done.stderr)
            self.assertNotIn("lost connection", done.stderr)
            self.assertNoRealPath(done)

    def test_quota(self) -> None:
        """Over the quota: a sentence, the rest of the files go on, and what is used is what is on the disk."""
        self.change_account(quota_size=100_000)
        self.make_file("small", 1000)
        self.make_file("large", 5_000_000)
        (self.work / "both").mkdir()
        done = self.scp("small", "large", self.remote("."))
        self.assertEqual(done.returncode, 1)
        self.assertIn("Quota exceeded", done.stderr)
        self.assertNotIn("lost connection", done.stderr)
        self.assertEqual((self.home / "small").stat().st_size, 1000)
        on_disk = sum(path.stat().st_size for path in self.home.rglob("*"))
        self.assertLessEqual(on_disk, 100_000)

    def test_large(self) -> None:
        """A sparse file beyond 4 GiB, both ways at its real size; only its ends have content."""
        size = 4 * 1024**3 + 10
        with (self.home / "huge").open("wb") as file:
            file.truncate(size)
        done = self.ssh("scp -f huge", stdin="\0")
        self.assertIn(f" {size} huge", done.stdout[:100])


class AtomicTests(OpenSSHTests):
    """The same where uploads are atomic."""

    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"enabled_ssh_commands": ["*"], "upload_mode": 1}}


class PuTTYTests(CommandTestCase):
    """pscp, made to use SCP."""

    programs: ClassVar[tuple[str, ...]] = ("pscp", "ssh-keygen")

    def setUp(self) -> None:
        super().setUp()
        need("ssh-keyscan")

    def pscp(self, *words: str | Path):
        password = self.work / "password"
        password.write_text(self.password)
        key = self.server.directory / "id_ed25519"
        if not key.exists():
            self.skipTest("the server has no Ed25519 key")
        done = run(["ssh-keygen", "-l", "-f", key])
        options = ["-scp", "-batch", "-noagent", "-P", str(self.server.sftp_port), "-pwfile", password]
        return run(["pscp", *options, "-hostkey", done.stdout.split()[1], *words], cwd=self.work)

    def test_file_and_tree(self) -> None:
        tree = self.make_tree()
        self.assertDone(self.pscp("-p", "tree/plain.txt", self.remote("there")))
        self.assertDone(self.pscp("-p", self.remote("there"), "back"))
        self.assertEqual(digest(self.work / "back"), digest(tree / "plain.txt"))
        self.assertDone(self.pscp("-r", "tree", self.remote(".")))
        self.assertEqual(tree_digest(self.home / "tree"), tree_digest(tree))
        (self.work / "down").mkdir()
        self.assertDone(self.pscp("-r", self.remote("tree"), "down"))
        self.assertEqual(tree_digest(self.work / "down" / "tree"), tree_digest(tree))

    def test_wildcards(self) -> None:
        for name in ("a.txt", "b.txt", "c.jpg"):
            self.make_file(name, 100)
        self.assertDone(self.pscp("a.txt", "b.txt", "c.jpg", self.remote(".")))
        (self.work / "down").mkdir()
        self.assertDone(self.pscp("-unsafe", self.remote("*.txt"), "down"))
        self.assertEqual(sorted(os.listdir(self.work / "down")), ["a.txt", "b.txt"])

    def test_missing(self) -> None:
        done = self.pscp(self.remote("none"), "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory", done.stdout + done.stderr)
