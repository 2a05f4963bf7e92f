from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.dataprovider.sqlite import SQLiteProvider
from sftpgo.domain.user import User
from tests.web.talk import HASH, KEY, Reply, Server, Wire, head, user

PATH = "/api/v1/user"


def error(text: str, status: int = 400) -> dict[str, object]:
    return {"error": text, "message": "", "status": status}


def message(text: str, status: int = 200) -> dict[str, object]:
    return {"error": "", "message": text, "status": status}


class UserContract:
    """Every row of the user endpoint; mixed into one TestCase for each data provider."""

    no_such_id: str
    duplicate: str
    first_id_again: int
    negative_limit: int

    server: Server
    provider: Any
    assertEqual: Any
    assertIn: Any
    assertNotIn: Any
    assertTrue: Any

    async def call(self, *args: Any, **options: Any) -> Reply:
        return await self.server.call(*args, **options)

    async def add(self, **fields: Any) -> dict[str, Any]:
        reply = await self.call("POST", PATH, user(**fields))
        self.assertEqual((reply.status, reply.body), (200, reply.body))
        added: dict[str, Any] = reply.json
        return added

    # GET /user

    async def test_empty_list(self) -> None:
        reply = await self.call("GET", PATH)
        self.assertEqual((reply.status, reply.body), (200, b"[]\n"))

    async def test_list(self) -> None:
        for name in ("b", "c", "a", "B"):
            await self.add(username=name)

        async def names(query: str) -> list[str]:
            reply = await self.call("GET", f"{PATH}?{query}")
            self.assertEqual(reply.status, 200)
            return [found["username"] for found in reply.json]

        self.assertEqual(await names(""), ["B", "a", "b", "c"])
        self.assertEqual(await names("order=ASC"), ["B", "a", "b", "c"])
        self.assertEqual(await names("order=DESC"), ["c", "b", "a", "B"])
        self.assertEqual(await names("limit=2"), ["B", "a"])
        self.assertEqual(await names("limit=%2B2&offset=%2B1"), ["a", "b"])
        self.assertEqual(await names("limit=2&offset=3"), ["c"])
        self.assertEqual(await names("limit=0"), [])
        self.assertEqual(await names("offset=99"), [])
        self.assertEqual(await names("offset=-1"), ["B", "a", "b", "c"])
        self.assertEqual(len(await names("limit=-1")), self.negative_limit)
        self.assertEqual(await names("username="), ["B", "a", "b", "c"])
        self.assertEqual(await names("username=b"), ["b"])
        self.assertEqual(await names("username=nobody"), [])
        self.assertEqual(await names("limit=1&limit=x&order=DESC&order=ASC"), ["c"])

    async def test_list_limits(self) -> None:
        for number in range(501):
            await self.provider.add(self.stored(f"u{number:03}"))
        for query, count in (("", 100), ("limit=500", 500), ("limit=501", 500), ("limit=99999999999", 500)):
            reply = await self.call("GET", f"{PATH}?{query}")
            self.assertEqual((reply.status, len(reply.json)), (200, count))

    def stored(self, name: str) -> Any:
        return User(username=name, password=HASH, home_dir="/srv", permissions={"/": ("*",)})

    async def test_list_refusals(self) -> None:
        for query, text in (
            ("limit=", "Invalid limit"),
            ("limit", "Invalid limit"),
            ("limit=x&offset=x&order=x", "Invalid limit"),
            ("limit=1.5", "Invalid limit"),
            ("limit=1_0", "Invalid limit"),
            ("limit=%201", "Invalid limit"),
            ("limit=%D9%A1", "Invalid limit"),
            ("limit=9223372036854775808", "Invalid limit"),
            ("limit=" + "9" * 5000, "Invalid limit"),
            ("offset=", "Invalid offset"),
            ("offset=x&order=x", "Invalid offset"),
            ("order=", "Invalid order"),
            ("order=asc", "Invalid order"),
            ("order=DESC%20", "Invalid order"),
            ("username=%FF", "Invalid username"),
        ):
            reply = await self.call("GET", f"{PATH}?{query}")
            self.assertEqual((query, reply.status, reply.json), (query, 400, error(text)))

    # POST /user

    async def test_add(self) -> None:
        reply = await self.call(
            "POST", PATH, user(public_keys=[KEY], permissions={"/": ["*", "list"], "/d/../e/": ["list"]})
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(
            reply.body.decode(),
            '{"id":1,"status":0,"username":"alice","expiration_date":0,"public_keys":['
            + json.dumps(KEY).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
            + '],"home_dir":"/srv/alice","uid":0,"gid":0,"max_sessions":0,"quota_size":0,"quota_files":0,'
            '"permissions":{"/":["*"],"/e":["list"]},"used_quota_size":0,"used_quota_files":0,"last_quota_update":0,'
            '"upload_bandwidth":0,"download_bandwidth":0,"last_login":0,"filters":{"allowed_ip":[],"denied_ip":[]}}\n',
        )
        self.assertEqual((await self.provider.user_by_id(1)).password, HASH)

    async def test_add_ignores_id_and_usage(self) -> None:
        added = await self.add(id=77, used_quota_size=5, used_quota_files=6, last_quota_update=7, last_login=8)
        self.assertEqual(
            [added[name] for name in ("id", "used_quota_size", "used_quota_files", "last_quota_update", "last_login")],
            [1, 0, 0, 0, 0],
        )

    async def test_add_takes_every_field(self) -> None:
        fields = {
            "status": 1,
            "expiration_date": 1577836800000,
            "uid": 1000,
            "gid": 1001,
            "max_sessions": 2,
            "quota_size": 2**40,
            "quota_files": 3,
            "upload_bandwidth": 128,
            "download_bandwidth": -1,
            "filters": {"allowed_ip": ["192.168.0.0/24"], "denied_ip": ["::1/128"]},
        }
        added = await self.add(**fields)
        self.assertEqual({name: added[name] for name in fields}, fields)
        self.assertEqual((await self.call("GET", f"{PATH}/1")).json, added)

    async def test_add_whatever_the_form(self) -> None:
        body = json.dumps({name.title(): value for name, value in user(nonsense=[{}]).items()}).encode()
        for number, kind in enumerate(("text/xml", "application/x-www-form-urlencoded", "multipart/form-data", "x;;")):
            content = b" \n" + body.replace(b"alice", b"u%d" % number) + b"{trailing"
            reply = await self.call("POST", PATH, content, {"Content-Type": kind})
            self.assertEqual((kind, reply.status, reply.json["username"]), (kind, 200, f"u{number}"))

    async def test_plain_password_is_hashed_and_never_shown(self) -> None:
        reply = await self.call("POST", PATH, user(password="hush-hush"))
        stored = await self.provider.user_by_id(1)
        self.assertTrue(stored.password.startswith("$argon2id$"))
        replies = [reply, await self.call("GET", PATH), await self.call("GET", f"{PATH}/1")]
        for reply in replies:
            self.assertEqual(reply.status, 200)
            for secret in (b"password", b"hush", b"argon2id"):
                self.assertNotIn(secret, reply.body)

    async def test_add_refusals(self) -> None:
        for body, text in (
            (None, "EOF"),
            (b" \r\n", "EOF"),
            (b'{"username":"a"', "unexpected EOF"),
            (b"{}", "Validation error: Mandatory parameters missing"),
            (b"null", "Validation error: Mandatory parameters missing"),
            (user(password=None), "Validation error: Please set a password or at least a public_key"),
            (user(home_dir="rel"), "Validation error: home_dir must be an absolute path, actual value: rel"),
            (user(permissions={}), "Validation error: Please grant some permissions to this user"),
            (user(permissions={"/a": ["*"]}), 'Validation error: Permissions for the root dir "/" must be set'),
            (user(permissions={"/": []}), 'Validation error: No permissions granted for the directory: "/"'),
            (user(permissions={"/": ["fly"]}), 'Validation error: Invalid permission: "fly"'),
            (
                user(permissions={"/": ["*"], "a": ["*"]}),
                'Validation error: Cannot set permissions for non absolute path: "a"',
            ),
            (user(status=2), "Validation error: invalid user status: 2"),
            (user(uid="1"), "uid: expected an integer, got a string"),
            (b"[]", "user: expected an object, got an array"),
        ):
            reply = await self.call("POST", PATH, body)
            self.assertEqual((body, reply.status, reply.json), (body, 400, error(text)))
        for body, text in (
            (user(public_keys=["junk"]), "Could not parse key nr. 0: "),
            (user(filters={"denied_ip": ["x"]}), 'Could not parse denied IP/Mask "x" : '),
            (user(filters={"allowed_ip": ["1.2.3.4"]}), 'Could not parse allowed IP/Mask "1.2.3.4" : '),
        ):
            reply = await self.call("POST", PATH, body)
            self.assertEqual(reply.status, 400)
            self.assertTrue(reply.json["error"].startswith(f"Validation error: {text}"), reply.json)
        self.assertEqual((await self.call("GET", PATH)).json, [])

    async def test_name_twice(self) -> None:
        await self.add()
        reply = await self.call("POST", PATH, user())
        self.assertEqual((reply.status, reply.json), (500, error(self.duplicate, 500)))

    # GET, PUT, DELETE /user/{id}

    async def test_bad_ids(self) -> None:
        await self.add()
        for method in ("GET", "PUT", "DELETE"):
            for text in ("x", "1.0", "-", "0x1", "1_0", "%20", "9223372036854775808", "%C3%A4", "9" * 5000):
                reply = await self.call(method, f"{PATH}/{text}", b"broken")
                self.assertEqual((method, text, reply.status), (method, text, 400))
                self.assertEqual(reply.json, error("Invalid userID"))

    async def test_unknown_ids(self) -> None:
        await self.add()
        for method in ("GET", "PUT", "DELETE"):
            for text in ("2", "0", "-1", "9223372036854775807", "-9223372036854775808"):
                reply = await self.call(method, f"{PATH}/{text}", b"broken")
                self.assertEqual((method, text, reply.status), (method, text, 404))
                self.assertEqual(reply.json, error(self.no_such_id.format(id=text), 404))

    async def test_update(self) -> None:
        before = await self.add(public_keys=[KEY])
        reply = await self.call(
            "PUT", f"{PATH}/1", {"id": 1, "UID": 5, "permissions": {}, "filters": {"denied_ip": ["::/0"]}}
        )
        self.assertEqual((reply.status, reply.json), (200, message("User updated")))
        after = (await self.call("GET", f"{PATH}/1")).json
        self.assertEqual(after, before | {"uid": 5, "filters": {"allowed_ip": [], "denied_ip": ["::/0"]}})
        self.assertEqual((await self.provider.user_by_id(1)).password, HASH)

    async def test_update_clears_what_is_given_empty(self) -> None:
        await self.add(public_keys=[KEY])
        self.assertEqual((await self.call("PUT", f"{PATH}/1", {"password": ""})).status, 200)
        self.assertEqual((await self.provider.user_by_id(1)).password, "")
        reply = await self.call("PUT", f"{PATH}/1", {"public_keys": []})
        text = "Validation error: Please set a password or at least a public_key"
        self.assertEqual((reply.status, reply.json), (400, error(text)))
        self.assertEqual((await self.call("GET", f"{PATH}/1")).json["public_keys"], [KEY])

    async def test_update_refusals(self) -> None:
        before = await self.add()
        for body, text in (
            (None, "EOF"),
            (b"{", "unexpected EOF"),
            ({"uid": 1.5}, "uid: expected an integer, got a number with a fraction or an exponent"),
            ({"status": 3}, "Validation error: invalid user status: 3"),
            ({"username": ""}, "Validation error: Mandatory parameters missing"),
        ):
            reply = await self.call("PUT", f"{PATH}/1", body)
            self.assertEqual((body, reply.status, reply.json), (body, 400, error(text)))
        for other in (2, 0, None):
            reply = await self.call("PUT", f"{PATH}/1", {"id": other, "uid": 9})
            self.assertEqual((reply.status, reply.json["error"], reply.json["status"]), (400, "", 400))
            self.assertIn("id in the body", reply.json["message"])
        self.assertEqual((await self.call("GET", f"{PATH}/1")).json, before)

    async def test_update_never_renames_nor_touches_another(self) -> None:
        await self.add()
        bob = await self.add(username="bob", uid=3)
        for name in ("bob", "nobody"):
            reply = await self.call("PUT", f"{PATH}/1", {"username": name, "uid": 8})
            self.assertEqual((reply.status, reply.json), (200, message("User updated")))
        alice = (await self.call("GET", f"{PATH}/1")).json
        self.assertEqual((alice["id"], alice["username"], alice["uid"]), (1, "alice", 8))
        self.assertEqual((await self.call("GET", f"{PATH}/2")).json, bob)

    async def test_update_leaves_usage(self) -> None:
        await self.add()
        await self.provider.update_quota("alice", 3, 300, 9)
        await self.call("PUT", f"{PATH}/1", {"used_quota_size": 1, "used_quota_files": 1, "last_login": 1, "uid": 1})
        after = (await self.call("GET", f"{PATH}/1")).json
        self.assertEqual(
            (after["used_quota_size"], after["used_quota_files"], after["last_quota_update"], after["last_login"]),
            (300, 3, 9, 0),
        )

    async def test_updates_at_once_lose_nothing(self) -> None:
        await self.add()
        wires = []
        for name in ("uid", "gid", "max_sessions", "quota_files"):
            body = json.dumps({name: 7}).encode()
            wires.append(Wire(self.server.site))
            wires[-1].send(head("PUT", f"{PATH}/1", {"Connection": "close", "Content-Length": str(len(body))}) + body)
        for wire in wires:
            await wire.closed
            wire.hang_up()
        after = (await self.call("GET", f"{PATH}/1")).json
        self.assertEqual([after[name] for name in ("uid", "gid", "max_sessions", "quota_files")], [7] * 4)

    async def test_delete(self) -> None:
        await self.add()
        reply = await self.call("DELETE", f"{PATH}/1")
        self.assertEqual((reply.status, reply.json), (200, message("User deleted")))
        self.assertEqual((await self.call("GET", f"{PATH}/1")).status, 404)
        self.assertEqual((await self.call("DELETE", f"{PATH}/1")).status, 404)
        self.assertEqual((await self.add())["id"], self.first_id_again)

    async def test_provider_failing(self) -> None:
        await self.provider.stop()
        for method, path in (
            ("GET", PATH),
            ("POST", PATH),
            ("GET", f"{PATH}/1"),
            ("PUT", f"{PATH}/1"),
            ("DELETE", f"{PATH}/1"),
            ("GET", "/api/v1/providerstatus"),
        ):
            reply = await self.call(method, path, user() if method in ("POST", "PUT") else None)
            self.assertEqual((method, path, reply.status), (method, path, 500))
            self.assertTrue(reply.json["error"])
            self.assertEqual(reply.json, error(reply.json["error"], 500))

    async def test_provider_alive(self) -> None:
        reply = await self.call("GET", "/api/v1/providerstatus")
        self.assertEqual((reply.status, reply.json), (200, message("Alive")))


class MemoryUsers(UserContract, TestCase):
    no_such_id = "Not found: user with ID {id} does not exist"
    duplicate = "username alice already exists"
    first_id_again = 1
    negative_limit = 0

    def setUp(self) -> None:
        self.provider = MemoryProvider()
        self.server = Server(self.provider)


class SQLiteUsers(UserContract, TestCase):
    no_such_id = "Not found: sql: no rows in result set"
    duplicate = "UNIQUE constraint failed: users.username"
    first_id_again = 2
    negative_limit = 4

    async def setUp(self) -> None:
        self.provider = SQLiteProvider(self.mktemp(), reactor=reactor, warn=self.fail)  # type: ignore[arg-type]
        await self.provider.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.provider.stop()))
        self.server = Server(self.provider, reactor)


