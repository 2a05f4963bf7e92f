from __future__ import annotations

from collections.abc import Mapping

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.permissions import AccessRules, Permission
from tests.strategies import PATHS, PERMISSION_MAPS, PERMISSIONS

NAMES = [
    "*",
    "list",
    "download",
    "upload",
    "overwrite",
    "rename",
    "delete",
    "create_dirs",
    "create_symlinks",
    "chmod",
    "chown",
    "chtimes",
]


def nearest(permissions: Mapping[str, tuple[str, ...]], path: str) -> tuple[str, ...]:
    """The rule in other words: of the entries whose names begin the path's names, the one with the most names."""

    def split(text: str) -> list[str]:
        return [name for name in text.split("/") if name]

    names = split(path)
    above = [entry for entry in permissions if names[: len(split(entry))] == split(entry)]
    return permissions[max(above, key=lambda entry: len(split(entry)))] if above else ()


class Names(SynchronousTestCase):
    def test_as_written(self) -> None:
        self.assertEqual([str(permission) for permission in Permission], NAMES)


class NearestEntry(SynchronousTestCase):
    @given(PERMISSION_MAPS, PATHS, PERMISSIONS)
    @example({"/": ("*",), "/a": ("list",)}, "/..a", Permission.DELETE)
    @example({"/": ("list",), "/u1": ("*",)}, "/u10/b", Permission.DELETE)
    @settings(deadline=None, max_examples=500)
    def test_decides(self, permissions: Mapping[str, tuple[str, ...]], path: str, asked: Permission) -> None:
        names = nearest(permissions, path)
        rules = AccessRules(permissions)
        self.assertEqual(rules.allows(path, asked), "*" in names or asked in names)
        self.assertEqual(rules.allows(path, asked), "*" in names or asked in names)  # and from the cache
        self.assertEqual(rules.granted(path), frozenset(Permission) if "*" in names else frozenset(names))

    @given(PERMISSION_MAPS, PATHS, st.lists(PERMISSIONS, max_size=3))
    @settings(deadline=None, max_examples=200)
    def test_all_is_each(self, permissions: Mapping[str, tuple[str, ...]], path: str, asked: list[Permission]) -> None:
        rules = AccessRules(permissions)
        self.assertEqual(rules.allows_all(path, asked), all(rules.allows(path, each) for each in asked))

    def test_hides_what_is_above(self) -> None:
        rules = AccessRules({"/": ("*",), "/in": ("list", "upload"), "/in/free": ("*",)})
        self.assertTrue(rules.allows("/out", Permission.DELETE))
        self.assertFalse(rules.allows("/in/x/y", Permission.DELETE))
        self.assertTrue(rules.allows("/in/x/y", Permission.UPLOAD))
        self.assertTrue(rules.allows("/in/free/x", Permission.DELETE))

    def test_two_dots_in_a_name_are_no_root(self) -> None:
        rules = AccessRules({"/": ("*",), "/..x": ("list",)})
        self.assertFalse(rules.allows("/..x", Permission.DELETE))
        self.assertFalse(rules.allows("/..x/a", Permission.DELETE))

    def test_paths_are_made_canonical(self) -> None:
        rules = AccessRules({"/": ("*",), "/d//e/": ("list",)})
        for path in ("/d/e", "/d/./e/", "d/x/../e", "//d/e/f"):
            self.assertFalse(rules.allows(path, Permission.DELETE), path)
        self.assertTrue(rules.allows("/d/e/..", Permission.DELETE))
        self.assertRaises(ValueError, rules.granted, "/d\0")

    def test_without_a_root_entry_nothing(self) -> None:
        rules = AccessRules({"/a": ("*",)})
        self.assertEqual(rules.granted("/"), frozenset())
        self.assertEqual(rules.granted("/b/c"), frozenset())
        self.assertEqual(AccessRules({}).granted("/a"), frozenset())

    def test_unknown_names_grant_nothing(self) -> None:
        self.assertEqual(AccessRules({"/": ("everything", "list")}).granted("/"), {Permission.LIST})

    def test_two_spellings_grant_what_both_do(self) -> None:
        rules = AccessRules({"/": ("*",), "/a": ("list", "upload"), "/a/": ("list", "delete"), "/b/.": ("list",)})
        self.assertEqual(rules.granted("/a"), {Permission.LIST})
        self.assertEqual(rules.granted("/b"), {Permission.LIST})


class Entries(SynchronousTestCase):
    rules = AccessRules({"/": ("*",), "/u1": ("list",), "/u1/b": ("list",), "/u1/a/c": ("list",), "/u10": ("list",)})

    def test_below(self) -> None:
        self.assertEqual(self.rules.entries_below("/u1"), ("/u1/a/c", "/u1/b"))
        self.assertEqual(self.rules.entries_below("/u1/a"), ("/u1/a/c",))
        self.assertEqual(self.rules.entries_below("/u1/b"), ())
        self.assertEqual(self.rules.entries_below("/"), ("/u1", "/u1/a/c", "/u1/b", "/u10"))

    def test_own(self) -> None:
        self.assertTrue(self.rules.has_entry("/"))
        self.assertTrue(self.rules.has_entry("/u1/"))
        self.assertFalse(self.rules.has_entry("/u1/a"))


class Bounds(SynchronousTestCase):
    def test_a_client_cannot_fill_the_memory(self) -> None:
        rules = AccessRules({"/": ("*",), "/a": ("list",)})
        for number in range(5000):
            rules.granted(f"/a/{number}/" + "x" * 400)
            rules.granted(f"/a/{number}/" + "x" * 4000)
        self.assertLess(sum(map(len, rules._cache)), 300_000)
        self.assertEqual(rules.granted("/a/1"), {Permission.LIST})

    def test_a_very_deep_path(self) -> None:
        # Climbing it name by name, with a copy of the rest at each, would take hours.
        rules = AccessRules({"/": ("*",), "/a/a": ("list",)})
        self.assertEqual(rules.granted("/a" * 2_000_000), {Permission.LIST})
        self.assertIn(Permission.DELETE, rules.granted("/b" * 2_000_000))
