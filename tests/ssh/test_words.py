"""A command line is split as a shell splits it, and nothing in it is ever expanded."""

from __future__ import annotations

import fnmatch
import shlex
import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.words import Unreadable, split

#: What quoting is made of, and letters; nothing that a shell would expand.
_QUOTING = st.text(alphabet="ab '\"\\\t\n", max_size=14)


def texts(line: bytes) -> list[bytes]:
    return [word.text for word in split(line)]


class SplitTests(SynchronousTestCase):
    """Words, quotes, escapes."""

    def test_table(self) -> None:
        for line, expected in {
            b"": [],
            b"  \t ": [],
            b"cd": [b"cd"],
            b"cd ": [b"cd"],
            b"md5sum  a   b": [b"md5sum", b"a", b"b"],
            b"scp -t 'a b'": [b"scp", b"-t", b"a b"],
            b'scp -t "a b"': [b"scp", b"-t", b"a b"],
            rb"scp -t a\ b": [b"scp", b"-t", b"a b"],
            b"a''b \"\"": [b"ab", b""],
            b"'it'\\''s'": [b"it's"],
            rb'"a\"b\\c\d"': [rb'a"b\c\d'],
            b"x\\\ny": [b"xy"],
            b'"x\\\ny"': [b"xy"],
            "md5sum 'ü名'".encode(): [b"md5sum", "ü名".encode()],
            b"\xff \xfe": [b"\xff", b"\xfe"],
        }.items():
            self.assertEqual(texts(line), expected, line)

    def test_nothing_is_expanded(self) -> None:
        for line in (b"$HOME", b"`id`", b"$(id)", b"a;b", b"a|b", b"a&&b", b"<f", b">f", b"{a,b}", b"#x", b"!x"):
            self.assertEqual(texts(line), [line])
        self.assertEqual(texts(b'"$HOME `id`"'), [b"$HOME `id`"])

    def test_unreadable(self) -> None:
        for line in (b"'", b'"', b"a 'b", b'a "b\\"', b"a\\", b"a\0b"):
            with self.assertRaises(Unreadable, msg=line):
                split(line)

    def test_wildcards(self) -> None:
        """Only those outside of quotes are any."""
        for line, wild, matched, unmatched in (
            (b"*.txt", True, "a.txt", "a.jpg"),
            (b"'*'.txt", False, "*.txt", "a.txt"),
            (rb"\*.txt", False, "*.txt", "a.txt"),
            (b'"a?"*', True, "a?x", "abx"),
            (b"[ab]", True, "a", "c"),
            (b"'[ab]'", False, "[ab]", "a"),
            (b"\\[a\\*]*", True, "[a*]x", "a"),
        ):
            (word,) = split(line)
            self.assertEqual(word.wild, wild, line)
            self.assertTrue(fnmatch.fnmatchcase(matched, word.pattern.decode()), line)
            self.assertFalse(fnmatch.fnmatchcase(unmatched, word.pattern.decode()), line)

    def test_tilde(self) -> None:
        for line, tilde in ((b"~", True), (b"~/x", True), (b"'~'/x", False), (b"~bob", False), (b"a~", False)):
            self.assertEqual(split(line)[0].tilde, tilde, line)
        self.assertFalse(split(b"~''x")[0].tilde)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\0", b"")), max_size=5))
    def test_quoted_words_come_back(self, words: list[bytes]) -> None:
        line = " ".join(shlex.quote(word.decode("latin-1")) for word in words).encode("latin-1")
        self.assertEqual(texts(line), words)
        self.assertFalse([word for word in split(line) if word.tilde])

    @settings(deadline=None, max_examples=60)
    @given(_QUOTING)
    def test_like_a_shell(self, line: str) -> None:
        """The same words as C{sh} makes of it, and no words where it refuses."""
        script = "for word; do printf '%s\\0' \"$word\"; done"
        # A newline ends a command for a shell; here it only parts words, as a blank does.
        line = line.replace("\n", " ")
        shell = subprocess.run(["sh", "-c", f"set -- {line}\n{script}"], capture_output=True, check=False)
        try:
            mine = texts(line.encode())
        except Unreadable:
            if line.endswith("\\"):
                return  # for the shell the script's newline comes next
            self.assertNotEqual(shell.returncode, 0, line)
            return
        self.assertEqual(shell.stdout.split(b"\0")[:-1], mine, line)
