"""Git's command line and environment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.git import environment, parse
from sftpgo.avatars.rsync import Refused
from sftpgo.ssh.words import split


class ArgumentTests(SynchronousTestCase):
    """Exactly one path."""

    def test_paths(self) -> None:
        for line, path in (
            ("git-upload-pack '/a b.git'", b"/a b.git"),
            ("git-upload-pack r", b"r"),
            ("git-upload-pack '~/r.git'", b"/r.git"),
            ("git-upload-pack ~/r.git", b"/r.git"),
            ("git-upload-pack '~bob/r'", b"~bob/r"),
            ("git-upload-pack './-r'", b"./-r"),
        ):
            self.assertEqual(parse(split(line.encode())[1:]), path, line)

    def test_refused(self) -> None:
        for arguments in ("", "''", "-x", "--help", "'--upload-pack=id'", "--strict /r", "a b", "/r --timeout=0"):
            with self.assertRaises(Refused, msg=arguments):
                parse(split(f"git-upload-pack {arguments}".encode())[1:])


class EnvironmentTests(SynchronousTestCase):
    """What Git is told."""

    def test_configuration(self) -> None:
        environ = environment("alice", 500)
        count = int(environ["GIT_CONFIG_COUNT"])
        found = {environ[f"GIT_CONFIG_KEY_{n}"]: environ[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}
        self.assertEqual(found["core.hooksPath"], "/dev/null")
        self.assertEqual(found["receive.maxInputSize"], "500")
        self.assertEqual(environ["GIT_CONFIG_NOSYSTEM"], "1")
        # For Git, 0 would be no limit.
        self.assertIn("1", environment("alice", 0).values())
        self.assertNotIn("receive.maxInputSize", environment("alice", None).values())

    @given(st.text())
    def test_any_name(self, username: str) -> None:
        """No name of a user makes an environment that cannot be."""
        for value in environment(username, None).values():
            self.assertNotIn("\0", value)
            value.encode()
