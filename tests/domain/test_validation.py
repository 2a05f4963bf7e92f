from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import Filters, User
from sftpgo.domain.validation import validate
from sftpgo.errors import ValidationError
from tests.strategies import PATHS, USERS

GOOD = User(status=1, username="alice", password="secret", home_dir="/srv/alice", permissions={"/": ("*",)})


def check_key(key: str) -> None:
    if key == "bad":
        raise ValueError("no key found")


def is_hashed(password: str) -> bool:
    return password.startswith("$argon2id$")


def valid(user: User, base: str = "") -> User:
    return validate(user, users_base_dir=base, is_hashed=is_hashed, check_key=check_key)


def changed(**changes: Any) -> User:
    return attrs.evolve(GOOD, **changes)


#: One fault each, in the order in which they are named.
FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("Mandatory parameters missing", {"username": ""}),
    ("Please set a password or at least a public_key", {"password": "", "public_keys": ()}),
    ("home_dir must be an absolute path, actual value: srv/alice", {"home_dir": "srv/alice"}),
    ('Invalid permission: "fly"', {"permissions": {"/": ("list", "fly")}}),
    ("invalid user status: 2", {"status": 2}),
    ("Could not parse key nr. 1: no key found", {"public_keys": ("good", "bad")}),
    (
        'Could not parse denied IP/Mask "10.0.0.1" : invalid CIDR address: 10.0.0.1',
        {"filters": Filters(denied_ip=("10.0.0.0/8", "10.0.0.1"))},
    ),
    (
        "max_sessions must be between -2147483648 and 2147483647, actual value: 2147483648",
        {"max_sessions": 2**31},
    ),
]

PERMISSION_FAULTS: list[tuple[str, dict[str, tuple[str, ...]]]] = [
    ("Please grant some permissions to this user", {}),
    ('Permissions for the root dir "/" must be set', {"/a": ("*",)}),
    ('Permissions for the root dir "/" must be set', {"//": ("*",)}),
    ('No permissions granted for the directory: "/a"', {"/": ("*",), "/a": ()}),
    ('No permissions granted for the directory: "a"', {"/": ("*",), "a": ()}),
    ('Invalid permission: "LIST"', {"/": ("*",), "/a": ("LIST",)}),
    ('Invalid permission: "x"', {"/": ("*", "x")}),
    ('Invalid permission: "x"', {"/": ("*",), "a": ("x",)}),
    ('Cannot set permissions for non absolute path: "a"', {"/": ("*",), "a": ("list",)}),
    ('Cannot set permissions for non absolute path: ""', {"/": ("*",), "": ("list",)}),
    ("Cannot set permissions for a path with a NUL character", {"/": ("*",), "/a\0": ("list",)}),
    ("Cannot set permissions for a path that is not valid Unicode", {"/": ("*",), "/\ud800": ("list",)}),
    (
        'Permissions for the directory "/a" are set twice: as "/a" and as "/b/../a/"',
        {"/": ("*",), "/a": ("list",), "/b/../a/": ("*",)},
    ),
    ('Permissions for the directory "/" are set twice: as "/" and as "/a/.."', {"/": ("list",), "/a/..": ("*",)}),
]


