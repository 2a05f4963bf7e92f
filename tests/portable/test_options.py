"""The flags of portable mode: what they mean, and what is said of nonsense."""

from __future__ import annotations

import contextlib
import io
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.model import SSH_COMMANDS
from sftpgo.errors import StartupError
from sftpgo.portable.options import parse
from tests.unprivileged import unprivileged

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFf1aL7dXlDJJBAi2lbUhH5MN/A+gzDMqcUX8jP1QpFD"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6rRvuu6CrQ9pYuVYp8wZqQ2cDEdW3sS0k1qnp/pcXA"


class OptionsTestCase(SynchronousTestCase):
    """Has a directory to share and a place for files."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.work = Path(directory.name).resolve()
        self.share = self.work / "share"
        self.share.mkdir()

    def parse(self, *words: str):
        return parse(["-d", str(self.share), *words], {})

    def refused(self, *words: str) -> str:
        """The one line that is said of a flag that cannot be used."""
        text = str(self.assertRaises(StartupError, self.parse, *words))
        self.assertNotIn("\n", text)
        return text


class MeaningTests(OptionsTestCase):
    """What they ask for."""

    def test_defaults(self) -> None:
        share = self.parse()
        self.assertEqual(share.user.username, "user")
        self.assertEqual(share.user.home_dir, str(self.share))
        self.assertEqual(share.user.permissions, {"/": ("list", "download")})
        self.assertTrue(share.generated)
        self.assertRegex(share.user.password, r"^[A-Za-z0-9]{14}$")
        self.assertNotEqual(share.user.password, self.parse().user.password)
        self.assertEqual(share.commands, ("md5sum", "sha1sum", "cd", "pwd"))
        self.assertIn(share.port, range(49152, 64152))
        self.assertEqual((share.log_file, share.bind_address), ("", ""))
        self.assertEqual((share.advertise, share.advertise_credentials), (False, False))
        self.assertEqual((share.user.quota_size, share.user.quota_files, share.user.max_sessions), (0, 0, 0))

    def test_all(self) -> None:
        share = self.parse(
            *("-u", "anna", "-p", "hush", "-k", KEY, "-g", "list,upload", "-g", "delete", "-s", "2022"),
            *("-c", "scp, sha256sum", "-l", "x.log", "-S", "-C"),
        )
        self.assertEqual((share.user.username, share.user.password, share.generated), ("anna", "hush", False))
        self.assertEqual(share.user.public_keys, (KEY,))
        self.assertEqual(share.user.permissions["/"], ("list", "upload", "delete"))
        self.assertEqual((share.port, share.commands, share.log_file), (2022, ("scp", "sha256sum"), "x.log"))
        self.assertTrue(share.advertise and share.advertise_credentials)

    def test_long_names(self) -> None:
        share = parse(
            [
                *("--directory", str(self.share), "--permissions", "*", "--public-key", KEY, "--sftpd-port=2022"),
                *("--ssh-commands", "*", "--username=anna", "--advertise-service", "--advertise-credentials=true"),
                *("--log-file-path", "", "--password", ""),
            ],
            {},
        )
        self.assertEqual(share.user.permissions, {"/": ("*",)})
        self.assertEqual(share.commands, SSH_COMMANDS)
        self.assertTrue(share.advertise and share.advertise_credentials)
        self.assertEqual((share.user.password, share.generated), ("", False))

    def test_switches(self) -> None:
        for words, wanted in {
            (): (False, False),
            ("-S",): (True, False),
            ("-SC",): (True, True),
            ("-S=true", "-C=false"): (True, False),
            ("-S", "--advertise-service=F"): (False, False),
            ("--advertise-service=1", "-C=t"): (True, True),
        }.items():
            share = self.parse(*words)
            self.assertEqual((share.advertise, share.advertise_credentials), wanted, words)

    def test_ports(self) -> None:
        """Any one of the range when it is 0 or less, and never one that is taken."""
        for given in ("0", "-1", "-70000"):
            self.assertIn(self.parse("-s", given).port, range(49152, 64152))
        found = {self.parse().port for _ in range(20)}
        self.assertGreater(len(found), 10)

    def test_keys(self) -> None:
        """A key as it is, several with commas between, and a file of them, as ssh-keygen leaves it."""
        self.assertEqual(self.parse("-k", f"{KEY} a, b").user.public_keys, (f"{KEY} a, b",))
        self.assertEqual(self.parse("-k", f"{KEY} a,{OTHER}").user.public_keys, (f"{KEY} a", OTHER))
        self.assertEqual(self.parse("-k", KEY, "-k", OTHER, "-k", KEY).user.public_keys, (KEY, OTHER))
        file = self.work / "id.pub"
        file.write_text(f"# mine\n{KEY} me\n\n{OTHER}\n")
        share = self.parse("-k", str(file))
        self.assertEqual(share.user.public_keys, (f"{KEY} me", OTHER))
        self.assertFalse(share.generated)

    def test_a_password_that_looks_like_a_hash(self) -> None:
        """Is a password all the same: it is typed as it was given."""
        text = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
        self.assertEqual(self.parse("-p", text).user.password, text)

    def test_home_of_any_length(self) -> None:
        """No database has to hold its path."""
        deep = self.share
        for _ in range(4):
            deep /= "d" * 100
        deep.mkdir(parents=True)
        self.assertEqual(parse(["-d", str(deep)], {}).user.home_dir, str(deep))

    def test_link_to_a_directory(self) -> None:
        link = self.work / "link"
        link.symlink_to(self.share)
        self.assertEqual(parse(["-d", str(link)], {}).user.home_dir, str(self.share))


class RefusalTests(OptionsTestCase):
    """Nonsense, each told in one line that names the flag."""

    def test_directory(self) -> None:
        file = self.work / "file"
        file.touch()
        self.assertIn("-d: there is no directory", str(self.assertRaises(StartupError, parse, ["-d", "/nowhere"], {})))
        self.assertIn("is no directory", str(self.assertRaises(StartupError, parse, ["-d", str(file)], {})))

    def test_unreadable_directory(self) -> None:
        self.parse()
        self.share.chmod(0)
        self.addCleanup(self.share.chmod, 0o700)
        with unprivileged(self.work):
            self.assertIn("cannot be read", self.refused())

    def test_words(self) -> None:
        for words, said in {
            ("-g", "list,fly"): "-g: 'fly' is no permission; there are",
            ("-g", ","): "-g: no permission is named",
            ("-c", "cd,rm"): "-c: 'rm' is no command that can be enabled; there are",
            ("-s", "ssh"): "-s: 'ssh' is no port",
            ("-s", "65536"): "-s: 65536 is no port",
            ("-s", "1.5"): "-s: '1.5' is no port",
            ("-u", ""): "-u: the name of the user is empty",
            ("-u", "a\nb"): "-u: username cannot hold control characters",
            ("-u", "x" * 300): "-u: username cannot be longer",
            ("-p", "x" * 2000): "-p: password cannot be longer",
            ("-p", "x\0"): "-p: password is not valid",
            ("-S=maybe",): "-S: 'maybe' is neither true nor false",
            ("--advertise-credentials=2",): "--advertise-credentials: '2' is neither true nor false",
            ("--bind-address", "home"): "--bind-address: 'home' is no IP address",
            ("-k", "ssh-ed25519 non:sense"): "-k: the key is not base64",
            ("-k", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFf1"): "-k: the key is damaged",
            ("-k", "/nowhere"): "-k: '/nowhere' is neither a public key nor a file of them",
            ("-k", ""): "-k: '' is neither a public key nor a file of them",
            ("-k", "/"): "-k: '/' cannot be read: Is a directory",
        }.items():
            self.assertIn(said, self.refused(*words), words)

    def test_key_files(self) -> None:
        for content, said in {
            b"": "holds no public key",
            b"\xff\xfe\x00": "holds no public keys",
            b"hello\n": "holds something that is no public key: no key found",
            b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n": "it is a private key",
        }.items():
            file = self.work / "key"
            file.write_bytes(content)
            text = self.refused("-k", str(file))
            self.assertIn("-k: ", text)
            self.assertIn(said, text)

    def test_no_flag(self) -> None:
        for words in (["--nonsense"], ["-d"], ["-x"], ["--dir", "/"]):
            with contextlib.redirect_stderr(io.StringIO()) as said:
                self.assertEqual(self.assertRaises(SystemExit, parse, words, {}).code, 1)
            self.assertEqual(len(said.getvalue().strip().splitlines()), 1)

    def test_an_address_of_others(self) -> None:
        """That is told by the listening, not taken for a port in use."""
        self.assertIn(self.parse("--bind-address", "203.0.113.1").port, range(49152, 64152))
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.assertEqual(self.parse("-s", str(taken.getsockname()[1])).port, taken.getsockname()[1])
