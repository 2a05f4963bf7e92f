"""Wildcards find what the user may list, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.globbing import expand
from sftpgo.ssh.words import split
from tests.doubles import make_filesystem


class GlobTests(SynchronousTestCase):
    """In a home with a directory that may not be listed."""

    def setUp(self) -> None:
        self.files = make_filesystem(self, {"/": ("*",), "/blind": ("download",)})
        home = Path(self.files.user.home_dir)
        for name in ("a.txt", "b.txt", "ü.txt", ".hidden.txt", "st*r", "d/x.txt", "d/y.c", "e/x.txt", "blind/x.txt"):
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).write_bytes(b"")
        (home / "out").symlink_to("/etc")
        with open(os.path.join(os.fsencode(home), b"\xff.txt"), "wb"):
            pass

    def expand(self, line: bytes) -> list[bytes]:
        (word,) = split(line)
        return self.successResultOf(Deferred.fromCoroutine(expand(self.files, word)))

    def test_table(self) -> None:
        for line, expected in {
            b"a.txt": [b"a.txt"],
            b"missing": [b"missing"],
            b"?.txt": [b"/a.txt", b"/b.txt", "/ü.txt".encode(), b"/\xff.txt"],
            b"[ab].txt": [b"/a.txt", b"/b.txt"],
            b"[!a].txt": [b"/b.txt", "/ü.txt".encode(), b"/\xff.txt"],
            b".*.txt": [b"/.hidden.txt"],
            b"*/x.txt": [b"/d/x.txt", b"/e/x.txt"],
            b"/d/*": [b"/d/x.txt", b"/d/y.c"],
            b"d/../*.c": [b"d/../*.c"],
            b"~/[ab].txt": [b"/a.txt", b"/b.txt"],
            b"~": [b"/"],
            b"~/a.txt": [b"/a.txt"],
            b"st\\*r": [b"st*r"],
            b"st'*'?": [b"/st*r"],
            b"'*'": [b"*"],
            b"*.none": [b"*.none"],
            b"blind/*": [b"blind/*"],
            b"out/*": [b"out/*"],
            b"a.txt/*": [b"a.txt/*"],
            b"*" * 5000: [b"*" * 5000],
        }.items():
            self.assertEqual(self.expand(line), expected, line[:30])

    def test_patience(self) -> None:
        """A pattern made to backtrack is no trouble."""
        home = Path(self.files.user.home_dir)
        (home / ("a" * 250)).write_bytes(b"")
        self.assertEqual(len(self.expand(b"*a" * 60 + b"b")), 1)
