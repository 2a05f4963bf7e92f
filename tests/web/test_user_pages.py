from __future__ import annotations

import base64
from typing import Any

import attrs

from sftpgo.domain.user import Filters, User
from tests.web.talk import HASH, KEY, Server
from tests.web.userpages import FULL, HOSTILE, VisitorCase
from tests.web.visitor import Page, Visitor


class Adding(VisitorCase):
    def test_add(self) -> None:
        page = self.get("/web/user")
        self.assertIn("Add a new user", page.text)
        self.assertEqual(page.form("/web/user").value("status"), "1")
        answer = self.save(
            page,
            "/web/user",
            username="alice",
            password=HASH,
            home_dir="/srv/alice",
            permissions=["list", "download"],
            sub_dirs_permissions="/in: upload , list\r\n\r\n/x:y/../z:*",
            public_keys=f"{KEY}\r\n\r\n  {KEY}  ",
            quota_size="10 GB",
            quota_files="",
            upload_bandwidth="1.5 MB",
            download_bandwidth="512",
            expiration_date="2030-01-02T03:04:05",
            allowed_ip=" 10.0.0.0/8 ,192.168.0.0/16,",
            denied_ip="",
            uid="1000",
            gid="1000",
            max_sessions="2",
        )
        self.assertEqual(answer, "/web/users")
        self.assertEqual(
            self.stored(),
            User(
                id=1,
                status=1,
                username="alice",
                password=HASH,
                home_dir="/srv/alice",
                permissions={"/": ("list", "download"), "/in": ("upload", "list"), "/z": ("*",)},
                public_keys=(KEY, KEY),
                quota_size=10**10,
                upload_bandwidth=1500,
                download_bandwidth=512,
                expiration_date=1893553445000,
                filters=Filters(("10.0.0.0/8", "192.168.0.0/16")),
                uid=1000,
                gid=1000,
                max_sessions=2,
            ),
        )
        self.assertIn("“alice” was added.", self.get("/web/users").text)
        self.assertNotIn("was added", self.get("/web/users").text)

    def test_only_checked(self) -> None:
        page = self.get("/web/user")
        given = {"username": "alice", "password": "secret", "home_dir": "/srv/a", "public_keys": KEY, "check": "1"}
        again = self.save(page, "/web/user", **given)
        self.assertIn("Nothing was saved yet.", again.text)
        self.assertIn("SHA256:", again.text)
        self.assertEqual(again.form("/web/user").value("password"), "secret")
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])
        self.assertEqual(self.save(page, "/web/user", **{**given, "home_dir": "srv"}).fault("home_dir")[:8], "home_dir")

    def test_name_that_is_taken(self) -> None:
        self.keep()
        page = self.save(self.get("/web/user"), "/web/user", username="full", password="x", home_dir="/srv/x")
        self.assertEqual((page.status, page.fault("username")), (200, "there is a user of this name already"))

    def test_clone(self) -> None:
        self.keep()
        page = self.get("/web/user?clone=1")
        form = page.form("/web/user")
        self.assertEqual([form.value(name) for name in ("username", "public_keys", "home_dir", "password")], [""] * 4)
        answer = self.save(page, "/web/user", username="twin", password=HASH, home_dir="/srv/twin")
        self.assertEqual(answer, "/web/users")
        twin = attrs.evolve(FULL, id=2, username="twin", home_dir="/srv/twin", public_keys=())
        self.assertEqual(self.stored(2), attrs.evolve(twin, expiration_date=1893456000000))
        self.get("/web/user?clone=9", 404)
        self.get("/web/user?clone=x", 400)


