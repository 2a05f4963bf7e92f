"""A password that does not stand on the command line, where others see it."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import StartupError
from sftpgo.portable.options import Share, parse
from sftpgo.portable.password import VARIABLE
from tests.portable.terminal import Portable
from tests.unprivileged import unprivileged

LOOPBACK = ("--bind-address", "127.0.0.1")


class PasswordTests(SynchronousTestCase):
    """What is taken, and what is said of nonsense."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.file = Path(directory.name) / "password"

    def parse(self, *words: str, **environ: str) -> Share:
        return parse(["-d", str(self.file.parent), *words], environ)

    def from_file(self, content: str | bytes) -> str:
        self.file.write_bytes(content.encode() if isinstance(content, str) else content)
        share = self.parse("--password-file", str(self.file))
        self.assertFalse(share.generated)
        return share.user.password

    def refused(self, *words: str, **environ: str) -> str:
        text = str(self.assertRaises(StartupError, self.parse, *words, **environ))
        self.assertNotIn("\n", text)
        return text.replace(str(self.file.parent), "DIR")

    def test_file(self) -> None:
        for content in ("hush hush", "hush hush\n", "hush hush\r\n", "hush hush\nand a note\n"):
            self.assertEqual(self.from_file(content), "hush hush")
        self.assertEqual(self.from_file(" pässword \n"), " pässword ")
        self.assertEqual(self.from_file("x" * 1024 + "\r\n"), "x" * 1024)

    def test_variable(self) -> None:
        """It gives way to a flag, and an empty one is none."""
        share = self.parse(**{VARIABLE: "hush"})
        self.assertEqual((share.user.password, share.generated), ("hush", False))
        self.assertEqual(self.parse("-p", "flag", **{VARIABLE: "hush"}).user.password, "flag")
        self.file.write_text("file")
        self.assertEqual(self.parse("--password-file", str(self.file), **{VARIABLE: "hush"}).user.password, "file")
        self.assertTrue(self.parse("-p", "", **{VARIABLE: "hush"}).generated)
        self.assertTrue(self.parse(**{VARIABLE: ""}).generated)

    def test_standard_input(self) -> None:
        self.patch(sys, "stdin", io.StringIO("hush\nmore"))
        self.assertEqual(self.parse("--password-file", "-").user.password, "hush")
        self.patch(sys, "stdin", io.StringIO(""))
        said = self.refused("--password-file", "-")
        self.assertEqual(said, "--password-file: standard input holds no password in its first line")
        self.patch(sys, "stdin", None)
        self.assertEqual(self.refused("--password-file", "-"), "--password-file: standard input is closed")

    def test_nonsense(self) -> None:
        given = ("--password-file", str(self.file))
        self.assertEqual(
            self.refused(*given), "--password-file: 'DIR/password' cannot be read: No such file or directory"
        )
        self.assertIn("Is a directory", self.refused("--password-file", str(self.file.parent)))
        self.assertEqual(self.refused(*given, "-p", ""), "-p, --password-file: only one of them can be given")
        for content, said in (
            (b"", "'DIR/password' holds no password in its first line"),
            (b"\nhush", "'DIR/password' holds no password in its first line"),
            (b"\xff\xfe", "'DIR/password' holds no text in UTF-8"),
            (b"a\0b", "password is not valid Unicode or holds a NUL character"),
            (b"x" * 1025, "password cannot be longer than 1024 bytes"),
            (b"x" * 100_000, "password cannot be longer than 1024 bytes"),
        ):
            self.file.write_bytes(content)
            self.assertEqual(self.refused(*given), f"--password-file: {said}")
        self.assertIn(f"{VARIABLE}: password cannot be longer", self.refused(**{VARIABLE: "x" * 1025}))

    def test_file_of_somebody_else(self) -> None:
        self.from_file("hush")
        self.file.chmod(0)
        with unprivileged(self.file.parent):
            self.assertIn("Permission denied", self.refused("--password-file", str(self.file)))


class SecretTests(SynchronousTestCase):
    """The program itself: who has the password gets in, and nobody else learns it."""

    def ready(self, portable: Portable) -> None:
        self.assertEqual(portable.password, "")
        self.assertNotIn("hush", portable.text)
        portable.password = "hush-hush"
        self.assertEqual(portable.client().listdir("/"), [])
        portable.press_ctrl_c()
        self.assertEqual(portable.end(), 0)

    def portable(self, *, terminal: bool) -> Portable:
        made = Portable(terminal=terminal)
        self.addCleanup(made.clean_up)
        return made

    def test_asked_for_on_a_terminal(self) -> None:
        """Without an echo."""
        portable = self.portable(terminal=True)
        self.ready(portable.start(*LOOPBACK, "--password-file", "-", typed="hush-hush\n"))

    def test_pipe(self) -> None:
        portable = self.portable(terminal=False)
        self.ready(portable.start(*LOOPBACK, "--password-file", "-", typed="hush-hush\n"))

    def test_variable(self) -> None:
        portable = self.portable(terminal=False)
        self.ready(portable.start(*LOOPBACK, environ={VARIABLE: "hush-hush"}))
