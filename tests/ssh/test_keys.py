"""Host keys in files, and lines of authorized_keys."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import authorized_keys, hostkeys
from tests.harness import need


class HostKeyTests(SynchronousTestCase):
    """Generated once, 0600, and read in every form."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def test_generated_once(self) -> None:
        keys, made = hostkeys.load_or_generate(str(self.directory))
        self.assertEqual(sorted(keys), [b"ecdsa-sha2-nistp256", b"ssh-ed25519", b"ssh-rsa"])
        self.assertEqual(sorted(os.listdir(self.directory)), sorted(hostkeys.DEFAULT_NAMES))
        self.assertEqual([Path(path).name for path in made], list(hostkeys.DEFAULT_NAMES))
        for path in made:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertGreaterEqual(keys[b"ssh-rsa"].size(), 3072)
        self.assertTrue((self.directory / "id_rsa").read_bytes().startswith(b"-----BEGIN RSA PRIVATE KEY-----"))
        again, made = hostkeys.load_or_generate(str(self.directory))
        self.assertEqual(made, [])
        self.assertEqual(again, keys)

    def test_never_over_something(self) -> None:
        """A name that is taken, even by a dangling link, is not written through."""
        os.symlink(self.directory / "elsewhere", self.directory / "id_ed25519")
        with self.assertRaises(hostkeys.HostKeyError):
            hostkeys.load_or_generate(str(self.directory))
        self.assertFalse((self.directory / "elsewhere").exists())

    def test_race_for_the_first_key(self) -> None:
        """Whoever comes second uses the key that is there."""
        path = self.directory / "id_ed25519"
        hostkeys.generate(str(path))
        first = path.read_bytes()
        hostkeys.generate(str(path))
        self.assertEqual(path.read_bytes(), first)
        self.assertEqual(os.listdir(self.directory), ["id_ed25519"])

    def test_openssh_agrees(self) -> None:
        """ssh-keygen reads what is generated and tells the same fingerprint."""
        need("ssh-keygen")
        keys, made = hostkeys.load_or_generate(str(self.directory))
        told = {hostkeys.fingerprint(key) for key in keys.values()}
        for path in made:
            done = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True, check=True)
            self.assertIn(done.stdout.split()[1], told)

    def test_unwritable(self) -> None:
        with self.assertRaisesRegex(hostkeys.HostKeyError, "id_rsa cannot be created"):
            hostkeys.load_or_generate(str(self.directory / "missing"))

    def test_short_rsa(self) -> None:
        need("ssh-keygen")
        path = self.directory / "short"
        subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", path], check=True)
        with self.assertRaisesRegex(hostkeys.HostKeyError, "1024 bits"):
            hostkeys.load([str(path)])
        with self.assertRaisesRegex(hostkeys.HostKeyError, "public key"):
            hostkeys.load([str(path) + ".pub"])


class AuthorizedKeyTests(SynchronousTestCase):
    """Lines as sshd(8) describes them."""

    KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMw+Dvc6hCUOTxYpDrZtyuyfCzT3YRlVm5XcSnXZ1BLt"

    def test_plain(self) -> None:
        key = authorized_keys.parse(self.KEY + " joe@box with blanks ")
        self.assertEqual(key.comment, "joe@box with blanks")
        need("ssh-keygen")
        shown = subprocess.run(
            ["ssh-keygen", "-l", "-f", "-"], input=self.KEY, capture_output=True, text=True, check=True
        )
        self.assertEqual(key.fingerprint(), shown.stdout.split()[1])

    def test_options(self) -> None:
        for options in (
            "no-pty",
            'from="10.0.0.1,10.0.0.2",no-pty',
            'command="echo \\"ssh-rsa AAAA\\" and more",restrict',
            'environment="A=ssh-ed25519 x"',
        ):
            key = authorized_keys.parse(f"{options} {self.KEY} joe")
            self.assertEqual((key.blob, key.comment), (authorized_keys.parse(self.KEY).blob, "joe"), options)

    def test_refused(self) -> None:
        for line in (
            "",
            "# comment",
            "ssh-ed25519",
            "ssh-ed25519 not-base64!",
            "ssh-rsa " + self.KEY.split()[1],
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
            "ssh-dss AAAAB3NzaC1kc3M=",
            "nonsense " + self.KEY.split()[1],
            'command="unfinished ' + self.KEY,
        ):
            with self.assertRaises(ValueError, msg=line):
                authorized_keys.check(line)
