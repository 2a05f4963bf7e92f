"""OpenSSH's sftp and scp against the real server."""

from __future__ import annotations

import os

from tests.harness import digest, need, run, ssh_options, tree_digest
from tests.interop.base import ServerTestCase


class SFTPTests(ServerTestCase):
    """sftp in batch mode and with a password."""

    def setUp(self) -> None:
        need("sftp", "ssh-keygen")
        super().setUp()

    def sftp(self, *lines: str, password: str | None = None):
        """Run sftp with these commands; with a key, or with a password when one is given."""
        options = ssh_options(self.server, None if password else self.key)
        command = ["sftp", *options, "-P", str(self.server.sftp_port), f"{self.user}@127.0.0.1"]
        return run(command, stdin="\n".join(lines) + "\n", password=password, cwd=self.work)

    def batch(self, *lines: str):
        """Run sftp -b: it stops at the first failure and says so with its exit status."""
        (self.work / "batch").write_text("\n".join(lines) + "\n")
        options = ssh_options(self.server, self.key)
        command = ["sftp", *options, "-P", str(self.server.sftp_port), "-b", "batch", f"{self.user}@127.0.0.1"]
        return run(command, cwd=self.work)

    def test_password(self) -> None:
        done = self.sftp("pwd", password=self.password)
        self.assertIn("Remote working directory: /", done.stdout)

    def test_wrong_password(self) -> None:
        done = self.sftp("pwd", password="not it")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Permission denied", done.stderr)

    def test_whole_round(self) -> None:
        """List, upload, download, rename, delete: byte-exact, and nothing left behind."""
        local = self.make_file("local.bin", 1_234_567)
        done = self.batch(
            "mkdir dir",
            "put local.bin dir/remote.bin",
            "ls -l dir",
            "rename dir/remote.bin dir/renamed.bin",
            "get dir/renamed.bin back.bin",
            "rm dir/renamed.bin",
            "rmdir dir",
            "ls -la",
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1234567", done.stdout)
        self.assertEqual(digest(self.work / "back.bin"), digest(local))
        self.assertEqual(os.listdir(self.home), [])

    def test_tree(self) -> None:
        """A whole tree up and down again, times and modes kept."""
        tree = self.make_tree()
        os.utime(tree / "plain.txt", (1_000_000_000, 1_100_000_000))
        os.chmod(tree / "plain.txt", 0o640)
        done = self.batch("put -Rp tree", "get -Rp tree back")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree_digest(self.home / "tree"), tree_digest(tree))
        self.assertEqual(tree_digest(self.work / "back"), tree_digest(tree))
        there = (self.home / "tree" / "plain.txt").stat()
        self.assertEqual((there.st_mtime, there.st_mode & 0o777), (1_100_000_000, 0o640))

    def test_links(self) -> None:
        """Links are made, shown, read, and lead nowhere but into the home."""
        self.make_file("f", 10)
        done = self.batch("put f", "ln -s f soft", "ln f hard", "ls -l", "get soft via-soft", "ln -s /etc/passwd out")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(os.readlink(self.home / "soft"), "f")
        self.assertTrue(os.path.samefile(self.home / "hard", self.home / "f"))
        self.assertEqual(digest(self.work / "via-soft"), digest(self.work / "f"))
        self.assertEqual(self.batch("get out").returncode, 1)

    def test_resume(self) -> None:
        """reput and reget go on where they stopped."""
        local = self.make_file("big", 2_000_000)
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "big").write_bytes(local.read_bytes()[:700_000])
        self.assertEqual(self.batch("reput big").returncode, 0)
        self.assertEqual(digest(self.home / "big"), digest(local))
        (self.work / "part").write_bytes(local.read_bytes()[:300_001])
        self.assertEqual(self.batch("reget big part").returncode, 0)
        self.assertEqual(digest(self.work / "part"), digest(local))

    def test_attributes(self) -> None:
        self.make_file("f", 10)
        done = self.batch("put f", "chmod 600 f", "chmod 7777 f")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.home / "f").stat().st_mode & 0o7777, 0o777, "no set-id bits, no sticky bit")

    def test_df(self) -> None:
        """df shows the quota as the disk."""
        user = self.server.rest("GET", f"/user?username={self.user}")[0]
        self.server.rest("PUT", f"/user/{user['id']}", {"quota_size": 50 * 1024 * 1024})
        done = self.batch("df")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("51200", done.stdout)

    def test_failures(self) -> None:
        """What cannot be done fails with a sentence and without a path of the server's."""
        for command in ("get missing", "cd missing", "rm missing", "mkdir a/b/c", "rmdir missing", "ls missing"):
            done = self.batch(command)
            self.assertEqual(done.returncode, 1, command)
            self.assertNotIn(str(self.server.directory), done.stderr + done.stdout)

    def test_sparse_5_gib(self) -> None:
        """A file of 5 GiB, sparse: its size, and bytes beyond 4 GiB."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "huge").open("wb") as file:
            file.truncate(5 * 1024**3)
            file.seek(5 * 1024**3 - 10)
            file.write(b"0123456789")
        with (self.work / "huge").open("wb") as file:
            file.truncate(5 * 1024**3 - 4)
        done = self.batch("ls -l huge", "reget huge")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(str(5 * 1024**3), done.stdout)
        with (self.work / "huge").open("rb") as file:
            file.seek(5 * 1024**3 - 4)
            self.assertEqual(file.read(), b"6789")


class SCPTests(ServerTestCase):
    """scp in its SFTP mode, the default since OpenSSH 9."""

    def setUp(self) -> None:
        need("scp", "ssh-keygen")
        super().setUp()

    def scp(self, *words: str, password: str | None = None):
        options = ssh_options(self.server, None if password else self.key)
        return run(["scp", "-s", *options, "-P", str(self.server.sftp_port), *words], password=password, cwd=self.work)

    def remote(self, path: str) -> str:
        return f"{self.user}@127.0.0.1:{path}"

    def test_file(self) -> None:
        local = self.make_file("a file", 777_777)
        for password in (None, self.password):
            done = self.scp("a file", self.remote("there"), password=password)
            self.assertEqual(done.returncode, 0, done.stderr)
            done = self.scp(self.remote("there"), "back", password=password)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(digest(self.work / "back"), digest(local))

    def test_tree(self) -> None:
        tree = self.make_tree()
        done = self.scp("-rp", "tree", self.remote("/"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree_digest(self.home / "tree"), tree_digest(tree))
        done = self.scp("-rp", self.remote("tree"), "back")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree_digest(self.work / "back"), tree_digest(tree))

    def test_tilde(self) -> None:
        """expand-path: ~ is the home, which is the root."""
        local = self.make_file("f", 10)
        done = self.scp("f", self.remote("~/tilde"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(digest(self.home / "tilde"), digest(local))

    def test_missing(self) -> None:
        done = self.scp(self.remote("missing"), "back")
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)
