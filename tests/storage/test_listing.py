"""Reading directories in pieces."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tracemalloc

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage import listing
from sftpgo.storage.confined import Home
from sftpgo.storage.listing import DirectoryReader, Sorting, scan_bytes
from tests.storage.entries import list_directory
from tests.storage.world import World, open_descriptors, write

NAMES = (b"plain", b"\xff\xfe\x80", "ü".encode(), b"u\xcc\x88", b"new\nline", b" ", b"...", b"\x1b[2J", b"x" * 255)


class ListingTests(SynchronousTestCase):
    """L{DirectoryReader}."""

    def setUp(self):
        self.world = World(self.mktemp())
        self.root = self.world.home
        self.home = Home.open(self.root)
        self.addCleanup(self.home.close)

    def reader(self, path=b"/"):
        with self.home.locate(path, follow=True) as place:
            return DirectoryReader.open(place)

    def test_names_and_attributes(self):
        for number, name in enumerate(NAMES):
            write(self.root + b"/" + name, b"." * number)
        os.mkdir(self.root + b"/d")
        os.symlink(self.world.outside, self.root + b"/link")
        with self.home.locate(b"/", follow=True) as place:
            found = dict(list_directory(place))
        self.assertEqual(set(found), {*NAMES, b"d", b"link"})
        for name, status in found.items():
            self.assertEqual(status, os.lstat(self.root + b"/" + name))

    def test_in_order(self):
        for name in NAMES:
            write(self.root + b"/" + name)
        with self.home.locate(b"/", follow=True) as place:
            self.assertEqual([name for name, _status in list_directory(place)], sorted(NAMES))

    def test_in_order_as_far_as_memory_goes(self):
        """Beyond the number that is put in order, every entry still comes, once."""
        self.patch(listing, "SORTED", 10)
        for number in range(25):
            write(self.root + b"/%02d" % number)
        with self.home.locate(b"/", follow=True) as place:
            found = [name for name, _status in list_directory(place)]
        self.assertEqual(found[:10], sorted(found[:10]))
        self.assertEqual(sorted(found), [b"%02d" % number for number in range(25)])

    def test_many_together_keep_few_names(self):
        """Of each that is opened beside others fewer names are put in order, until those are closed."""
        self.patch(listing, "SORTED", 60)
        sorting = Sorting()
        self.assertEqual([sorting.begin() for _ in range(4)], [60, 30, 20, 15])
        for _ in range(4):
            sorting.end()
        for number in range(61):
            write(self.root + b"/%02d" % number)
        with self.home.locate(b"/", follow=True) as place:
            readers = [DirectoryReader.open(place, sorting) for _ in range(6)]
        found = [[name for name, _status in reader.next_chunk(100)] for reader in readers]
        for count, names in zip((60, 30, 20, 15, 12, 10), found, strict=True):
            self.assertEqual(names[:count], sorted(names[:count]))
            self.assertEqual(len(set(names)), 61)
        for reader in readers:
            reader.close()
            reader.close()
        self.assertEqual(sorting.begin(), 60)

    def test_pieces(self):
        names = {b"%d" % number for number in range(25)}
        for name in names:
            write(self.root + b"/" + name)
        before = open_descriptors()
        reader = self.reader()
        sizes, found = [], []
        while chunk := reader.next_chunk(10):
            sizes.append(len(chunk))
            found += [name for name, _ in chunk]
        self.assertEqual(sizes, [10, 10, 5])
        self.assertEqual((set(found), len(found)), (names, 25))
        self.assertEqual(reader.next_chunk(10), [])
        self.assertRaises(ValueError, reader.next_chunk, 0)
        reader.close()
        reader.close()
        self.assertEqual(open_descriptors(), before)

    def test_entries_that_vanish_are_skipped(self):
        for number in range(20):
            write(self.root + b"/%d" % number)
        reader = self.reader()
        self.addCleanup(reader.close)
        first = [name for name, _ in reader.next_chunk(1)]
        for name in os.listdir(self.root):
            if name not in first and name != b"7":
                os.unlink(self.root + b"/" + name)
        rest = [name for name, _ in reader.next_chunk(20)]
        self.assertEqual({*first, *rest}, {*first, b"7"})
        self.assertEqual((reader.next_chunk(20), reader.unreadable), ([], 0))

    def test_empty_directory(self):
        reader = self.reader()
        self.assertEqual(reader.next_chunk(), [])
        reader.close()

    def test_closed(self):
        reader = self.reader()
        reader.close()
        with self.assertRaises(OSError) as caught:
            reader.next_chunk()
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_left_early(self):
        for name in (b"a", b"b"):
            write(self.root + b"/" + name)
        before = open_descriptors()
        reader = self.reader()
        reader.next_chunk(1)
        reader.close()
        self.assertEqual(open_descriptors(), before)

    def test_no_directory(self):
        write(self.root + b"/file")
        os.symlink(self.world.outside, self.root + b"/link")
        before = open_descriptors()
        for path in (b"/file", b"/link"):
            with self.home.locate(path, follow=False) as place:
                self.assertRaises(NotADirectoryError, DirectoryReader.open, place)
        file = os.open(self.root + b"/file", os.O_RDONLY)
        self.assertRaises(NotADirectoryError, DirectoryReader, file)
        self.assertEqual(open_descriptors(), before)

    def test_directory_is_read_though_it_is_moved(self):
        os.mkdir(self.root + b"/d")
        write(self.root + b"/d/file")
        reader = self.reader(b"/d")
        self.addCleanup(reader.close)
        os.rename(self.root + b"/d", self.root + b"/e")
        os.symlink(self.world.outside, self.root + b"/d")
        self.assertEqual([name for name, _ in reader.next_chunk()], [b"file"])

    def test_names_are_exact_in_any_locale(self):
        for name in NAMES:
            write(self.root + b"/" + name)
        script = (
            "import sys\n"
            "from sftpgo.storage.confined import Home\n"
            "from sftpgo.storage.listing import DirectoryReader\n"
            "reader = DirectoryReader.open(Home.open(sys.argv[1]).locate(b'/', follow=True))\n"
            "for name, status in reader.next_chunk(): print(name.hex())\n"
        )
        expected = sorted(name.hex() for name in NAMES)
        for variables in (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            {"LC_ALL": "C.UTF-8"},
            {"LC_ALL": "POSIX", "PYTHONUTF8": "1"},
        ):
            environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
            output = subprocess.check_output([sys.executable, "-c", script, self.root], env=environment, text=True)
            self.assertEqual(sorted(output.split()), expected, variables)

    def test_names_never_decoded(self):
        for name in NAMES:
            write(self.root + b"/" + name)
        descriptor = os.open(self.root, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        with scan_bytes(descriptor) as entries:
            self.assertEqual({entry.name for entry in entries}, set(NAMES))

    def test_large_directory_streams(self):
        # The names that are put in order are in memory at once; here it is the rest that is looked at.
        self.patch(listing, "SORTED", 1000)
        count = 5000
        fd = os.open(self.root, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        for number in range(count):
            os.close(os.open(b"%0200d" % number, os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        reader = self.reader()
        self.addCleanup(reader.close)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        found = 0
        while chunk := reader.next_chunk(100):
            found += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
        self.assertEqual(found, count)
        # The names alone of the whole directory are a megabyte.
        self.assertLess(peak, 500_000)
