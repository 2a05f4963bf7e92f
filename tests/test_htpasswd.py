from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import StartupError
from sftpgo.htpasswd import HtpasswdFile, matches

BCRYPT = "$2b$04$UualFSDmGgXBtSPyt9Rqqe6fWIosJGgDvIfK.vP2PcBrWE/UGqVdW"
APR1 = "$apr1$lZL6V/ci$PR6QJXkRFUzdUuaYcwrI//"
SHA512 = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"


class HtpasswdTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.said: list[str] = []

    def file(self, text: str | bytes) -> HtpasswdFile:
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        return HtpasswdFile(str(self.path), self.said.append)

    def refused(self, text: str | bytes) -> str:
        return str(self.assertRaises(StartupError, self.file(text).load))

    def test_lines(self) -> None:
        users = self.file(f"# who\n\nalice:{BCRYPT}\r\n bob:{APR1}:more\nb\u00f6rt:{SHA512}\n")
        users.load()
        self.assertEqual(self.said, [])
        for name, stored in (("alice", BCRYPT), ("bob", APR1), ("b\u00f6rt", SHA512)):
            self.assertEqual(users.hash_of(name), (stored, True))
        # An unknown user costs what somebody else costs.
        self.assertEqual(users.hash_of("carl"), (BCRYPT, False))

    def test_faults_are_told_by_line_and_never_by_hash(self) -> None:
        secret = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
        lines = [
            f"ok:{BCRYPT}", f"ok:{APR1}", f"sha:{secret}", "plain:secret", "nothing", ":x", "x:",
            "cut:$2b$04$abc", f"dear:$2b$15${BCRYPT[7:]}", "apr:$apr1$", "long:$6$rounds=1000001$salt$x",
            "\u00e9:\udcff",
        ]  # fmt: skip
        users = self.file("\n".join(lines).encode("utf-8", "surrogateescape"))
        users.load()
        self.assertEqual(users.hash_of("ok"), (BCRYPT, True))
        self.assertEqual(len(self.said), len(lines) - 1)
        for number, said in enumerate(self.said, 2):
            self.assertIn(f"line {number}: ", said)
        self.assertNotIn("secret", "".join(self.said))
        self.assertNotIn(secret, "".join(self.said))

    def test_a_file_that_lets_nobody_in(self) -> None:
        self.assertIn("no usable entry", self.refused(""))
        self.assertIn("line 1: a hash of no known form", self.refused("a:plain"))
        self.assertIn("larger than", self.refused(b"#" * (1024 * 1024 + 1)))
        self.path.unlink()
        error = self.assertRaises(StartupError, HtpasswdFile(str(self.path), self.said.append).load)
        self.assertIn("cannot be read: No such file or directory", str(error))

    def test_a_change_counts(self) -> None:
        users = self.file(f"alice:{BCRYPT}")
        users.load()
        new = self.path.with_suffix(".new")
        new.write_text(f"bob:{APR1}")
        os.replace(new, self.path)
        self.assertEqual(users.hash_of("bob"), (APR1, True))
        self.assertFalse(users.hash_of("alice")[1])

    def test_a_file_that_is_gone_lets_nobody_in(self) -> None:
        users = self.file(f"alice:{BCRYPT}")
        users.load()
        self.path.unlink()
        for _ in range(3):
            self.assertEqual(users.hash_of("alice"), ("", False))
        self.assertEqual(len(self.said), 1)
        self.file(f"alice:{BCRYPT}")
        self.assertTrue(users.hash_of("alice")[1])

    def test_passwords(self) -> None:
        for stored, password in ((BCRYPT, b"secret"), (APR1, b"secret"), (SHA512, b"Hello world!")):
            self.assertTrue(matches(stored, password), stored)
            for wrong in (b"", b"Secret", password + b"x", password + b"\0", b"x" * 5000):
                self.assertFalse(matches(stored, wrong), (stored, wrong))
        for stored in ("", "secret", "$5$x"):
            self.assertFalse(matches(stored, b"secret"))
