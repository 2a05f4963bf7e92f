"""What is drawn: text made fit for a terminal, the line of a transfer, the screen, and the reports."""

from __future__ import annotations

import os
import re
import threading

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.log import Log
from sftpgo.portable.progress import ASCII, UNICODE, Meter, View, row
from sftpgo.portable.ready import qr_code, qr_fits
from sftpgo.portable.screen import Screen
from sftpgo.portable.shown import amount, fitted, quoted, width
from sftpgo.portable.watch import Reporter, Watch
from sftpgo.printable import printable
from tests.harness import PATIENCE

ANYTHING = st.text(st.characters(), max_size=60)


class TextTests(SynchronousTestCase):
    """Names are what strangers choose."""

    def test_escapes(self) -> None:
        self.assertEqual(printable("a\x1b[2Jb\nc\x9bd\u202ee"), "a\\x1b[2Jb\\nc\\x9bd\\u202ee")
        self.assertEqual(printable("ünïcode-名前 x"), "ünïcode-名前 x")
        self.assertEqual(quoted('a"b\\c\r'), '"a\\"b\\\\c\\r"')

    def test_width(self) -> None:
        self.assertEqual(width("abc"), 3)
        self.assertEqual(width("名前"), 4)
        self.assertEqual(width("e\u0301"), 1)

    def test_fitted(self) -> None:
        self.assertEqual(fitted("abc", 5), "abc  ")
        self.assertEqual(fitted("abcdefghij", 5), "ab…ij")
        self.assertEqual(fitted("名前名前名前", 7), "名…前  ")
        self.assertEqual(fitted("abcdef", 2, "..."), "..")

    @settings(max_examples=200, deadline=None)
    @given(ANYTHING, st.integers(0, 50))
    def test_fits_always(self, text: str, columns: int) -> None:
        cut = fitted(printable(text), columns)
        self.assertEqual(width(cut), columns)
        self.assertTrue(cut.isprintable())

    def test_amounts(self) -> None:
        for number, text in {
            0: "0 B",
            999: "999 B",
            999.7: "1.0 KB",
            1500: "1.5 KB",
            99_940: "99.9 KB",
            99_960: "100 KB",
            999_499: "999 KB",
            999_500: "1.0 MB",
            5 * 10**18: "5000 PB",
        }.items():
            self.assertEqual(amount(number), text)


class RowTests(SynchronousTestCase):
    """The line of a transfer."""

    def test_download(self) -> None:
        view = View(False, "/big file.iso", "user@192.0.2.7", 30_000_000, 120_000_000, 5_500_000.0)
        self.assertEqual(
            row(view, 100, UNICODE),
            "↓ /big file.iso (user@192.0.2.7)             █████░░░░░░░░░░░░░░░ 30.0 MB of  120 MB  25%  5.5 MB/s",
        )
        self.assertEqual(row(view, 50, ASCII), "down /bi...iso  30.0 MB of  120 MB  25%  5.5 MB/s")

    def test_upload(self) -> None:
        view = View(True, "/a", "user@192.0.2.7", 1234, None, 0.0)
        self.assertEqual(row(view, 60, UNICODE), "↑ /a (user@192.0.2.7)                      1.2 KB     0 B/s")

    def test_more_than_there_was(self) -> None:
        """A file that grows while it is read."""
        self.assertIn("100%", row(View(False, "/a", "u", 300, 200, 0.0), 100, ASCII))
        self.assertNotIn("%", row(View(False, "/a", "u", 300, 0, 0.0), 100, ASCII))

    @settings(max_examples=300, deadline=None)
    @given(
        st.builds(
            View,
            upload=st.booleans(),
            path=ANYTHING,
            user=ANYTHING,
            size=st.integers(0, 2**60),
            total=st.none() | st.integers(0, 2**60),
            speed=st.floats(0, 1e18),
        ),
        st.integers(1, 200),
        st.sampled_from([UNICODE, ASCII]),
    )
    def test_never_wraps(self, view: View, columns: int, style: object) -> None:
        line = row(view, columns, style)
        self.assertLess(width(line), columns)
        self.assertTrue(line.isprintable())

    def test_speed(self) -> None:
        meter = Meter(0, 10.0)
        self.assertEqual(meter.measure(0, 10.0), 0.0)
        self.assertEqual(meter.measure(1000, 11.0), 1000.0)
        self.assertEqual(meter.measure(3000, 12.0), 1300.0)
        self.assertEqual(meter.measure(3000, 12.0), 1300.0)


