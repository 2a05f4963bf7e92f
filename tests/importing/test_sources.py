"""What each kind of source is read as."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import Filters, User
from sftpgo.importing.formats import opener
from sftpgo.importing.found import EVERYTHING, Found, Options, SourceError
from sftpgo.jsons import user_to_json
from tests.dataprovider.test_schema import COLUMNS, STAGES, older_file
from tests.provider_case import COUNTED, FULL, a_user

SHA512 = "$6$salt$" + "x" * 86
ALL = {"permissions": {"/": ("*",)}, "status": 1}


class SourceTestCase(SynchronousTestCase):
    def put(self, content: str | bytes, name: str = "source") -> str:
        folder = Path(os.path.abspath(self.mktemp()))
        folder.mkdir()
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def read(self, path: str, wanted: str = "auto", **options: Any) -> list[Found]:
        self.format, opens = opener(path, wanted, Options(**options))
        with opens() as source:
            self.assertEqual(source.progress(), 0.0)
            found = list(source.accounts)
            self.assertEqual(source.progress(), 1.0 if found else source.progress())
        return found

    def refused(self, path: str, wanted: str = "auto", **options: Any) -> str:
        error = self.assertRaises(SourceError, self.read, path, wanted, **options)
        self.assertNotIn("\n", str(error))
        self.assertIn(os.path.dirname(path), str(error))
        return str(error)


class Dumps(SourceTestCase):
    def test_all_fields(self) -> None:
        full = attrs.evolve(FULL, **COUNTED)
        users = [user_to_json(user, with_password=True) for user in (full, a_user("b"))]
        found = self.read(self.put(json.dumps({"users": users})))
        self.assertEqual(self.format, "dump")
        self.assertEqual([entry.user for entry in found], [full, a_user("b")])
        self.assertEqual({entry.known for entry in found}, {EVERYTHING})
        self.assertEqual([entry.where for entry in found], ["user 0", "user 1"])

    def test_one_that_cannot_be_read(self) -> None:
        path = self.put(
            '{"users":[{"username":"a","uid":"x"},{"username":"b"},7,{"username":"c","permissions":["list"]}]}'
        )
        found = self.read(path)
        self.assertEqual([entry.user.username for entry in found], ["a", "b", "", "c"])
        self.assertEqual([bool(entry.refusal) for entry in found], [True, False, True, False])
        self.assertEqual(found[3].user.permissions, {"/": ("list",)})

    def test_no_dump(self) -> None:
        for content in ('{"users":[{}', '{"users":{}}', "{", '{"users":[{}]} more'):
            self.assertIn("no dump of users", self.refused(self.put(content)))

    def test_fields(self) -> None:
        """Whatever a user has but identity and what is counted is taken over."""
        names = {field.name for field in attrs.fields(User)}
        self.assertEqual(names - EVERYTHING, {"id", "username", *COUNTED})


class SQLiteFiles(SourceTestCase):
    def test_every_stage(self) -> None:
        for stage, columns in enumerate(STAGES):
            path = os.path.abspath(self.mktemp())
            older_file(path, columns)
            before = Path(path).read_bytes()
            first, second = self.read(path)
            self.assertEqual(self.format, "sqlite")
            self.assertEqual((first.user.username, second.user.quota_size, second.where), ("u1", 2, "row 2"))
            self.assertEqual(second.user.permissions, {"/": ("list",)})
            self.assertEqual((second.user.status, second.user.expiration_date), (2, 2) if stage else (1, 0))
            self.assertEqual(Path(path).read_bytes(), before)
            self.assertEqual(os.listdir(os.path.dirname(path)).count(os.path.basename(path) + "-wal"), 0)

    def test_another_table(self) -> None:
        path = os.path.abspath(self.mktemp())
        older_file(path, COLUMNS, "odd name;--")
        self.assertEqual(len(self.read(path, table="odd name;--")), 2)
        self.assertIn('the table "users" is not there', self.refused(path))

    def test_a_row_that_cannot_be_read(self) -> None:
        path = os.path.abspath(self.mktemp())
        older_file(path, COLUMNS)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE users SET permissions = '{' WHERE id = 1")
        connection.close()
        first, second = self.read(path)
        self.assertIn("permissions: not valid JSON", first.refusal)
        self.assertEqual((first.user.username, second.refusal), ("u1", ""))

    def test_other_layouts(self) -> None:
        path = os.path.abspath(self.mktemp())
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE users (id, username)")
        connection.close()
        self.assertIn('the table "users" lacks home_dir, permissions', self.refused(path))

    def test_damaged(self) -> None:
        self.refused(self.put(b"SQLite format 3\0" + bytes(5000)))


class SystemAccounts(SourceTestCase):
    PASSWD = (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:*:1:1::/usr/sbin:/usr/sbin/nologin\n"
        "\n# people\n"
        "alice:x:1000:1001:Alice,,,:/home/alice:/bin/sh\n"
        "bob:x:1001:1001::/home/bob/:/bin/false\n"
        "carol:x:1002:70000::/home/carol:\n"
        "dave:x:1003:1003::/home/dave:\n"
        "nobody:x:65534:65534::/nonexistent:\n"
    )
    SHADOW = (
        f"root:{SHA512}:1::::::\nalice:{SHA512}:19000:0:99999:7:::\nbob:$1$salt$hash:19000:0:99999:7::20000:\n"
        f"carol:{SHA512}:::::::\ndave:!{SHA512}:::::::\n"
    )

    def system(self, passwd: str, shadow: str | None = None) -> str:
        path = self.put(passwd, "passwd")
        if shadow is not None:
            Path(path).with_name("shadow").write_text(shadow)
        return path

    def test_accounts(self) -> None:
        found = self.read(self.system(self.PASSWD, self.SHADOW))
        self.assertEqual(self.format, "passwd")
        known = frozenset({"password", "home_dir", "uid", "gid", "expiration_date"})
        self.assertEqual(
            [entry.user for entry in found if not entry.refusal],
            [
                User(username="alice", password=SHA512, home_dir="/home/alice", uid=1000, gid=1001, **ALL),
                User(
                    username="bob",
                    password="$1$salt$hash",
                    home_dir="/home/bob",
                    uid=1001,
                    gid=1001,
                    expiration_date=20000 * 86_400_000,
                    **ALL,
                ),
                User(username="carol", password=SHA512, home_dir="/home/carol", uid=1002, gid=0, **ALL),
            ],
        )
        self.assertEqual({entry.known for entry in found if not entry.refusal}, {known})
        self.assertEqual(
            {entry.user.username: entry.refusal for entry in found if entry.refusal},
            {
                "root": "its uid 0 is not in 1000-60000",
                "daemon": "its uid 1 is not in 1000-60000",
                "dave": "its password is locked",
                "nobody": "its uid 65534 is not in 1000-60000",
            },
        )
        self.assertEqual(found[4].notes, ("gid 70000 is above 65535 and left out",))
        self.assertEqual([entry.where for entry in found], [f"line {number}" for number in (1, 2, 5, 6, 7, 8, 9)])

    def test_range(self) -> None:
        found = self.read(self.system(self.PASSWD, self.SHADOW), uids=(0, 1000), permissions=("list",))
        taken = [entry.user for entry in found if not entry.refusal]
        self.assertEqual([user.username for user in taken], ["root", "alice"])
        self.assertEqual(taken[0].permissions, {"/": ("list",)})

    def test_hashes(self) -> None:
        for stored, told in [
            ("", "anybody could log in"),
            ("*", "locked"),
            ("!", "locked"),
            ("!!", "locked"),
            ("*LK*", "locked"),
            ("$y$j9T$salt$hash", "yescrypt"),
            ("$5$salt$hash", "SHA-256 crypt"),
            ("$7$salt$hash", "scrypt"),
            ("rl.3StKT.4T8M", "DES crypt"),
            ("_J9..rasmBYk8r9AiWNc", "DES crypt"),
            ("secret", "not known here"),
            ("$9$new$hash", "not known here"),
        ]:
            shadow = f"a:{stored}:::::::\n"
            (entry,) = self.read(self.system("a:x:1000:1::/h:\n", shadow))
            self.assertIn(told, entry.refusal)
            self.assertNotIn(stored or "$", entry.refusal)
        for stored in (SHA512, "$1$a$b", "$2b$12$abc", "$2y$12$abc", "$argon2id$v=19$x"):
            (entry,) = self.read(self.system("a:x:1000:1::/h:\n", f"a:{stored}:::::::\n"))
            self.assertEqual((entry.refusal, entry.user.password), ("", stored))

    def test_no_shadow(self) -> None:
        (entry,) = self.read(self.system("a:x:1000:1::/h:\n"))
        self.assertIn("shadow file that was not given", entry.refusal)
        other = self.put(self.SHADOW)
        (entry,) = self.read(self.system("alice:x:1000:1::/h:\n"), shadow=other)
        self.assertEqual(entry.user.password, SHA512)
        path = self.system("alice:x:1000:1::/h:\n")
        self.assertIn("No such file", str(self.assertRaises(SourceError, self.read, path, shadow="/nonexistent")))

    def test_homes(self) -> None:
        for home, told in [
            ("", "no absolute path"),
            ("x", "no absolute path"),
            ("/", "whole machine"),
            ("//", "whole"),
        ]:
            (entry,) = self.read(self.system(f"a:{SHA512}:1000:1::{home}:\n"), "proftpd")
            self.assertIn(told, entry.refusal)
        for home, want in [("/a/../b/", "/b"), ("//a", "/a")]:
            (entry,) = self.read(self.system(f"a:{SHA512}:1000:1::{home}:\n"), "proftpd")
            self.assertEqual(entry.user.home_dir, want)

    def test_malformed(self) -> None:
        for line, told in [
            ("a:x:1000:1::/h", "7 fields are expected, 6 found"),
            ("+::::::", "uid 0"),
            ("a:x:1000:y::/h:", "shadow"),
            (f"a:{SHA512}:1000:y::/h:", "the gid is no number"),
            (f"a:{SHA512}:zz:1::/h:", "the uid is no number"),
        ]:
            (entry,) = self.read(self.system(line + "\n"), "passwd")
            self.assertIn(told, entry.refusal)
        self.assertIn("line 2: not UTF-8", self.refused(self.put(b"# x\n\xff\xfe:x\n"), "passwd"))
        self.assertIn("longer than", self.refused(self.put(b"x" * 70000), "passwd"))
        self.assertIn("is no shadow file", self.refused(self.system("a:x:1000:1::/h:\n", "junk\n"), "passwd"))


class ProFTPD(SourceTestCase):
    def test_accounts(self) -> None:
        path = self.put(f"# ftpasswd\nftp1:{SHA512}:33:33:web:/srv/www:/bin/false\nftp2:$5$a$b:0:0::/srv:\n")
        first, second = self.read(path)
        self.assertEqual(self.format, "proftpd")
        self.assertEqual(first.user, User(username="ftp1", password=SHA512, home_dir="/srv/www", uid=33, gid=33, **ALL))
        self.assertNotIn("expiration_date", first.known)
        self.assertIn("SHA-256 crypt", second.refusal)


class PureFTPd(SourceTestCase):
    def test_all_fields(self) -> None:
        line = (
            f"joe:{SHA512}:500:501:Joe:/srv/joe/./in:10240:20480:1:3:2:1000:5368709120:"
            "127.0.0.1:10.0.0.1:192.168.0.0/16,10.1.2.3:10.9.0.0/16:0900-1800"
        )
        (entry,) = self.read(self.put(line + "\n"))
        self.assertEqual(self.format, "pureftpd")
        self.assertEqual(
            entry.user,
            User(
                username="joe",
                password=SHA512,
                home_dir="/srv/joe",
                uid=500,
                gid=501,
                upload_bandwidth=11,
                download_bandwidth=21,
                max_sessions=2,
                quota_files=1000,
                quota_size=5368709120,
                filters=Filters(("192.168.0.0/16", "10.1.2.3/32"), ("10.9.0.0/16",)),
                **ALL,
            ),
        )
        self.assertEqual(len(entry.notes), 5)
        self.assertNotIn("permissions", entry.known)

    def test_few_fields(self) -> None:
        first, second = self.read(self.put(f"a:{SHA512}:1:1::/a::::::::::::\nb:{SHA512}:1:1::/b/./\n"), "pureftpd")
        for entry, home in ((first, "/a"), (second, "/b")):
            self.assertEqual((entry.refusal, entry.notes, entry.user.home_dir), ("", (), home))
            self.assertEqual(entry.user.filters, Filters())

    def test_refusals(self) -> None:
        for line, told in [
            ("a:$7$C6..../....x:1:1::/a::::::::::::", "scrypt"),
            (f"a:{SHA512}:1:1::/a:::::::::host.example:::", None),
            (f"a:{SHA512}:1:1::/a::::::::::host.example::", "host names are not"),
            (f"a:{SHA512}:1:1::/a:::::::::::host.example:", "host names are not"),
            (f"a:{SHA512}:1:1::/a:fast:::::::::::", "the upload bandwidth is no number"),
            (f"a:{SHA512}:1:1:", "6 to 18 fields are expected, 5 found"),
            (f"a:{SHA512}:1:1::/a" + ":" * 13, "19 found"),
        ]:
            (entry,) = self.read(self.put(line + "\n"), "pureftpd")
            self.assertEqual(entry.refusal, "") if told is None else self.assertIn(told, entry.refusal)

    @given(st.text(max_size=60))
    @settings(deadline=None, max_examples=60)
    def test_anything_is_an_account_or_refused(self, text: str) -> None:
        path = Path(self.mktemp())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "replace"))
        for name in ("pureftpd", "proftpd", "passwd"):
            _, opens = opener(str(path), name, Options(shadow=""))
            with opens() as source:
                for entry in source.accounts:
                    self.assertTrue(entry.refusal or entry.user.home_dir)


class Recognising(SourceTestCase):
    def test_key_value_files(self) -> None:
        bbolt = bytes(16) + (0xED0CDAED).to_bytes(4, "little") + bytes(4096)
        self.assertIn("dumpdata", self.refused(self.put(bbolt)))
        self.assertIn("dumpdata", self.refused(self.put(bbolt), "dump"))
        ours = bytes(16) + (0xBEEFC0DE).to_bytes(4, "little") + bytes(4096)
        self.assertIn("driver bolt", self.refused(self.put(ours)))

    def test_none_of_them(self) -> None:
        for content in ("", "hello\n", "[1]", "a:b:c\n", b"\xff\xfe\0"):
            self.assertIn("name it with --format", self.refused(self.put(content)))

    def test_unreadable(self) -> None:
        self.assertIn("No such file", str(self.assertRaises(SourceError, self.read, "/nonexistent/x")))
        self.assertIn("Is a directory", str(self.assertRaises(SourceError, self.read, "/tmp")))