class Faults(VisitorCase):
    """Nonsense in every field: told there, nothing is stored, and all that was typed is still there."""

    def refused(self, **nonsense: str | list[str]) -> None:
        good: dict[str, str | list[str]] = {"username": "alice", "password": "secret", "home_dir": "/srv/alice"}
        page = self.get("/web/user")
        fields = page.form("/web/user").filled(**{**good, **nonsense})
        again = self.send("/web/user", fields)
        (field,) = nonsense
        self.assertIsInstance(again, Page, nonsense)
        self.assertEqual(again.status, 200)
        self.assertTrue(again.fault(field), nonsense)
        self.assertIn(f"#{field}", [link.partition("/web/user")[2] for link in again.links])
        kept = [pair for pair in again.form("/web/user").fields if pair[0] != "form_token"]
        self.assertEqual(sorted(kept), sorted(pair for pair in fields if pair[0] != "form_token"))
        self.assertEqual(self.now(self.server.provider.users(10, 0)), [])

    def test_numbers(self) -> None:
        for name in ("quota_files", "max_sessions", "uid", "gid"):
            for text in ("x", "1.5", "1e3", "١", "9" * 19, "9" * 40, HOSTILE, "0x1", "1 2"):
                self.refused(**{name: text})

    def test_sizes(self) -> None:
        for name in ("quota_size", "upload_bandwidth", "download_bandwidth"):
            for text in ("x", "10 XB", "1,5 GB", "9" * 19 + " PB", "0.3 B", HOSTILE):
                self.refused(**{name: text})

    def test_status(self) -> None:
        for text in ("2", "-1", "x", HOSTILE, ""):
            self.refused(status=text)

    def test_expiration(self) -> None:
        for text in ("tomorrow", "2030-13-01 00:00:00", "2030-02-30", "01/02/2030", "2030-01-01 25:00:00", HOSTILE):
            self.refused(expiration_date=text)
        # Stored they would mean that the account never expires.
        for text in ("1970-01-01", "1969-12-31T23:59:59", "0026-12-31 00:00:00", "0001-01-01"):
            self.refused(expiration_date=text)

    def test_texts(self) -> None:
        for text in ("", "x" * 256, "a\x01b"):
            self.refused(username=text)
        for text in ("", "srv/alice", "/" + "x" * 255):
            self.refused(home_dir=text)
        for text in ("", "x" * 1025):
            self.refused(password=text)

    def test_keys(self) -> None:
        for text in ("x", HOSTILE, f"{KEY}\nssh-rsa AAAA", "ssh-ed25519 !!!!"):
            self.refused(public_keys=text)

    def test_networks(self) -> None:
        for name in ("allowed_ip", "denied_ip"):
            for text in ("x", "10.0.0.1", "10.0.0.0/8, 300.0.0.0/8", HOSTILE):
                self.refused(**{name: text})

    def test_permissions(self) -> None:
        for names in ([], ["fly"], ["list", HOSTILE]):
            self.refused(permissions=names)

    def test_directories(self) -> None:
        for text in (
            "x",
            "/a",
            "/a:",
            ":list",
            "a:list",
            "/a:fly",
            "/a:list:x",
            "/:list",
            "/b/..:list",
            "/a:list\n/a/:list",
            "/a\0:list",
            HOSTILE,
        ):
            self.refused(sub_dirs_permissions=text)

    def test_very_much_of_everything_takes_no_time(self) -> None:
        """Each of these would take minutes if it cost the square of its length."""
        page = self.get("/web/user")
        blob = base64.b64encode(b"\0\0\0\0" * 150_000).decode()
        for values in (
            {"sub_dirs_permissions": "\n".join(f"/{number}:*" for number in range(60_000))},
            {"public_keys": f"x AAAA{blob[4:]}"},
            {"denied_ip": "x," * 200_000},
        ):
            again = self.save(page, "/web/user", username="a", password=HASH, home_dir="/srv/a", uid="x", **values)
            self.assertTrue(again.fault("uid"))

    def test_several_at_once(self) -> None:
        page = self.save(self.get("/web/user"), "/web/user", username="a", uid="x", gid="y", quota_size="z")
        self.assertTrue(all(page.fault(name) for name in ("uid", "gid", "quota_size")))

    def test_a_form_that_is_none(self) -> None:
        token = self.get("/web/user").form("/web/user").value("form_token")
        page = self.send("/web/user", [("form_token", token), ("username", "a")])
        self.assertIn("the field is missing", page.fault("quota_size"))
        for body in (b"\xff", b"a=%ff", b"&".join([b"a=b"] * 10_001)):
            self.assertEqual(self.now(self.visitor.ask("POST", "/web/user", body)).status, 400)
        multipart = {"Content-Type": "multipart/form-data; boundary=x"}
        reply = self.now(self.visitor.ask("POST", "/web/user", b'--x\r\nname="username"\r\n\r\na\r\n--x--', multipart))
        self.assertIn(b"was open for too long", reply.body)

    def test_nothing_comes_back_that_runs(self) -> None:
        page = self.get("/web/user")
        names = [name for name, _ in page.form("/web/user").fields if name not in ("form_token", "permissions")]
        values: dict[str, Any] = dict.fromkeys(names, HOSTILE)
        again = self.save(page, "/web/user", **values, permissions=[HOSTILE])
        self.assertEqual([tag for tag, _ in again.tags if tag == "img"], ["img"])  # our own
        self.assertNotIn("49", again.fault("uid"))
        for _, attributes in again.tags:
            self.assertFalse([name for name in attributes if name.startswith("on") or name == "style"])