class ScreenTests(SynchronousTestCase):
    """Bytes on a descriptor."""

    def setUp(self) -> None:
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)

    def read(self) -> bytes:
        os.close(self.writing)
        found = b""
        while part := os.read(self.reading, 65536):
            found += part
        return found

    def test_lines(self) -> None:
        screen = Screen(self.writing, live=False)
        screen.say("one")
        screen.show(["a row"])
        screen.say("two é")
        screen.close(PATIENCE)
        self.assertEqual(self.read(), "one\ntwo é\n".encode())

    def test_encoding(self) -> None:
        screen = Screen(self.writing, live=False, encoding="ascii")
        screen.say("é名")
        screen.close(PATIENCE)
        self.assertEqual(self.read(), b"\\xe9\\u540d\n")

    def test_block(self) -> None:
        """Drawn below the lines, over what was drawn before, and gone at the end."""
        screen = Screen(self.writing, live=True)
        screen.show(["row 1", "row 2"])
        self.expect(b"row 1\nrow 2\n")
        screen.say("a line")
        self.expect(b"\r\x1b[2A\x1b[Ja line\nrow 1\nrow 2\n")
        screen.show(["row 3"])
        self.expect(b"\r\x1b[2A\x1b[Jrow 3\n")
        screen.close(PATIENCE)
        self.assertEqual(self.read(), b"\r\x1b[1A\x1b[J")

    def expect(self, wanted: bytes) -> None:
        """Read so many bytes, and no more are needed."""
        found = b""
        while len(found) < len(wanted):
            found += os.read(self.reading, len(wanted) - len(found))
        self.assertEqual(found, wanted)

    def test_nobody_reads(self) -> None:
        """The caller never waits; what is too much is left out, and that is told."""
        screen = Screen(self.writing, live=False)
        screen.say("x" * 1_000_000)
        for number in range(5000):
            screen.say(f"line {number}")
        found: list[bytes] = []
        drained = threading.Thread(target=lambda: found.append(self.drain()))
        drained.start()
        screen.close(PATIENCE)
        os.close(self.writing)
        drained.join(PATIENCE)
        self.assertIn(b"line 0\n", found[0])
        left_out = re.findall(rb"\((\d+) lines are left out here\)\n", found[0])
        self.assertEqual(sum(map(int, left_out)) + found[0].count(b"line "), 5000)
        self.assertTrue(left_out)

    def drain(self) -> bytes:
        found = b""
        while part := os.read(self.reading, 65536):
            found += part
        return found

    def test_a_terminal_that_does_not_let_wait(self) -> None:
        """Somebody else on it has made it non-blocking: all comes through nevertheless."""
        os.set_blocking(self.writing, False)
        screen = Screen(self.writing, live=False)
        screen.say("x" * 500_000)
        found: list[bytes] = []
        drained = threading.Thread(target=lambda: found.append(self.drain()))
        drained.start()
        screen.close(PATIENCE)
        os.close(self.writing)
        drained.join(PATIENCE)
        self.assertEqual(found[0], b"x" * 500_000 + b"\n")

    def test_gone(self) -> None:
        """A terminal that is closed is no error."""
        reading, writing = os.pipe()
        os.close(reading)
        screen = Screen(writing, live=True)
        screen.say("to nobody")
        screen.close(PATIENCE)
        screen.say("to nobody")
        os.close(writing)
        os.close(self.writing)


class QRCodeTests(SynchronousTestCase):
    """Where there is one at all."""

    def test_fits(self) -> None:
        url = "sftp://user:LYtfHmVVnFUM8H@192.168.178.23:57374/"
        self.assertTrue(qr_fits(url, "unicode", 38))
        self.assertFalse(qr_fits(url, "unicode", 37))
        self.assertTrue(qr_fits(url, "ascii", 75))
        self.assertFalse(qr_fits(url, "ascii", 74))
        self.assertFalse(qr_fits("x" * 5000, "unicode", 10_000))

    def test_drawn(self) -> None:
        """No line is wider than was said."""
        url = "sftp://user@[2001:db8::1]:57374/"
        for style, columns in (("unicode", 33), ("ascii", 66)):
            bare = re.sub(r"\x1b\[[0-9;]*m", "", qr_code(url, style))
            self.assertEqual({len(line) for line in bare.splitlines()}, {columns})


