"""Every kind of link times every operation: nothing outside of the home is touched or seen."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.operations import OPERATIONS
from tests.storage.world import OUTSIDE_NAME, SECRET, ByOpenat2, ByWalk, Watch, World, open_descriptors, write


def links(world: World) -> dict[str, bytes]:
    """Kinds of links, by what they say."""
    up = b"../" * (world.home.count(b"/") + 5)
    return {
        "absolute to a file": world.outside + b"/" + OUTSIDE_NAME,
        "absolute to a directory": world.outside,
        "absolute to what is not there": world.outside + b"/new",
        "relative to a file": b"../u10/" + OUTSIDE_NAME,
        "relative to a directory": b"../u10",
        "relative to what is not there": b"../u10/new",
        "a chain of .. and down again": up.rstrip(b"/") + world.outside,
        "a chain of .. only": up,
        "the parent": b"..",
        "dangling inside": b"nowhere",
        "itself": b"l",
        "round and round": b"loop/l",
        "the home by its real name": world.home,
        "the home by the real name of its neighbour": world.home + b"/../u10",
        "root": b"/",
        "the process's root": b"/proc/self/root" + world.outside,
        "through a linked directory": b"door/" + OUTSIDE_NAME,
        "inside to a file": b"/own",
        "inside to a directory": b"empty",
    }


#: Paths that meet the link /l at their end, in their middle, or go up from behind it.
PATHS = (
    b"/l",
    b"/l/" + OUTSIDE_NAME,
    b"/l/new",
    b"/l/..",
    b"/l/../u10/" + OUTSIDE_NAME,
    b"/d/l2/sub/" + OUTSIDE_NAME,
    b"/l/sub/../../" + OUTSIDE_NAME,
)


class LinkMatrixMixin:
    """The matrix; one test for each operation."""

    def setUp(self):
        self.world = World(self.mktemp())
        self.kinds = links(self.world)
        self.inodes = self.world.inodes()

    def fill(self, target: bytes) -> None:
        home = self.world.home
        self.world.empty_home()
        write(home + b"/own", b"own")
        os.mkdir(home + b"/d")
        os.mkdir(home + b"/empty")
        os.symlink(self.world.outside, home + b"/door")
        os.symlink(b".", home + b"/loop")
        os.symlink(target, home + b"/l")
        os.symlink(b"../l", home + b"/d/l2")

    def check_seen(self, seen: list[object], what: str) -> None:
        for item in seen:
            if isinstance(item, os.stat_result):
                self.assertNotIn((item.st_dev, item.st_ino), self.inodes, what)
            else:
                self.assertNotIn(SECRET, item, what)
                self.assertNotEqual(OUTSIDE_NAME, item, what)

    def attempt(self, operation, home, path, follow, what) -> bool:
        try:
            seen = operation(home, path, follow)
        except OSError:
            return False
        self.check_seen(seen, what)
        return True

    def run_matrix(self, name: str) -> None:
        operation = OPERATIONS[name]
        resolver = self.resolver()
        outside = self.world.snapshot()
        watch = Watch(self.world.outside)
        self.addCleanup(watch.close)
        before = open_descriptors()
        succeeded = 0
        for kind, target in self.kinds.items():
            contents = None
            for path in PATHS:
                for follow in (True, False):
                    if contents is None or contents != self.world.contents():
                        self.fill(target)
                        contents = self.world.contents()
                    home = self.world.open(resolver)
                    what = f"{name} {path!r} follow={follow}, link: {kind}"
                    succeeded += self.attempt(operation, home, path, follow, what)
                    home.close()
                    self.assertEqual(watch.events(), [], what)
            # Taking it is an event of its own.
            self.assertEqual(self.world.snapshot(), outside, (name, kind))
            watch.events()
        self.assertEqual(open_descriptors(), before, name)
        # Some of the links lead to a good place inside: were everything refused, nothing would have been shown.
        self.assertTrue(succeeded, name)


def _test_of(name):
    def test(self):
        self.run_matrix(name)

    test.__name__ = "test_" + name
    return test


for _name in OPERATIONS:
    setattr(LinkMatrixMixin, "test_" + _name, _test_of(_name))


class Openat2LinkMatrixTests(ByOpenat2, LinkMatrixMixin, SynchronousTestCase):
    """By the kernel."""


class WalkLinkMatrixTests(ByWalk, LinkMatrixMixin, SynchronousTestCase):
    """By the fallback."""


class DetectorTests(SynchronousTestCase):
    """The matrix would notice."""

    def test_reading_is_seen(self):
        world = World(self.mktemp())
        watch = Watch(world.outside)
        self.addCleanup(watch.close)
        self.assertEqual(watch.events(), [])
        with open(world.outside + b"/" + OUTSIDE_NAME, "rb"):
            pass
        self.assertNotEqual(watch.events(), [])

    def test_every_change_is_seen(self):
        for change in (
            lambda outside: write(outside + b"/new"),
            lambda outside: os.chmod(outside + b"/file", 0o700),
            lambda outside: os.utime(outside + b"/file", ns=(1, 1)),
            lambda outside: os.truncate(outside + b"/sub/secret", 0),
            lambda outside: os.unlink(outside + b"/file"),
            lambda outside: write(outside + b"/../new"),
        ):
            world = World(self.mktemp())
            before = world.snapshot()
            self.assertEqual(world.snapshot(), before)
            change(world.outside)
            self.assertNotEqual(world.snapshot(), before)
