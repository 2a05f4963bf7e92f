from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.sizes import parse_size, size_text


class Sizes(SynchronousTestCase):
    def test_read(self) -> None:
        for text, octets in (
            ("0", 0),
            ("500", 500),
            ("-1", -1),
            ("10 GB", 10**10),
            (" 10gb ", 10**10),
            ("10G", 10**10),
            ("1.5 GiB", 3 * 2**29),
            ("1.5gi", 3 * 2**29),
            ("2 TB", 2 * 10**12),
            ("1 PiB", 2**50),
            ("7 B", 7),
            ("0.5 KB", 500),
        ):
            self.assertEqual((text, parse_size(text)), (text, octets))
        self.assertEqual((parse_size("512", bare=1000), parse_size("512 B", bare=1000)), (512_000, 512))

    def test_refused(self) -> None:
        for text in (
            "",
            "x",
            "10 XB",
            "10 GB 5",
            "1,5 GB",
            "1e9",
            "GB",
            "0x10",
            "١٠",
            "1.0001 KB",
            "--1",
            "9" * 21,
            "1..2",
        ):
            self.assertIn(f'"{text}"', str(self.assertRaises(ValueError, parse_size, text)))

    def test_written(self) -> None:
        for octets, text in (
            (0, "0 B"),
            (999, "999 B"),
            (10**10, "10 GB"),
            (1500, "1.5 KB"),
            (2**30, "1 GiB"),
            (3 * 2**29, "1.5 GiB"),
            (1234567, "1234567 B"),
            (-1000, "-1 KB"),
        ):
            self.assertEqual(size_text(octets), text)

    @settings(deadline=None, max_examples=100)
    @given(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 10**6).map(lambda n: n * 10**9))
    def test_what_is_written_can_be_typed(self, octets: int) -> None:
        self.assertEqual(parse_size(size_text(octets)), octets)