class ManagingDisabled(SynchronousTestCase):
    def test_changes_are_refused(self) -> None:
        provider = MemoryProvider()
        self.successResultOf(Deferred.fromCoroutine(Server(provider).call("POST", PATH, user())))
        server = Server(provider, manage_users=False)
        for method, path, body, status in (
            ("POST", PATH, b"{", 400),
            ("POST", PATH, b"{}", 403),
            ("POST", PATH, user(), 403),
            ("PUT", f"{PATH}/1", b"{", 400),
            ("PUT", f"{PATH}/1", {"uid": 3}, 403),
            ("DELETE", f"{PATH}/1", None, 403),
            ("DELETE", f"{PATH}/2", None, 404),
            ("GET", f"{PATH}/1", None, 200),
            ("GET", PATH, None, 200),
        ):
            reply = self.successResultOf(Deferred.fromCoroutine(server.call(method, path, body)))
            self.assertEqual((method, path, body, reply.status), (method, path, body, status))
            if status == 403:
                self.assertEqual(reply.json, error(reply.json["error"], 403))
        self.assertEqual(self.successResultOf(provider.user_by_id(1)).uid, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(KEY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*user(), "id", "status", "public_keys", "filters", "uid", "quota_size", "last_login", "UID"])
ALMOST = st.builds(lambda fields: user() | fields, st.dictionaries(FIELDS, JSON, max_size=3))


