"""rclone against the real server: trees both ways, checked by digests that the server computes."""

from __future__ import annotations

import os
from pathlib import Path

from tests.harness import need, run, tree_digest
from tests.interop.base import ServerTestCase

#: What shells and paths stumble over; for control characters rclone itself writes others.
ODD = (
    "a;b&c|d",
    "$HOME `x` $(y)",
    "back\\slash",
    "100% *?[x]",
    "-rf",
    " blank ",
    "café 名前 🙂",
    "~",
)


class RcloneTestCase(ServerTestCase):
    """Knows how to reach the account; every run has a configuration of its own, which is empty."""

    def setUp(self) -> None:
        need("rclone", "ssh-keygen")
        super().setUp()
        self.tree = self.make_tree()
        for number, name in enumerate(ODD):
            self.make_file(f"tree/odd/{name}", 100 + number)

    def rclone(self, *words: str | Path, status: int = 0, login: tuple[str, ...] | None = None):
        """Run it to its end."""
        assert self.key is not None
        done = run(
            [
                *("rclone", "--config", "", "--retries", "1", "--low-level-retries", "1"),
                *("--cache-dir", self.work / "cache", "--sftp-host", "127.0.0.1"),
                *("--sftp-port", str(self.server.sftp_port), "--sftp-user", self.user),
                *(login or ("--sftp-key-file", str(self.key.path))),
                # Apart from its flag, cobra would take md5sum for the name of the subcommand.
                *("--sftp-shell-type", "unix", "--sftp-md5sum-command=md5sum", "--sftp-sha1sum-command=sha1sum"),
                *words,
            ]
        )
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def upload(self) -> None:
        self.rclone("copy", "--create-empty-src-dirs", self.tree, ":sftp:up")


class TreeTests(RcloneTestCase):
    """Whole trees."""

    def test_copy_and_check(self) -> None:
        """Up and down with every name and every empty directory, compared by both digests and by what is in them."""
        self.upload()
        self.assertEqual(tree_digest(self.home / "up"), tree_digest(self.tree))
        self.rclone("copy", "--create-empty-src-dirs", ":sftp:up", self.work / "down")
        self.assertEqual(tree_digest(self.work / "down"), tree_digest(self.tree))
        for command in ("md5sum", "sha1sum"):
            there, here = self.rclone(command, ":sftp:up"), self.rclone(command, self.tree)
            self.assertEqual(sorted(there.stdout.splitlines()), sorted(here.stdout.splitlines()))
            self.assertNotIn("UNSUPPORTED", there.stdout)
        self.assertIn("0 differences found", self.rclone("check", self.tree, ":sftp:up").stderr)
        (self.home / "up" / "plain.txt").write_bytes(b"x" * 100)
        self.assertIn("1 differences found", self.rclone("check", self.tree, ":sftp:up", status=1).stderr)

    def test_sync(self) -> None:
        """What is new comes, what is gone goes, what is the same is left alone."""
        self.upload()
        kept = (self.home / "up/sub/large.bin").stat().st_ino
        (self.tree / "plain.txt").write_bytes(b"changed")
        (self.tree / "one byte").unlink()
        self.make_file("tree/new/file", 5000)
        done = self.rclone("sync", "--checksum", "--stats-one-line", "-v", self.tree, ":sftp:up")
        self.assertNotIn("large.bin", done.stderr)
        self.assertEqual(tree_digest(self.home / "up"), tree_digest(self.tree))
        self.assertEqual((self.home / "up/sub/large.bin").stat().st_ino, kept)

    def test_move_and_purge(self) -> None:
        """Within the server nothing is sent; then nothing is left."""
        self.upload()
        wanted = tree_digest(self.tree)
        self.rclone("move", ":sftp:up", ":sftp:moved/deep er")
        self.assertEqual(
            {name: found for name, found in tree_digest(self.home / "moved/deep er").items() if found != "directory"},
            {name: found for name, found in wanted.items() if found != "directory"},
        )
        self.rclone("moveto", ":sftp:moved/deep er/plain.txt", ":sftp:moved/odd $name.txt")
        self.assertTrue((self.home / "moved/odd $name.txt").exists())
        self.rclone("purge", ":sftp:moved")
        self.assertFalse((self.home / "moved").exists())
        self.rclone("move", "--delete-empty-src-dirs", self.tree, ":sftp:in")
        self.assertEqual(
            {name: found for name, found in tree_digest(self.home / "in").items() if found != "directory"},
            {name: found for name, found in wanted.items() if found != "directory"},
        )
        self.assertFalse(any(path.is_file() for path in self.tree.rglob("*")))


class TransferTests(RcloneTestCase):
    """Single files, and what belongs to them."""

    def test_concurrency(self) -> None:
        """Many requests of one file in flight, and many files at once; then one after the other."""
        large = self.make_file("large.bin", 9_000_011)
        for words in (
            ("--sftp-concurrency", "128", "--transfers", "8"),
            ("--sftp-disable-concurrent-reads", "--sftp-disable-concurrent-writes"),
        ):
            name = f"{len(words)}.bin"
            self.rclone(*words, "copyto", large, f":sftp:{name}")
            self.assertEqual((self.home / name).read_bytes(), large.read_bytes())
            self.rclone(*words, "copyto", f":sftp:{name}", self.work / f"back {name}")
            self.assertEqual((self.work / f"back {name}").read_bytes(), large.read_bytes())

    def test_times_parts_and_room(self) -> None:
        """Modification times are kept, parts are read from where one asks for, standard input is sent."""
        file = self.make_file("file.bin", 100_000)
        os.utime(file, (1_500_000_000, 1_500_000_001))
        self.rclone("copy", file, ":sftp:")
        self.assertEqual(int((self.home / "file.bin").stat().st_mtime), 1_500_000_001)
        done = self.rclone("cat", "--offset", "99990", ":sftp:file.bin", "--dump", "headers")
        self.assertEqual(len(done.stdout.encode("utf-8", "surrogateescape")), 10)
        self.assertIn("Total:", self.rclone("about", ":sftp:").stdout)
        self.rclone("touch", "--timestamp", "2020-01-02T03:04:05", ":sftp:file.bin")
        self.assertEqual(int((self.home / "file.bin").stat().st_mtime), 1_577_934_245)
        listed = self.rclone("lsf", "--format", "sp", ":sftp:").stdout
        self.assertEqual(listed, "100000;file.bin\n")

    def test_password(self) -> None:
        hidden = run(["rclone", "obscure", self.password]).stdout.strip()
        self.rclone("copy", self.tree / "plain.txt", ":sftp:", login=("--sftp-pass", hidden))
        self.assertEqual(os.listdir(self.home), ["plain.txt"])
        wrong = run(["rclone", "obscure", "wrong"]).stdout.strip()
        done = self.rclone("lsf", ":sftp:", login=("--sftp-pass", wrong), status=1)
        self.assertIn("unable to authenticate", done.stderr)
