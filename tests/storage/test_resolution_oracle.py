"""Random trees full of links: the resolvers against a plain model, and against the kernel's own chroot-like lookup."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.confined import Home
from sftpgo.storage.openat2 import Openat2Resolver
from sftpgo.storage.syscalls import OpenHow, openat2
from sftpgo.storage.walk import WalkResolver
from tests.storage.world import need_openat2, open_descriptors, write

RESOLVE_IN_ROOT = 0x10

NAMES = st.sampled_from([b"a", b"b", b"c", b"\xff"])
STEPS = st.lists(st.one_of(NAMES, NAMES, st.sampled_from([b"..", b".", b""])), min_size=1, max_size=6)
#: What a path or a link's target may end in: a last name, or a way up.
LAST = st.one_of(NAMES, NAMES, NAMES, st.just(b".."))
PATHS = st.builds(lambda steps, last: b"/" + b"/".join([*steps, last]), STEPS, LAST)
TARGETS = st.builds(
    lambda absolute, steps, last: (b"/" if absolute else b"") + b"/".join([*(s for s in steps if s), last]),
    st.booleans(),
    st.lists(st.one_of(NAMES, st.just(b".."), st.just(b".")), max_size=3),
    LAST,
)

#: A tree: a directory is a dict, a link the bytes it says, a file is None.
FILES = st.none()


def directories(depth: int) -> st.SearchStrategy[dict[bytes, object]]:
    below = [directories(depth - 1)] * 2 if depth else [FILES]
    return st.dictionaries(NAMES, st.one_of(FILES, TARGETS, TARGETS, *below), min_size=1, max_size=4)


TREES = directories(3)


def build(tree, at: bytes) -> None:
    for name, node in tree.items():
        path = at + b"/" + name
        if node is None:
            write(path)
        elif isinstance(node, bytes):
            os.symlink(node, path)
        else:
            os.mkdir(path)
            build(node, path)


def oracle(tree, path: bytes, follow: bool) -> bytes:
    """The canonical path, or an OSError: a chroot told in dicts, one step at a time."""
    here: list[bytes] = []
    todo = path.split(b"/")
    links = 0
    while todo:
        step, todo = todo[0], todo[1:]
        directory = node_at(tree, here)
        if not isinstance(directory, dict):
            raise OSError(errno.ENOENT if directory is MISSING else errno.ENOTDIR, "")
        if step in (b"", b"."):
            continue
        if step == b"..":
            here = here[:-1]
            continue
        node = directory.get(step, MISSING)
        is_last = not any(rest not in (b"", b".") for rest in todo)
        if isinstance(node, bytes) and (follow or not is_last):
            links += 1
            if links > 40:
                raise OSError(errno.ELOOP, "")
            here = [] if node.startswith(b"/") else here
            todo = node.split(b"/") + todo
            continue
        if is_last:
            return b"/" + b"/".join([*here, step])
        here = [*here, step]
    return b"/" + b"/".join(here)


MISSING = object()


def node_at(tree, names):
    node = tree
    for name in names:
        node = node.get(name, MISSING) if isinstance(node, dict) else MISSING
    return node


class OracleTests(SynchronousTestCase):
    """Thousands of trees."""

    def check(self, tree, paths, judge) -> None:
        base = tempfile.mkdtemp()
        homes = []
        try:
            build(tree, os.fsencode(base))
            before = open_descriptors()
            homes = [Home.open(base, resolver=resolver()) for resolver in self.resolvers()]
            for home in homes:
                for path in paths:
                    for follow in (True, False):
                        judge(base, home, path, follow)
                home.close()
            self.assertEqual(open_descriptors(), before)
        finally:
            for home in homes:
                home.close()
            shutil.rmtree(base)

    def resolvers(self):
        return (Openat2Resolver, WalkResolver) if Openat2Resolver.works() else (WalkResolver,)

    @settings(deadline=None, max_examples=150)
    @given(TREES, st.lists(PATHS, min_size=1, max_size=8))
    def test_model(self, tree, paths):
        def judge(base, home, path, follow):
            expected = outcome(lambda: oracle(tree, path, follow))
            found = outcome(lambda: canonical(home, path, follow))
            self.assertEqual(found, expected, (tree, path, follow))

        self.check(tree, paths, judge)

    @settings(deadline=None, max_examples=150)
    @given(TREES, st.lists(PATHS, min_size=1, max_size=8))
    def test_kernel(self, tree, paths):
        need_openat2(self)

        def judge(base, home, path, follow):
            expected = outcome(lambda: kernel_inode(base, path, follow))
            found = outcome(lambda: inode(home, path, follow))
            self.assertEqual(found, expected, (tree, path, follow))

        self.check(tree, paths, judge)


def outcome(call):
    try:
        return call()
    except OSError as error:
        return errno.errorcode[error.errno]


def canonical(home, path, follow):
    with home.locate(path, follow=follow) as place:
        return place.path


def inode(home, path, follow):
    with home.locate(path, follow=follow) as place:
        return place.stat().st_ino


def kernel_inode(base, path, follow):
    root = os.open(base, os.O_PATH)
    try:
        flags = os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        found = None
        while found is None:
            # A rename anywhere on the machine while the kernel goes up makes it ask for another try.
            with contextlib.suppress(BlockingIOError):
                found = openat2(root, path, OpenHow(flags, 0, RESOLVE_IN_ROOT))
        try:
            return os.fstat(found).st_ino
        finally:
            os.close(found)
    finally:
        os.close(root)
