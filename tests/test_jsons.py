from __future__ import annotations

import json

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import Filters, User
from sftpgo.jsons import user_from_json, user_to_json

INT64 = st.integers(-(2**63), 2**63 - 1)
# With lone low surrogates; a high one before a low one would be read back as the one character they encode.
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=20)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
FILTERS = st.builds(Filters, allowed_ip=TEXTS, denied_ip=TEXTS)
INTEGERS = [field.name for field in attrs.fields(User) if field.type == "int"]
USERS = st.builds(
    User,
    username=TEXT,
    password=TEXT,
    home_dir=TEXT,
    public_keys=TEXTS,
    permissions=st.dictionaries(TEXT, TEXTS, min_size=1, max_size=3),
    filters=FILTERS,
    **dict.fromkeys(INTEGERS, INT64),
)

ALICE = User(
    id=7,
    status=1,
    username="alice",
    password="$argon2id$hash",
    public_keys=("ssh-ed25519 AAAA a",),
    home_dir="/srv/alice",
    permissions={"/": ("*",), "/a": ("list",)},
    used_quota_size=10,
    used_quota_files=1,
    last_quota_update=5,
    last_login=6,
    filters=Filters(("10.0.0.0/8",), ("10.1.0.0/16",)),
)


class Encoding(SynchronousTestCase):
    def test_the_strategy_covers_every_number(self) -> None:
        self.assertEqual(len(INTEGERS), 14)

    def test_key_order(self) -> None:
        self.assertEqual(
            list(user_to_json(ALICE, with_password=True)),
            [
                "id",
                "status",
                "username",
                "expiration_date",
                "password",
                "public_keys",
                "home_dir",
                "uid",
                "gid",
                "max_sessions",
                "quota_size",
                "quota_files",
                "permissions",
                "used_quota_size",
                "used_quota_files",
                "last_quota_update",
                "upload_bandwidth",
                "download_bandwidth",
                "last_login",
                "filters",
            ],
        )

    def test_omitted(self) -> None:
        value = user_to_json(User(), with_password=True)
        self.assertNotIn("password", value)
        self.assertNotIn("public_keys", value)
        self.assertEqual(value["filters"], {"allowed_ip": [], "denied_ip": []})
        self.assertEqual(value["permissions"], {})

    def test_no_password_unless_asked(self) -> None:
        self.assertNotIn("argon2id", json.dumps(user_to_json(ALICE, with_password=False)))
        self.assertEqual(user_to_json(ALICE, with_password=True)["password"], "$argon2id$hash")

    def test_permissions_sorted(self) -> None:
        user = User(permissions={"/z": ("list",), "/": ("*",), "/b": ()})
        self.assertEqual(json.dumps(user_to_json(user, with_password=False)["permissions"])[:12], '{"/": ["*"],')
        self.assertEqual(list(user.permissions), ["/z", "/", "/b"])
        encoded = user_to_json(user, with_password=False)["permissions"]
        assert isinstance(encoded, dict)
        self.assertEqual(list(encoded), ["/", "/b", "/z"])

    @given(USERS)
    @settings(deadline=None, max_examples=150)
    def test_round_trip_through_text(self, user: User) -> None:
        text = json.dumps(user_to_json(user, with_password=True))
        self.assertEqual(user_from_json(json.loads(text), User(), with_usage=True), user)


