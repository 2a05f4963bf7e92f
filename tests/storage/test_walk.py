"""What the walk does when the tree changes under it."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage import walk
from tests.storage.world import World, open_descriptors


class DescendTests(SynchronousTestCase):
    """Going down again by names already seen, one of which has become a link."""

    def setUp(self):
        self.world = World(self.mktemp())
        os.makedirs(self.world.home + b"/a/b/c")
        self.root = os.open(self.world.home, os.O_RDONLY)
        self.addCleanup(os.close, self.root)

    def test_directories(self):
        descriptor = walk._descend(self.root, [b"a", b"b"])
        self.assertTrue(os.path.samestat(os.fstat(descriptor), os.stat(self.world.home + b"/a/b")))
        os.close(descriptor)

    def test_link(self):
        os.rename(self.world.home + b"/a/b", self.world.home + b"/b")
        os.symlink(self.world.outside, self.world.home + b"/a/b")
        before = open_descriptors()
        for names in ([b"a", b"b"], [b"a", b"b", b"sub"]):
            self.assertRaises(OSError, walk._descend, self.root, names)
        self.assertEqual(open_descriptors(), before)


class SwappedTests(SynchronousTestCase):
    """A name that is no link when it is read, and no directory when it is opened."""

    def test_directory_put_back_is_found(self):
        world = World(self.mktemp())
        os.mkdir(world.home + b"/d")
        os.symlink(world.outside, world.home + b"/trap")
        root = os.open(world.home, os.O_RDONLY)
        self.addCleanup(os.close, root)
        exchange(world.home, b"d", b"trap")
        looks = []

        def look(dir_fd, name):
            looks.append(name)
            exchange(world.home, b"d", b"trap")

        self.patch(walk, "link_target", look)
        descriptor, names, links = walk.WalkResolver().resolve(root, [b"d"], 0)
        os.close(descriptor)
        self.assertEqual((names, links, looks), ([b"d"], 0, [b"d"]))

    def test_it_gives_up(self):
        world = World(self.mktemp())
        os.symlink(world.outside, world.home + b"/trap")
        root = os.open(world.home, os.O_RDONLY)
        self.addCleanup(os.close, root)
        looks = []
        self.patch(walk, "link_target", lambda dir_fd, name: looks.append(name))
        before = open_descriptors()
        self.assertRaises(OSError, walk.WalkResolver().resolve, root, [b"trap"], 0)
        self.assertEqual(len(looks), walk.ATTEMPTS)
        self.assertEqual(open_descriptors(), before)


def exchange(home: bytes, one: bytes, other: bytes) -> None:
    os.rename(home + b"/" + one, home + b"/aside")
    os.rename(home + b"/" + other, home + b"/" + one)
    os.rename(home + b"/aside", home + b"/" + other)
