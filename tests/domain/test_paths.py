from __future__ import annotations

import posixpath

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain import paths
from tests.strategies import PATHS, TYPED_PATHS, WIRE_PATHS

CASES = {
    "": "/",
    "/": "/",
    "//": "/",
    "///a": "/a",
    "a": "/a",
    "./a/.": "/a",
    "/a//b/": "/a/b",
    "..": "/",
    "/../..": "/",
    "/a/../../b": "/b",
    "/a/b/../c": "/a/c",
    "/..x": "/..x",
    "/...": "/...",
    "/a\\..\\b": "/a\\..\\b",
    "/ ": "/ ",
    "/a\n": "/a\n",
}


class Canonical(SynchronousTestCase):
    def test_table(self) -> None:
        self.assertEqual({path: paths.canonical(path) for path in CASES}, CASES)

    def test_nul(self) -> None:
        for path in ("\0", "/a\0", "/a\0/../b"):
            self.assertRaises(ValueError, paths.canonical, path)

    @given(TYPED_PATHS)
    @settings(deadline=None, max_examples=300)
    def test_like_normpath_of_the_absolute_path(self, path: str) -> None:
        # POSIX lets exactly two leading slashes stand; a virtual path does not.
        self.assertEqual(paths.canonical(path), posixpath.normpath("/./" + path))

    @given(TYPED_PATHS)
    @settings(deadline=None, max_examples=200)
    def test_is_its_own_canonical_form(self, path: str) -> None:
        once = paths.canonical(path)
        self.assertEqual(paths.canonical(once), once)
        names = once.split("/")[1:]
        self.assertTrue(once == "/" or not {"", ".", ".."} & set(names))


class Parts(SynchronousTestCase):
    def test_root(self) -> None:
        self.assertEqual((paths.parent("/"), paths.basename("/"), paths.depth("/")), ("/", "", 0))

    def test_below(self) -> None:
        self.assertEqual((paths.parent("/a"), paths.basename("/a"), paths.depth("/a")), ("/", "a", 1))
        self.assertEqual((paths.parent("/a/b"), paths.basename("/a/b"), paths.depth("/a/b")), ("/a", "b", 2))

    @given(PATHS)
    @settings(deadline=None, max_examples=200)
    def test_parent_and_basename_make_the_path(self, path: str) -> None:
        self.assertEqual(paths.join(paths.parent(path), paths.basename(path)), path)
        self.assertEqual(paths.parent(path), paths.canonical(path + "/.."))
        self.assertEqual(paths.depth(path), len([name for name in path.split("/") if name]))

    def test_join(self) -> None:
        self.assertEqual(paths.join("/a", "b/../c"), "/a/c")
        self.assertEqual(paths.join("/a", "../../.."), "/")
        self.assertEqual(paths.join("/a", "/b/"), "/b")
        self.assertEqual(paths.join("/a", ""), "/a")
        self.assertEqual(paths.join("/", "b"), "/b")
        self.assertRaises(ValueError, paths.join, "/a", "b\0")


class Contains(SynchronousTestCase):
    def test_name_by_name(self) -> None:
        self.assertFalse(paths.contains("/home/u1", "/home/u10"))
        self.assertFalse(paths.contains("/home/u10", "/home/u1"))
        self.assertTrue(paths.contains("/home/u1", "/home/u1/x"))
        self.assertTrue(paths.contains("/home/u1", "/home/u1"))
        self.assertFalse(paths.contains("/home/u1", "/home"))
        self.assertTrue(paths.contains("/", "/"))
        self.assertTrue(paths.contains("/", "/a"))
        self.assertFalse(paths.contains("/a", "/"))

    @given(PATHS, PATHS)
    @settings(deadline=None, max_examples=300)
    def test_is_a_prefix_of_the_names(self, directory: str, path: str) -> None:
        above = [name for name in directory.split("/") if name]
        names = [name for name in path.split("/") if name]
        self.assertEqual(paths.contains(directory, path), names[: len(above)] == above)

    @given(PATHS, PATHS)
    @settings(deadline=None, max_examples=200)
    def test_what_is_joined_lies_inside(self, directory: str, path: str) -> None:
        self.assertTrue(paths.contains(directory, paths.join(directory, path[1:])))


class Wire(SynchronousTestCase):
    @given(st.binary(max_size=60))
    @settings(deadline=None, max_examples=300)
    def test_bytes_come_back(self, path: bytes) -> None:
        self.assertEqual(paths.to_wire(paths.from_wire(path)), path)

    def test_utf8_whatever_the_locale(self) -> None:
        self.assertEqual(paths.from_wire("/ä".encode()), "/ä")
        self.assertEqual(paths.to_wire("/ä"), b"/\xc3\xa4")
        self.assertEqual(paths.from_wire(b"/\xff"), "/\udcff")

    def test_what_never_came_from_the_wire(self) -> None:
        self.assertRaises(ValueError, paths.to_wire, "/\ud800")

    @given(WIRE_PATHS)
    @settings(deadline=None, max_examples=300)
    def test_text_and_bytes_are_cleaned_alike(self, path: bytes) -> None:
        self.assertEqual(paths.to_wire(paths.canonical(paths.from_wire(path))), posixpath.normpath(b"/./" + path))
