"""The grammar of SCP: arguments, control records, and what is written for each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import scp


class ArgumentTests(SynchronousTestCase):
    """Flags in any order, apart and together."""

    def test_table(self) -> None:
        for words, expected in {
            (b"-t", b"x"): scp.Request(True, False, False, False, 1),
            (b"-f", b"x"): scp.Request(False, False, False, False, 1),
            (b"-r", b"-t", b"x"): scp.Request(True, True, False, False, 1),
            (b"-rt", b"x"): scp.Request(True, True, False, False, 1),
            (b"-t", b"-r", b"-p", b"-d", b"-v", b"x"): scp.Request(True, True, True, True, 1),
            (b"-vdprt", b"x"): scp.Request(True, True, True, True, 1),
            (b"-qt", b"--", b"-x"): scp.Request(True, False, False, False, 1),
            (b"-f", b"--", b"x"): scp.Request(False, False, False, False, 1),
            (b"-f", b"a", b"b", b"-c"): scp.Request(False, False, False, False, 3),
            (b"-f", b"-"): scp.Request(False, False, False, False, 1),
        }.items():
            self.assertEqual(scp.parse_arguments(words), expected, words)

    def test_refused(self) -> None:
        for words in (
            (),
            (b"x",),
            (b"-t",),
            (b"-r", b"x"),
            (b"-t", b"-f", b"x"),
            (b"-tf", b"x"),
            (b"-t", b"a", b"b"),
            (b"-tS", b"x"),
            (b"-t", b"-oProxyCommand=id", b"x"),
            (b"--server", b"-t", b"x"),
            (b"-t", b"--"),
        ):
            with self.assertRaises(scp.SCPError, msg=words):
                scp.parse_arguments(words)


class RecordTests(SynchronousTestCase):
    """Control records."""

    def test_table(self) -> None:
        for line, expected in {
            b"C0644 12 a b": scp.File(0o644, 12, b"a b"),
            b"C0644 0 -x": scp.File(0o644, 0, b"-x"),
            b"C4755 1 'q\"": scp.File(0o4755, 1, b"'q\""),
            b"C644 1 a": scp.File(0o644, 1, b"a"),
            b"D0755 0 \xff\xfe": scp.Directory(0o755, b"\xff\xfe"),
            b"E": scp.End(),
            b"T1700000000 0 1600000000 5": scp.Times(1700000000, 1600000000),
            b"\1scp: x": scp.Remark(False, b"scp: x"),
            b"\2": scp.Remark(True, b""),
        }.items():
            self.assertEqual(scp.parse_record(line), expected, line)

    def test_refused(self) -> None:
        for line in (
            b"",
            b"X",
            b"EE",
            b"C0644 12",
            b"C0644 12 ",
            b"C0644 -1 a",
            b"C0644  1 a",
            b"C0888 1 a",
            b"C 1 a",
            b"C0644 9223372036854775808 a",
            b"C0644 99999999999999999999 a",
            b"C0644 1 .",
            b"C0644 1 ..",
            b"C0644 1 a/b",
            b"C0644 1 /etc/passwd",
            b"D0755 0 ../x",
            b"D0755 0 ..",
            b"C0644 1 a\0b",
            b"T1 2 3",
            b"T-1 0 0 0",
            b"T1 0 1 0 ",
        ):
            with self.assertRaises(scp.SCPError, msg=line):
                scp.parse_record(line)

    @settings(deadline=None, max_examples=300)
    @given(st.binary(max_size=60))
    def test_anything(self, line: bytes) -> None:
        """No line does more than give a record with a bare name, or be refused."""
        try:
            record = scp.parse_record(line)
        except scp.SCPError:
            return
        if isinstance(record, scp.File | scp.Directory):
            self.assertNotIn(b"/", record.name)
            self.assertNotIn(record.name, (b"", b".", b".."))

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 0o7777), st.integers(0, 2**63 - 1), st.binary(min_size=1, max_size=40))
    def test_round_trip(self, mode: int, size: int, name: bytes) -> None:
        """What is written for a file is read as that file; a newline is shown as vis(3) does."""
        name = name.replace(b"/", b"").replace(b"\0", b"")
        if name in (b"", b".", b".."):
            return
        shown = name.replace(b"\n", b"\\^J")
        for written, read in (
            (scp.file(mode, size, name), scp.File(mode, size, shown)),
            (scp.directory(mode, name), scp.Directory(mode, shown)),
        ):
            self.assertEqual(written.count(b"\n"), 1)
            self.assertEqual(scp.parse_record(written[:-1]), read)

    def test_times(self) -> None:
        self.assertEqual(scp.times(5, 6), b"T5 0 6 0\n")
        self.assertEqual(scp.times(-5, -1), b"T0 0 0 0\n")

    def test_messages(self) -> None:
        self.assertEqual(scp.warning("/a: no"), b"\1scp: /a: no\n")
        self.assertEqual(scp.fatal("x\ny"), b"\2scp: x\\^Jy\n")
        self.assertEqual(scp.warning("/\udcff"), b"\1scp: /\xff\n")
