"""From a virtual path to a place: the same answers by both resolvers."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import threading

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Home
from sftpgo.storage.names import LINK_LIMIT
from sftpgo.storage.walk import KEPT_DESCRIPTORS
from tests.storage.world import ByOpenat2, ByWalk, World, open_descriptors, write


class LocateMixin:
    """Both resolvers."""

    def setUp(self):
        self.world = World(self.mktemp())
        root = self.world.home
        os.makedirs(root + b"/a/b/c")
        write(root + b"/a/file", b"here")
        os.symlink(b"a/b", root + b"/to-b")
        os.symlink(b"/a/file", root + b"/to-file")
        os.symlink(b"/a/./b//new", root + b"/to-new")
        os.symlink(b"../../a", root + b"/a/b/up")
        self.home = self.world.open(self.resolver())
        self.addCleanup(self.home.close)

    def where(self, path, follow=True):
        with self.home.locate(path, follow=follow) as place:
            with contextlib.suppress(OSError):  # for this test's own path is too long sometimes
                there = os.stat(self.world.home + place.directory)
                self.assertTrue(os.path.samestat(os.fstat(place.dir_fd), there), path)
            return place.directory, place.name, place.path

    def assert_error(self, code, path, follow=True):
        before = open_descriptors()
        with self.assertRaises(OSError) as caught:
            self.home.locate(path, follow=follow).close()
        self.assertEqual(errno.errorcode[caught.exception.errno], errno.errorcode[code])
        self.assertNotIn(os.fsdecode(self.world.home), str(caught.exception))
        self.assertEqual(open_descriptors(), before)

    def test_canonical_form(self):
        for path in (
            b"/a/file",
            b"//a///file",
            b"/./a/./file",
            b"/a/file/",
            b"/a/file/.",
            b"/a/b/../file",
            b"/../a/file",
        ):
            self.assertEqual(self.where(path), (b"/a", b"file", b"/a/file"), path)

    def test_root(self):
        for path in (b"/", b"//", b"/.", b"/..", b"/../..", b"/a/..", b"/a/b/../..", b"/to-b/../.."):
            for follow in (True, False):
                with self.home.locate(path, follow=follow) as place:
                    self.assertTrue(place.is_root)
                    self.assertEqual((place.directory, place.path), (b"/", b"/"))
                    self.assertTrue(os.path.samestat(place.stat(), os.stat(self.world.home)))

    def test_links_on_the_way_are_followed(self):
        for follow in (True, False):
            self.assertEqual(self.where(b"/to-b/x", follow), (b"/a/b", b"x", b"/a/b/x"))
            self.assertEqual(self.where(b"/to-b/up/b/up/file", follow), (b"/a", b"file", b"/a/file"))
            self.assertEqual(self.where(b"/to-b/..", follow), (b"/", b"a", b"/a"))

    def test_absolute_link_starts_at_the_root_wherever_it_is(self):
        os.symlink(b"/a", self.world.home + b"/a/b/absolute")
        for follow in (True, False):
            self.assertEqual(self.where(b"/a/b/absolute/file", follow)[2], b"/a/file")
            self.assertEqual(self.where(b"/a/b/absolute/b/absolute/..", follow)[2], b"/")
        self.assertEqual(self.where(b"/a/b/absolute")[2], b"/a")

    def test_last_link_is_followed_when_asked(self):
        self.assertEqual(self.where(b"/to-file"), (b"/a", b"file", b"/a/file"))
        self.assertEqual(self.where(b"/to-file", follow=False), (b"/", b"to-file", b"/to-file"))
        self.assertEqual(self.where(b"/to-b/up"), (b"/", b"a", b"/a"))

    def test_dangling_link_leads_to_where_its_target_would_be(self):
        self.assertEqual(self.where(b"/to-new"), (b"/a/b", b"new", b"/a/b/new"))
        os.symlink(b"/nowhere/new", self.world.home + b"/lost")
        self.assert_error(errno.ENOENT, b"/lost")

    def test_missing_name_in_a_directory_that_is_there(self):
        self.assertEqual(self.where(b"/a/new"), (b"/a", b"new", b"/a/new"))
        with self.home.locate(b"/a/new", follow=True) as place:
            self.assertRaises(FileNotFoundError, place.stat)

    def test_absolute_target_outside_means_inside(self):
        os.symlink(self.world.outside + b"/secret", self.world.home + b"/out")
        self.assert_error(errno.ENOENT, b"/out")
        os.makedirs(self.world.home + self.world.outside)
        self.assertEqual(self.where(b"/out"), (self.world.outside, b"secret", self.world.outside + b"/secret"))

    def test_errors(self):
        self.assert_error(errno.ENOENT, b"/missing/x")
        self.assert_error(errno.ENOENT, b"/missing/..")
        self.assert_error(errno.ENOTDIR, b"/a/file/x")
        self.assert_error(errno.ENOTDIR, b"/a/file/..")
        self.assert_error(errno.ENOTDIR, b"/to-file/x")
        self.assert_error(errno.ENAMETOOLONG, b"/" + b"x" * 256 + b"/y")
        self.assert_error(errno.ENAMETOOLONG, b"/" + b"x" * 256)
        self.assert_error(errno.ENAMETOOLONG, b"/a" * 2048)
        self.assert_error(errno.EINVAL, b"/a\0b")
        self.assert_error(errno.EINVAL, b"/a\0b/c", follow=False)
        self.assert_error(errno.EINVAL, b"a/file")
        self.assert_error(errno.EINVAL, b"")

    def test_forty_links(self):
        root = self.world.home
        for name, first in ((b"end", b"/a/file"), (b"way", b"/a")):
            os.symlink(first, root + b"/%s1" % name)
            for number in range(2, LINK_LIMIT + 2):
                os.symlink(b"%s%d" % (name, number - 1), root + b"/%s%d" % (name, number))
        self.assertEqual(self.where(b"/end%d" % LINK_LIMIT)[2], b"/a/file")
        self.assertEqual(self.where(b"/way%d/file" % LINK_LIMIT)[2], b"/a/file")
        self.assert_error(errno.ELOOP, b"/end%d" % (LINK_LIMIT + 1))
        self.assert_error(errno.ELOOP, b"/way%d/file" % (LINK_LIMIT + 1))
        # Links on the way and links at the end count together.
        self.assert_error(errno.ELOOP, b"/way20/../end21")

    def test_loop(self):
        os.symlink(b"loop", self.world.home + b"/loop")
        self.assert_error(errno.ELOOP, b"/loop")
        self.assert_error(errno.ELOOP, b"/loop/x", follow=False)
        self.assertEqual(self.where(b"/loop", follow=False)[2], b"/loop")

    def test_names_are_byte_exact(self):
        for name in (
            b"\xff\xfe",
            b"line\nbreak",
            b"x" * 255,
            b"..x",
            b"...",
            b" ",
            b"a\\..\\b",
            "ü".encode(),
            b"u\xcc\x88",
        ):
            os.mkdir(self.world.home + b"/" + name)
            for path in (b"/" + name, b"/" + name + b"/" + name):
                self.assertEqual(self.where(path)[2], path)
            with self.home.locate(b"/" + name, follow=True) as place:
                self.assertTrue(os.path.samestat(place.stat(), os.stat(self.world.home + b"/" + name)))

    def test_path_of_four_kibibytes(self):
        names = [b"%03d" % number + b"d" * 197 for number in range(20)]
        current = os.open(self.world.home, os.O_RDONLY)
        for name in names:
            os.mkdir(name, dir_fd=current)
            below = os.open(name, os.O_RDONLY, dir_fd=current)
            os.close(current)
            current = below
        os.mkdir(b"e" * 200, dir_fd=current)
        os.symlink(b"e" * 200 + b"/file", b"l", dir_fd=current)
        os.close(current)
        # Nobody but a tool that walks by descriptors could remove it.
        self.addCleanup(shutil.rmtree, self.world.home)
        path = b"/" + b"/".join(names)
        path += b"/" + b"f" * (4095 - len(path) - 1)
        with self.home.locate(path, follow=True) as place:
            os.close(place.open(os.O_CREAT | os.O_WRONLY))
            self.assertEqual(place.path, path)
        self.assert_error(errno.ENAMETOOLONG, path + b"f")
        # A link makes it longer than any path may be, and it is found all the same.
        self.assertEqual(self.where(b"/" + b"/".join(names) + b"/l")[2][-206:], b"/" + b"e" * 200 + b"/file")
        os.symlink(b"/" + b"/".join(names[:19]), self.world.home + b"/deep")
        self.assertEqual(self.where(b"/deep/" + names[19] + path[-60:], follow=False)[2][-60:], path[-60:])

    def test_up_from_deeper_than_descriptors_are_kept(self):
        depth = 3 * KEPT_DESCRIPTORS
        deep = b"/n" * depth
        os.makedirs(self.world.home + deep)
        for up in (1, KEPT_DESCRIPTORS - 1, KEPT_DESCRIPTORS, KEPT_DESCRIPTORS + 1, depth - 1):
            before = open_descriptors()
            expected = b"/n" * (depth - up) + b"/x"
            self.assertEqual(self.where(deep + b"/.." * up + b"/x")[2], expected)
            self.assertEqual(open_descriptors(), before)
        self.assertTrue(self.where(deep + b"/.." * (depth + 5))[2] == b"/")

    @contextlib.contextmanager
    def spare_descriptors(self, spare):
        """Let only so many further descriptors be opened."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = {int(entry.split(" ")[0]) for entry in open_descriptors()}
        limit = next(n for n in range(1, 10_000) if n - len([u for u in used if u < n]) == spare)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    def test_few_descriptors_left(self):
        before = open_descriptors()
        outcomes = []
        for spare in range(8):
            for path in (b"/a/b/c/x", b"/to-b/up/b/../b/c/x", b"/to-file", b"/to-b/.."):
                with self.spare_descriptors(spare):
                    try:
                        self.home.locate(path, follow=True).close()
                        outcomes.append(0)
                    except OSError as error:
                        outcomes.append(error.errno)
                self.assertEqual(open_descriptors(), before)
        self.assertEqual(set(outcomes), {0, errno.EMFILE})
        self.assertEqual(outcomes[-4:], [0] * 4)

    def test_depth_takes_few_descriptors(self):
        deep = b"/n" * 100
        os.makedirs(self.world.home + deep)
        os.symlink(b".", self.world.home + deep + b"/here")
        with self.spare_descriptors(KEPT_DESCRIPTORS + 4), self.home.locate(deep + b"/here/x", follow=True) as place:
            self.assertEqual(place.path, deep + b"/x")

    def test_home_that_is_a_link(self):
        os.symlink(self.world.home, self.world.base + b"/linked")
        home = Home.open(self.world.base + b"/linked", resolver=self.resolver())
        self.addCleanup(home.close)
        with home.locate(b"/to-file", follow=True) as place:
            self.assertEqual(place.stat().st_size, 4)

    def test_home_may_be_the_root_of_the_system(self):
        home = Home.open("/", resolver=self.resolver())
        self.addCleanup(home.close)
        path = self.world.home + b"/a/file"
        with home.locate(path, follow=True) as place:
            self.assertEqual(place.path, path)
            self.assertEqual(place.stat().st_size, 4)
        with home.locate(b"/proc/self/../..", follow=True) as place:
            self.assertTrue(place.is_root)

    def test_home_is_renamed_and_replaced(self):
        os.rename(self.world.home, self.world.base + b"/elsewhere")
        os.rename(self.world.outside, self.world.home)
        self.assertEqual(self.where(b"/to-b/../file")[2], b"/a/file")
        with self.home.locate(b"/secret", follow=True) as place:
            self.assertRaises(FileNotFoundError, place.stat)

    def test_home_is_deleted(self):
        shutil.rmtree(self.world.home)
        self.assert_error(errno.ENOENT, b"/a/file")
        with self.home.locate(b"/new", follow=True) as place:
            self.assertRaises(FileNotFoundError, place.mkdir)

    def test_missing_home(self):
        self.assertRaises(FileNotFoundError, Home.open, self.world.base + b"/nobody", resolver=self.resolver())
        self.assertRaises(NotADirectoryError, Home.open, self.world.outside + b"/file", resolver=self.resolver())

    def test_closed_home(self):
        before = open_descriptors()
        home = self.world.open(self.resolver())
        home.close()
        home.close()
        self.assertEqual(open_descriptors(), before)
        with self.assertRaises(OSError) as caught:
            home.locate(b"/a", follow=True)
        self.assertEqual(caught.exception.errno, errno.EBADF)

    def test_open_directory_by_names_follows_no_link(self):
        descriptor = self.home.open_directory([b"a", b"b"])
        self.assertEqual(sorted(os.listdir(descriptor)), ["c", "up"])
        os.close(descriptor)
        for names, code in (([b"to-b"], errno.ELOOP), ([b"to-b", b"c"], errno.ELOOP), ([b"a", b"file"], errno.ENOTDIR)):
            before = open_descriptors()
            with self.assertRaises(OSError) as caught:
                self.home.open_directory(names)
            self.assertEqual(caught.exception.errno, code)
            self.assertEqual(open_descriptors(), before)