class Fuzz(SynchronousTestCase):
    @given(JSON | ALMOST, JSON | ALMOST)
    @settings(deadline=None, max_examples=250)
    def test_no_json_makes_the_server_fail(self, posted: Any, put: Any) -> None:
        # Hashed with a prefix a password is stored as it is: the test is about everything else.
        server = Server(passwords=_Unhashed())
        for method, path, body in (("POST", PATH, posted), ("PUT", f"{PATH}/1", put), ("GET", PATH, None)):
            reply = self.successResultOf(Deferred.fromCoroutine(server.call(method, path, body)))
            self.assertIn(reply.status, (200, 400, 404))
            self.assertTrue(reply.body.endswith(b"\n"))
            reply.json  # noqa: B018 -- it parses
        self.assertEqual([event for event in server.events if "log_failure" in event], [])

    @given(st.binary(max_size=60))
    @settings(deadline=None, max_examples=250)
    def test_no_bytes_make_the_server_fail(self, body: bytes) -> None:
        reply = self.successResultOf(Deferred.fromCoroutine(Server(passwords=_Unhashed()).call("POST", PATH, body)))
        self.assertIn(reply.status, (200, 400))


class _Unhashed:
    """L{sftpgo.interfaces.IPasswords} as far as a record is stored, without the cost."""

    def is_hashed(self, stored: str) -> bool:
        return stored.startswith("$6$")

    async def hash(self, plain: str) -> str:
        return f"$6$none${len(plain)}"