class Refusals(SynchronousTestCase):
    def assertRefused(self, text: str, user: User, base: str = "") -> None:
        with self.assertRaises(ValidationError) as caught:
            valid(user, base)
        self.assertEqual(str(caught.exception), f"Validation error: {text}")

    def test_each_fault(self) -> None:
        for text, changes in FAULTS:
            self.assertRefused(text, changed(**changes))

    def test_the_first_of_several_is_named(self) -> None:
        for first, (text, changes) in enumerate(FAULTS):
            for _text, later in FAULTS[first + 1 :]:
                self.assertRefused(text, changed(**{**later, **changes}))

    def test_mandatory(self) -> None:
        self.assertRefused("Mandatory parameters missing", changed(home_dir=""))
        self.assertRefused("Mandatory parameters missing", changed(username=""), "/srv")
        self.assertRefused("Mandatory parameters missing", User())

    def test_a_key_will_do(self) -> None:
        self.assertEqual(valid(changed(password="", public_keys=("good",))).public_keys, ("good",))

    def test_permissions(self) -> None:
        for text, permissions in PERMISSION_FAULTS:
            self.assertRefused(text, changed(permissions=permissions))

    def test_two_spellings_of_the_same_bytes(self) -> None:
        same = {"/": ("*",), "/ä": ("list",), "/\udcc3\udca4": ("*",)}
        with self.assertRaises(ValidationError) as caught:
            valid(changed(permissions=same))
        self.assertIn('Permissions for the directory "/ä" are set twice', str(caught.exception))

    def test_networks(self) -> None:
        self.assertRefused(
            'Could not parse allowed IP/Mask "x" : invalid CIDR address: x',
            changed(filters=Filters(allowed_ip=("x",))),
        )
        self.assertRefused(
            'Could not parse denied IP/Mask "y" : invalid CIDR address: y',
            changed(filters=Filters(allowed_ip=("x",), denied_ip=("y",))),
        )

    def test_names_that_no_column_holds(self) -> None:
        self.assertRefused("username cannot be longer than 255 characters", changed(username="é" * 256))
        for character in "\0\n\x1b\x7f\x85":
            self.assertRefused("username cannot hold control characters", changed(username=f"a{character}b"))
        self.assertRefused("username is not valid Unicode", changed(username="a\udcff"))
        self.assertRefused("home_dir cannot be longer than 255 characters", changed(home_dir="/" + "a" * 255))
        for character in ("\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x9b"):
            with self.assertRaises(ValidationError) as caught:
                valid(changed(home_dir=f"/a{character}b"))
            self.assertEqual(caught.exception.text, "home_dir cannot hold control characters")
            self.assertEqual(caught.exception.field, "home_dir")
        self.assertRefused("home_dir is not valid Unicode", changed(home_dir="/a\ud800"))
        self.assertRefused("home_dir cannot hold a name longer than 255 bytes", changed(home_dir="/a/" + "é" * 128))
        self.assertEqual(valid(changed(home_dir="/a" + "é" * 127)).home_dir, "/a" + "é" * 127)
        with self.assertRaises(ValidationError):
            valid(changed(username="é" * 128, home_dir=""), "/srv")

    def test_numbers_that_no_column_holds(self) -> None:
        narrow = ["uid", "gid", "max_sessions", "quota_files", "upload_bandwidth", "download_bandwidth"]
        wide = ["expiration_date", "quota_size"]
        for names, bits in ((narrow, 32), (wide, 64)):
            low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
            for name in names:
                for value in (low, high):
                    self.assertEqual(getattr(valid(changed(**{name: value})), name), value)
                for value in (low - 1, high + 1):
                    self.assertRefused(
                        f"{name} must be between {low} and {high}, actual value: {value}", changed(**{name: value})
                    )

    def test_passwords(self) -> None:
        self.assertEqual(valid(changed(password="x" * 1024)).password, "x" * 1024)
        self.assertRefused("password cannot be longer than 1024 bytes", changed(password="é" * 513))
        stored = "$argon2id$".ljust(255, "x")
        self.assertEqual(valid(changed(password=stored)).password, stored)
        self.assertRefused(
            "the hash of the password cannot be longer than 255 characters", changed(password=stored + "x")
        )
        for password in ("a\0", "a\udcff"):
            self.assertRefused("password is not valid Unicode or holds a NUL character", changed(password=password))


class DefaultHome(SynchronousTestCase):
    def test_below_the_base(self) -> None:
        for base in ("/srv/data", "/srv/data/", "/srv//x/../data"):
            self.assertEqual(valid(changed(home_dir=""), base).home_dir, "/srv/data/alice")
        self.assertEqual(valid(changed(home_dir=""), "/").home_dir, "/alice")

    def test_a_named_home_stays_as_it_is(self) -> None:
        self.assertEqual(valid(changed(home_dir="/srv//a/../b/"), "/data").home_dir, "/srv//a/../b/")

    def test_a_name_cannot_leave_the_base(self) -> None:
        for username in ("..", ".", "a/b", "../bob", "/etc"):
            with self.assertRaises(ValidationError):
                valid(changed(username=username, home_dir=""), "/srv/data")
            self.assertEqual(valid(changed(username=username), "/srv/data").home_dir, "/srv/alice")

    def test_a_relative_base(self) -> None:
        with self.assertRaises(ValidationError) as caught:
            valid(changed(home_dir=""), "data")
        self.assertIn("home_dir must be an absolute path, actual value: data/alice", str(caught.exception))


class Normalisation(SynchronousTestCase):
    def test_directories_and_lists(self) -> None:
        permissions = {"/": ("list", "list"), "/d/../e/": ("list", "*", "upload"), "/..x": ("chmod",)}
        self.assertEqual(
            valid(changed(permissions=permissions)).permissions,
            {"/": ("list", "list"), "/e": ("*",), "/..x": ("chmod",)},
        )

    def test_lists_become_tuples_of_plain_strings(self) -> None:
        made = valid(changed(permissions={"/": ["list", "*"], "/a": ["list"]}))
        self.assertEqual(made.permissions, {"/": ("*",), "/a": ("list",)})
        self.assertEqual({type(name) for names in made.permissions.values() for name in names}, {str})

    @given(USERS)
    @settings(deadline=None, max_examples=150)
    def test_what_is_in_order_stays_as_it_is(self, user: User) -> None:
        self.assertEqual(valid(user), user)

    @given(USERS, PATHS, st.sampled_from(["/.", "/", "/x/..", "//."]))
    @settings(deadline=None, max_examples=150)
    def test_once_is_enough(self, user: User, path: str, tail: str) -> None:
        others = {entry: names for entry, names in user.permissions.items() if entry != path}
        spelt = attrs.evolve(user, permissions={**others, "/": ("*",), path + tail: ("list",)})
        if path == "/":
            self.assertRaises(ValidationError, valid, spelt)
            return
        once = valid(spelt)
        self.assertEqual(once.permissions[path], ("list",))
        self.assertEqual(valid(once), once)