class ReporterTests(SynchronousTestCase):
    """Which events become lines, and how."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.registry = ConnectionRegistry()
        self.registry.opened("c1", client_version="", remote_address="192.0.2.7:999", close=lambda: None, now=0)
        self.reporter = Reporter(self.lines.append, "/srv/share", self.registry)
        publisher = LogPublisher()
        publisher.addObserver(self.reporter)
        self.log = Log("sftpd", publisher)

    def transfer(self, sender: str = "Download", path: str = "/srv/share/a\x1bb", **more: str) -> None:
        self.log.transfer(
            sender,
            elapsed_ms=2000,
            size_bytes=4_000_000,
            username="us\ner",
            file_path=path,
            connection_id=more.pop("connection_id", "c1"),
            protocol="SFTP",
            **more,
        )

    def test_transfers(self) -> None:
        self.reporter.release()
        self.transfer()
        self.transfer("Upload", "/srv/share/x", sha256="00", connection_id="gone")
        self.assertEqual(
            self.lines,
            [
                'downloaded "/a\\x1bb": 4.0 MB in 2.0 s, 2.0 MB/s, us\\ner from 192.0.2.7:999',
                'uploaded "/x": 4.0 MB in 2.0 s, 2.0 MB/s, us\\ner',
            ],
        )

    def test_what_goes_wrong(self) -> None:
        self.reporter.release()
        self.log.debug("small")
        self.log.info("talk")
        self.log.warn("a {brace} and\x1b[31m red")
        self.log.error("bad")
        self.log.failure("worse", Failure(ValueError("no\nsense")))
        self.assertEqual(
            self.lines,
            ["warn: a {brace} and\\x1b[31m red", "error: bad", "error: worse: ValueError: no\\nsense"],
        )

    def test_held_until_it_is_up(self) -> None:
        self.log.warn("early")
        self.assertEqual(self.lines, [])
        self.reporter.release()
        self.log.warn("late")
        self.assertEqual(self.lines, ["warn: early", "warn: late"])


class FakeScreen:
    """Keeps what it is to show."""

    rows: tuple[str, ...] = ()

    def show(self, rows) -> None:
        self.rows = tuple(rows)


class WatchTests(SynchronousTestCase):
    """The rows follow what is running."""

    def setUp(self) -> None:
        self.registry = ConnectionRegistry()
        self.registry.opened("c1", client_version="", remote_address="192.0.2.7:999", close=lambda: None, now=0)
        self.registry.try_login("c1", "anna", 0, 0)
        self.screen = FakeScreen()
        self.clock = Clock()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        self.patch(os, "environ", os.environ | {"COLUMNS": "100", "LINES": "24"})
        self.watch = Watch(self.registry, self.screen, ASCII, self.clock, writing)
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def test_moves(self) -> None:
        self.assertEqual(self.screen.rows, ())
        transfer = self.registry.transfer_started("c1", "download", "/x", 0)
        transfer.total = 2_000_000
        self.clock.advance(0.25)
        self.assertRegex(self.screen.rows[0], r"^down /x \(anna@192\.0\.2\.7\) .*0 B of  2\.0 MB   0%     0 B/s$")
        transfer.size = 1_000_000
        self.clock.advance(0.25)
        self.assertRegex(self.screen.rows[0], r"##########\.{10}  1\.0 MB of  2\.0 MB  50%  4\.0 MB/s$")
        self.registry.transfer_ended("c1", transfer)
        self.clock.advance(0.25)
        self.assertEqual(self.screen.rows, ())

    def test_many(self) -> None:
        for number in range(30):
            self.registry.transfer_started("c1", "upload", f"/{number}", 0)
        self.clock.advance(0.25)
        self.assertEqual(len(self.screen.rows), 8)
        self.assertEqual(self.screen.rows[-1], "and 23 more")
        self.watch.stop()
        self.assertEqual(self.screen.rows, ())
