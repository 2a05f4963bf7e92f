"""psftp, lftp and sshfs against the real server."""

from __future__ import annotations

import os
import subprocess
import time
from unittest import SkipTest

from tests.harness import PATIENCE, digest, need, run, tree_digest
from tests.interop.base import ServerTestCase


class PuTTYTests(ServerTestCase):
    """PuTTY's psftp, with a password."""

    keys = False

    def setUp(self) -> None:
        need("psftp", "ssh-keygen")
        super().setUp()

    def test_round(self) -> None:
        local = self.make_file("local.bin", 1_000_003)
        script = self.work / "script"
        script.write_text(
            "mkdir dir\nput local.bin dir/remote.bin\nmv dir/remote.bin dir/renamed.bin\nls dir\n"
            "get dir/renamed.bin back.bin\nrm dir/renamed.bin\nrmdir dir\n"
        )
        found = run(["ssh-keygen", "-l", "-E", "sha256", "-f", self.server.directory / "id_ed25519"])
        done = run(
            [
                *("psftp", "-batch", "-P", str(self.server.sftp_port), "-pw", self.password),
                *("-hostkey", found.stdout.split()[1], "-b", script, f"{self.user}@127.0.0.1"),
            ],
            cwd=self.work,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(digest(self.work / "back.bin"), digest(local))
        self.assertEqual(os.listdir(self.home), [])


class LftpTests(ServerTestCase):
    """lftp mirrors a tree both ways."""

    def setUp(self) -> None:
        need("lftp", "ssh")
        super().setUp()

    def lftp(self, *commands: str):
        connect = f"ssh -a -x -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i {self.key.path}"
        script = [
            "set net:max-retries 1",
            "set net:timeout 60",
            f'set sftp:connect-program "{connect}"',
            f"open -p {self.server.sftp_port} sftp://{self.user}:@127.0.0.1",
            *commands,
        ]
        return run(["lftp", "--norc", "-c", "; ".join(script)], cwd=self.work)

    def test_mirror(self) -> None:
        tree = self.make_tree()
        done = self.lftp("mirror -R tree up", "mirror up down")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(tree_digest(self.home / "up"), tree_digest(tree))
        self.assertEqual(tree_digest(self.work / "down"), tree_digest(tree))


class SSHFSTests(ServerTestCase):
    """The home as a mounted file system."""

    def setUp(self) -> None:
        need("sshfs", "fusermount3")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            raise SkipTest("/dev/fuse cannot be used")
        super().setUp()
        self.mount = self.work / "mount"
        self.mount.mkdir()
        command = ["sshfs", f"{self.user}@127.0.0.1:/", self.mount, "-p", str(self.server.sftp_port), "-F", "/dev/null"]
        for option in (
            f"IdentityFile={self.key.path}",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "BatchMode=yes",
        ):
            command += ["-o", option]
        done = run(command)
        if done.returncode:
            if "fuse" in done.stderr:
                raise SkipTest(f"sshfs cannot mount here: {done.stderr.strip()}")
            self.fail(done.stderr)
        self.addCleanup(self.unmount)

    def unmount(self) -> None:
        for _ in range(100):
            if subprocess.run(["fusermount3", "-u", self.mount], check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        subprocess.run(["fusermount3", "-uz", self.mount], check=False)

    def test_files(self) -> None:
        """Writing, appending, renaming over, truncating, linking and removing, as programs do it."""
        data = os.urandom(1_500_000)
        (self.mount / "a").write_bytes(data)
        self.assertEqual((self.home / "a").read_bytes(), data)
        (self.mount / "b").write_bytes(b"old")
        (self.mount / "a").rename(self.mount / "b")
        self.assertEqual((self.mount / "b").read_bytes(), data)
        os.truncate(self.mount / "b", 1000)
        self.assertEqual((self.home / "b").read_bytes(), data[:1000])
        with (self.mount / "b").open("r+b") as file:
            file.seek(500)
            file.write(b"middle")
        self.assertEqual((self.home / "b").read_bytes(), data[:500] + b"middle" + data[506:1000])
        (self.mount / "link").symlink_to("b")
        self.assertEqual(os.readlink(self.mount / "link"), "b")
        self.assertTrue(os.statvfs(self.mount).f_blocks)
        (self.mount / "d").mkdir()
        subprocess.run(["cp", "-r", self.make_tree(), self.mount / "d"], check=True, timeout=PATIENCE)
        self.assertEqual(tree_digest(self.home / "d" / "tree"), tree_digest(self.work / "tree"))
        subprocess.run(["rm", "-r", self.mount / "d"], check=True, timeout=PATIENCE)
        self.assertEqual(sorted(os.listdir(self.home)), ["b", "link"])
