"""Counting what a home holds."""

from __future__ import annotations

import errno
import os

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Home
from sftpgo.storage.usage import Usage, scan
from sftpgo.storage.walk import WalkResolver
from tests.storage.world import World, open_descriptors, write


class UsageTests(SynchronousTestCase):
    """L{scan}."""

    def setUp(self):
        self.world = World(self.mktemp())
        self.root = self.world.home

    def scan(self, **options):
        home = Home.open(self.root, **options)
        try:
            return scan(home)
        finally:
            home.close()

    def test_empty(self):
        self.assertEqual(self.scan(), Usage(0, 0))

    def test_tree(self):
        os.makedirs(self.root + b"/a/\xff/c")
        for path, size in ((b"/f", 3), (b"/a/f", 0), (b"/a/\xff/f", 1000), (b"/a/\xff/c/f", 70)):
            write(self.root + path, b"." * size)
        os.truncate(self.root + b"/f", 5 << 30)
        os.mkfifo(self.root + b"/fifo")
        before = open_descriptors()
        self.assertEqual(self.scan(), Usage(4, (5 << 30) + 1070))
        self.assertEqual(self.scan(resolver=WalkResolver()), Usage(4, (5 << 30) + 1070))
        self.assertEqual(open_descriptors(), before)

    def test_links_lead_nowhere(self):
        os.symlink(self.world.outside, self.root + b"/out")
        os.symlink(b".", self.root + b"/round")
        os.symlink(self.world.outside + b"/file", self.root + b"/file")
        self.assertEqual(self.scan(), Usage(0, 0))

    def test_home_that_is_a_link(self):
        write(self.root + b"/file", b"12345")
        os.symlink(self.root, self.world.base + b"/linked")
        home = Home.open(self.world.base + b"/linked")
        self.addCleanup(home.close)
        self.assertEqual(scan(home), Usage(1, 5))

    def test_several_names_of_a_file_count_once(self):
        write(self.root + b"/one", b"12345")
        os.mkdir(self.root + b"/d")
        os.link(self.root + b"/one", self.root + b"/d/two")
        self.assertEqual(self.scan(), Usage(1, 5))

    def test_unreadable_directory_is_said(self):
        if os.getuid():
            self.skipTest("needs root to become somebody else")
        write(self.root + b"/file", b"12345")
        os.mkdir(self.root + b"/closed", 0o700)
        os.chmod(self.root, 0o755)
        home = Home.open(self.root)
        self.addCleanup(home.close)
        os.seteuid(65534)
        try:
            found = scan(home)
        finally:
            os.seteuid(0)
        self.assertEqual(found, Usage(1, 5, unreadable=1))

    def test_errors_below_the_home(self):
        os.mkdir(self.root + b"/d")
        write(self.root + b"/file", b"12345")
        for code in (errno.EACCES, errno.EIO, errno.ENOTCONN):
            self.assertEqual(self.scan(resolver=Failing(code)), Usage(1, 5, unreadable=1))
        for code in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            self.assertEqual(self.scan(resolver=Failing(code)), Usage(1, 5))

    def test_out_of_descriptors_is_no_sum(self):
        os.mkdir(self.root + b"/d")
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            before = open_descriptors()
            with self.assertRaises(OSError) as caught:
                self.scan(resolver=Failing(code))
            self.assertEqual(caught.exception.errno, code)
            self.assertEqual(open_descriptors(), before)


class Failing(WalkResolver):
    """Finds the home, and below it nothing but an error."""

    def __init__(self, code):
        self.code = code

    def resolve(self, root, names, links):
        if names:
            raise OSError(self.code, os.strerror(self.code))
        return super().resolve(root, names, links)