class Openat2LocateTests(ByOpenat2, LocateMixin, SynchronousTestCase):
    """By the kernel."""


class WalkLocateTests(ByWalk, LocateMixin, SynchronousTestCase):
    """By the fallback."""


class ClosedWhileInUseTests(SynchronousTestCase):
    """A home closed while a thread is in it stays open for that thread."""

    def test_close_waits_for_its_users(self):
        world = World(self.mktemp())
        os.mkdir(world.home + b"/a")
        resolver = SlowResolver()
        home = world.open(resolver)
        found = []

        def locate():
            with home.locate(b"/a/x", follow=True) as place:
                found.append(place.path)

        thread = threading.Thread(target=locate)
        thread.start()
        resolver.entered.wait()
        home.close()
        others = [os.open(world.outside, os.O_RDONLY) for _ in range(4)]
        resolver.go_on.set()
        thread.join()
        for descriptor in others:
            os.close(descriptor)
        self.assertEqual(found, [b"/a/x"])
        self.assertRaises(OSError, os.fstat, resolver.root)


class SlowResolver(ByWalk):
    """Holds a thread up just before it uses the home's descriptor."""

    name = "slow"

    def __init__(self):
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.root = -1

    def resolve(self, root, names, links):
        self.root = root
        self.entered.set()
        self.go_on.wait()
        return self.resolver().resolve(root, names, links)