class Decoding(SynchronousTestCase):
    def test_absent_keeps(self) -> None:
        for nothing in ({}, None, {"permissions": {}}, {"permissions": None}, {"filters": {}}, {"nonsense": [1]}):
            self.assertEqual(user_from_json(nothing, ALICE), ALICE)

    def test_every_plain_field(self) -> None:
        body = {
            "id": 8,
            "status": 0,
            "username": "bob",
            "expiration_date": 1,
            "password": "new",
            "home_dir": "/b",
            "uid": 2,
            "gid": 3,
            "max_sessions": 4,
            "quota_size": 5,
            "quota_files": 6,
            "upload_bandwidth": 7,
            "download_bandwidth": 8,
        }
        got = user_from_json(body, ALICE)
        self.assertEqual({name: getattr(got, name) for name in body}, body)
        self.assertEqual(got.permissions, ALICE.permissions)

    def test_permissions_are_replaced_whole(self) -> None:
        got = user_from_json({"permissions": {"/": ["list", "download"]}}, ALICE)
        self.assertEqual(got.permissions, {"/": ("list", "download")})

    def test_filters_merge_by_key(self) -> None:
        got = user_from_json({"filters": {"denied_ip": []}}, ALICE)
        self.assertEqual(got.filters, Filters(("10.0.0.0/8",), ()))

    def test_lists_clear(self) -> None:
        self.assertEqual(user_from_json({"public_keys": []}, ALICE).public_keys, ())
        self.assertEqual(user_from_json({"password": ""}, ALICE).password, "")

    def test_null_is_empty(self) -> None:
        body = dict.fromkeys(("password", "public_keys", "filters", "uid", "home_dir"))
        base = attrs.evolve(ALICE, uid=4)
        want = attrs.evolve(base, password="", public_keys=(), filters=Filters(), uid=0, home_dir="")
        self.assertEqual(user_from_json(body, base), want)
        self.assertEqual(
            user_from_json({"filters": {"allowed_ip": None}}, ALICE).filters, Filters((), ("10.1.0.0/16",))
        )
        self.assertEqual(user_from_json({"permissions": {"/": None}}, ALICE).permissions, {"/": ()})

    def test_keys_without_case(self) -> None:
        got = user_from_json({"UserName": "x", "FILTERS": {"Allowed_IP": ["::/0"]}, "Home_Dir": "/X"}, User())
        self.assertEqual((got.username, got.home_dir, got.filters.allowed_ip), ("x", "/X", ("::/0",)))

    def test_directories_keep_their_case(self) -> None:
        got = user_from_json({"permissions": {"/A": ["*"], "/a": ["list"]}}, User())
        self.assertEqual(got.permissions, {"/A": ("*",), "/a": ("list",)})

    def test_usage_only_when_asked(self) -> None:
        body = {"used_quota_size": 99, "used_quota_files": 98, "last_quota_update": 97, "last_login": 96}
        self.assertEqual(user_from_json(body, ALICE), ALICE)
        got = user_from_json(body, ALICE, with_usage=True)
        self.assertEqual({name: getattr(got, name) for name in body}, body)

    def test_wrong_types_name_the_field(self) -> None:
        for body, named in [
            ({"uid": "1"}, "uid: expected an integer, got a string"),
            ({"uid": True}, "uid: expected an integer, got a boolean"),
            ({"uid": 1.0}, "uid: expected an integer"),
            ({"quota_size": 2**63}, "quota_size: "),
            ({"quota_size": -(2**63) - 1}, "quota_size: "),
            ({"username": 5}, "username: expected a string, got an integer"),
            ({"PassWord": ["hush"]}, "password: expected a string, got an array"),
            ({"public_keys": "k"}, "public_keys: expected an array of strings, got a string"),
            ({"public_keys": ["k", 2]}, "public_keys[1]: expected a string"),
            ({"permissions": ["*"]}, "permissions: expected an object, got an array"),
            ({"permissions": {"/": "*"}}, 'permissions["/"]: expected an array of strings'),
            ({"permissions": {"/": [{}]}}, 'permissions["/"][0]: expected a string, got an object'),
            ({"filters": []}, "filters: expected an object"),
            ({"filters": {"denied_ip": [None, False]}}, "filters.denied_ip[1]: expected a string"),
            ([], "user: expected an object, got an array"),
            ("x", "user: expected an object, got a string"),
        ]:
            error = self.assertRaises(ValueError, user_from_json, body, ALICE)
            self.assertIn(named, str(error))
            self.assertNotIn("hush", str(error))

    def test_usage_is_checked_when_taken(self) -> None:
        self.assertEqual(user_from_json({"last_login": "x"}, ALICE), ALICE)
        error = self.assertRaises(ValueError, user_from_json, {"last_login": "x"}, ALICE, with_usage=True)
        self.assertIn("last_login", str(error))

    def test_base_is_not_touched(self) -> None:
        before = attrs.evolve(ALICE, permissions=dict(ALICE.permissions))
        user_from_json({"permissions": {"/new": ["*"]}, "filters": None}, ALICE)
        self.assertEqual(ALICE, before)