class Changing(VisitorCase):
    def setUp(self) -> None:
        super().setUp()
        self.before = self.keep()

    def test_saving_what_is_shown_changes_nothing(self) -> None:
        for user in (
            FULL,
            attrs.evolve(FULL, username="b", expiration_date=0, quota_size=0),
            attrs.evolve(FULL, username="c", expiration_date=2**62, quota_size=-5, upload_bandwidth=-1, uid=-1),
            attrs.evolve(FULL, username="d", expiration_date=-1, home_dir="/srv/ two  spaces ", status=0),
            attrs.evolve(FULL, username=f"e{HOSTILE}", permissions={"/": ("*",), "/a\nb": ("list",), "/ ": ("list",)}),
            attrs.evolve(FULL, username="f", permissions={"/": ("*",), "/\udcff": ("list",), "/ok": ("list",)}),
            attrs.evolve(FULL, username="g", quota_size=10**10, upload_bandwidth=1024, download_bandwidth=1),
        ):
            before = self.before if user is FULL else self.keep(user)
            page = self.get(f"/web/user/{before.id}")
            self.assertEqual(self.save(page, f"/web/user/{before.id}"), "/web/users")
            self.assertEqual(self.stored(before.id), before)

    def test_change(self) -> None:
        page = self.get("/web/user/1")
        form = page.form("/web/user/1")
        self.assertEqual(form.value("quota_size"), "1234567 B")
        self.assertEqual(form.value("download_bandwidth"), "2 MB")
        self.assertEqual(form.value("password"), "")
        self.assertNotIn(HASH, page.rawdata_)
        answer = self.save(page, "/web/user/1", quota_size="2 GB", expiration_date="", username="other")
        self.assertEqual(answer, "/web/users")
        self.assertEqual(self.stored(), attrs.evolve(self.before, quota_size=2 * 10**9, expiration_date=0))

    def test_home_of_two_lines(self) -> None:
        """As nobody can have made one here: it is told at its field, and stays as it is until somebody mends it."""
        before = self.keep(attrs.evolve(FULL, username="d", home_dir="/srv/two\nlines"))
        page = self.save(self.get(f"/web/user/{before.id}"), f"/web/user/{before.id}")
        self.assertEqual(page.fault("home_dir"), "home_dir cannot hold control characters")
        self.assertEqual(self.stored(before.id), before)

    def test_expiration_that_was_not_sent_stays(self) -> None:
        fields = [pair for pair in self.get("/web/user/1").form("/web/user/1").fields if pair[0] != "expiration_date"]
        self.assertEqual(self.send("/web/user/1", fields), "/web/users")
        self.assertEqual(self.stored(), self.before)

    def test_password_taken_away(self) -> None:
        self.assertEqual(self.save(self.get("/web/user/1"), "/web/user/1", clear_password="1"), "/web/users")
        self.assertEqual(self.stored().password, "")
        page = self.save(self.get("/web/user/1"), "/web/user/1", public_keys="")
        self.assertEqual(page.fault("password"), "Please set a password or at least a public_key")

    def test_two_editors(self) -> None:
        first, second = self.get("/web/user/1"), self.get("/web/user/1")
        self.assertEqual(self.save(first, "/web/user/1", uid="5", quota_files="9"), "/web/users")
        told = self.save(second, "/web/user/1", gid="6")
        self.assertIn("Somebody else has changed this user", told.text)
        self.assertIn("UID: 5; here 1000", told.words())
        self.assertIn("GID: 1001; here 6", told.words())
        self.assertNotIn("Home directory: ", told.words())
        self.assertEqual(self.stored().uid, 5)
        self.assertEqual(told.form("/web/user/1").value("gid"), "6")
        # Who was told may go on.
        self.assertEqual(self.save(told, "/web/user/1"), "/web/users")
        self.assertEqual((self.stored().uid, self.stored().gid), (1000, 6))

    def test_what_the_server_counts_is_nobodys_change(self) -> None:
        page = self.get("/web/user/1")
        self.now(self.server.provider.update_quota("full", 1, 1, 1))
        self.now(self.server.provider.update_last_login("full", 2))
        self.assertEqual(self.save(page, "/web/user/1"), "/web/users")
        self.assertEqual((self.stored().used_quota_files, self.stored().last_login), (1, 2))

    def test_scripts_without_a_version(self) -> None:
        fields = [
            pair for pair in self.get("/web/user/1").form("/web/user/1").fields if pair[0] not in ("version", "back")
        ]
        self.assertEqual(self.send("/web/user/1", fields), "/web/users")

    def test_deleted_meanwhile(self) -> None:
        page = self.get("/web/user/1")
        self.now(self.server.provider.delete(1))
        told = self.save(page, "/web/user/1", uid="7")
        self.assertEqual(told.status, 404)
        self.assertIn("was deleted while you had the form open", told.text)
        self.assertEqual(told.form("/web/user").value("uid"), "7")
        self.assertEqual(self.save(told, "/web/user", password=HASH), "/web/users")
        self.assertEqual(self.stored().uid, 7)

    def test_missing_and_malformed(self) -> None:
        for path in ("/web/user/9", "/web/user/9/delete"):
            self.assertIn("Not found", self.get(path, 404).text)
        for path in ("/web/user/x", "/web/user/1x/delete", f"/web/user/{2**64}"):
            self.assertIn("Bad request", self.get(path, 400).text)
        fields = self.get("/web/user/1").form("/web/user/1").fields
        self.assertEqual([self.send(f"/web/user/{name}", fields).status for name in ("9", "x")], [404, 400])

    def test_stale_token(self) -> None:
        page = self.get("/web/user/1")
        for token in ("", "x", "0" * 64, "é"):
            told = self.save(page, "/web/user/1", uid="7", form_token=token)
            self.assertEqual(told.status, 200)
            self.assertIn("was open for too long", told.text)
            self.assertEqual(told.form("/web/user/1").value("uid"), "7")
        self.assertEqual(self.stored(), self.before)
        # The page that says so has a good one.
        self.assertEqual(self.save(told, "/web/user/1"), "/web/users")

    def test_token_of_another_browser(self) -> None:
        page = self.get("/web/user/1")
        other = Visitor(self.server)
        self.now(other.get("/web/user/1"))
        told = self.now(other.send("/web/user/1", page.form("/web/user/1").filled(uid="7")))
        self.assertIsInstance(told, Page)
        self.assertEqual(self.stored(), self.before)

    def test_managing_disabled(self) -> None:
        self.server = Server(self.server.provider, manage_users=False)
        self.visitor = Visitor(self.server)
        page = self.save(self.get("/web/user/1"), "/web/user/1", uid="7")
        self.assertIn("managing users is disabled", page.text)
        self.assertEqual(page.form("/web/user/1").value("uid"), "7")
        self.assertEqual(self.stored(), self.before)
