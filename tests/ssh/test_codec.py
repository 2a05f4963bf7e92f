"""Attributes and listings as bytes."""

from __future__ import annotations

import os
import re
import struct
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import NameEntry
from sftpgo.ssh.listing import attributes_of, longname, packed_attributes, packed_entry

FIELDS = ("size", "uid", "gid", "permissions", "atime", "mtime")


class AttributeTests(SynchronousTestCase):
    @given(st.fixed_dictionaries({}, optional={name: st.integers(-(2**70), 2**70) for name in FIELDS}))
    def test_clamped_and_read_back(self, attrs: dict[str, int]) -> None:
        """What is sent can be read, whatever a file system says; pairs go together or not at all."""
        packed = codec.attributes(attrs)
        reader = codec.Reader(packed)
        found = reader.attributes()
        self.assertEqual(reader.rest(), b"")
        for pair in (("uid", "gid"), ("atime", "mtime")):
            self.assertEqual(set(pair) <= set(found), set(pair) <= set(attrs))
        for name, value in found.items():
            top = 2**64 - 1 if name == "size" else 2**32 - 1
            self.assertEqual(value, min(max(attrs[name], 0), top), name)

    def test_negative_time(self) -> None:
        """One file from before 1970 does not break a listing."""
        attrs = dict.fromkeys(FIELDS, 5) | {"mtime": -1}
        self.assertEqual(codec.Reader(codec.attributes(attrs)).attributes()["mtime"], 0)

    def test_names(self) -> None:
        entries = [NameEntry(b"a", b"long a", dict.fromkeys(FIELDS, 1)), NameEntry(b"\xff", b"", {})]
        packet = codec.names(7, entries)
        self.assertEqual(struct.unpack_from(">LBL", packet), (len(packet) - 4, codec.NAME, 7))
        reader = codec.Reader(packet[9:])
        self.assertEqual(reader.uint32(), 2)
        for entry in entries:
            self.assertEqual((reader.string(), reader.string(), reader.attributes()), entry)


class LongnameTests(SynchronousTestCase):
    """The line clients parse."""

    def status(self, mtime: float) -> os.stat_result:
        return os.stat_result((0o100644, 1, 2, 3, 1000, 0, 5, mtime, mtime, mtime))

    def test_recent_and_old(self) -> None:
        now = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))
        recent = time.mktime((2026, 11, 23, 11, 30, 59, 0, 0, -1))
        old = time.mktime((2020, 2, 3, 11, 30, 0, 0, 0, -1))
        self.assertEqual(
            longname(b"a.txt", self.status(recent), now),
            b"-rw-r--r--    3 1000     0               5 Nov 23 11:30 a.txt",
        )
        self.assertRegex(longname(b"\xff", self.status(old), now), rb" Feb  3  2020 \xff$")

    def test_absurd_times(self) -> None:
        for mtime in (-1, 2**40, 2**62, -(2**40)):
            self.assertTrue(re.match(rb"-rw-r--r-- .* name$", longname(b"name", self.status(mtime), 0.0)), mtime)

    def test_entry(self) -> None:
        """Packed at once, it is what it is packed piece by piece."""
        for mtime in (9, -1, 2**32, 2**62):
            status = self.status(mtime)
            pieces = codec.string(b"n") + codec.string(longname(b"n", status, 10.0))
            attributes = codec.attributes(attributes_of(status))
            self.assertEqual(packed_attributes(status), attributes)
            self.assertEqual(packed_entry(b"n", status, 10.0), pieces + attributes)
