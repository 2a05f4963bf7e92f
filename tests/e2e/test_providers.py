"""The whole server on each kind of store, from the start to a file, and through an outage."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import tempfile
import time
import urllib.error
from pathlib import Path
from typing import Any

import paramiko
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from tests import databases
from tests.dataprovider.stores import mysql_settings, postgresql_settings
from tests.dataprovider.test_schema import COLUMNS
from tests.e2e.test_startup import sftpgo
from tests.harness import PATIENCE, Server
from tests.rawsftp import RawSFTP, connect

#: "password" in the forms in which the original or another server left it.
SHA512 = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"


class ProviderTestCase(SynchronousTestCase):
    def made(self, provider: dict[str, Any], **options: Any) -> Server:
        server = Server({"data_provider": provider}, **options)
        self.addCleanup(server.clean_up)
        return server

    def login(self, server: Server, name: str = "alice", password: str = "alice-secret") -> RawSFTP:
        raw = RawSFTP(server.sftp_port, name, password)
        self.addCleanup(raw.close)
        return raw

    def upload(self, raw: RawSFTP, path: bytes, content: bytes) -> None:
        _kind, rest = raw.ask(codec.OPEN, path, codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        handle = codec.Reader(rest).string()
        self.assertEqual(raw.status(codec.WRITE, handle, 0, 0, content), codec.OK)
        self.assertEqual(raw.status(codec.CLOSE, handle), codec.OK)

    def folder(self) -> Path:
        folder = tempfile.mkdtemp(prefix="sftpgo-test-")
        self.addCleanup(shutil.rmtree, folder, True)
        return Path(folder)


class EachStore(ProviderTestCase):
    def serves(self, provider: dict[str, Any]) -> None:
        server = self.made(provider).start()
        added = server.add_user()
        self.upload(self.login(server), b"/f", b"content")
        self.assertEqual((server.home() / "f").read_bytes(), b"content")
        server.rest("PUT", f"/user/{added['id']}", {"max_sessions": 3})
        self.assertEqual(server.rest("GET", "/user?username=alice")[0]["max_sessions"], 3)
        for _ in range(600):
            # It is stored beside the login, which does not wait for it.
            if server.rest("GET", f"/user/{added['id']}")["last_login"]:
                break
            time.sleep(0.1)
        else:
            self.fail("the login was not remembered")
        self.assertEqual(server.rest("GET", "/providerstatus")["message"], "Alive")
        self.assertEqual(server.stop(), 0)
        if provider["driver"] == "bolt":
            server.start()
            self.assertEqual(len(server.rest("GET", "/user")), 1)
            server.rest("DELETE", f"/user/{added['id']}")
            self.assertEqual(server.rest("GET", "/user"), [])

    def test_postgresql(self) -> None:
        self.serves({"driver": "postgresql", "connection_string": postgresql_settings().connection_string})

    def test_mysql(self) -> None:
        self.serves({"driver": "mysql", "connection_string": mysql_settings().connection_string})

    def test_bolt(self) -> None:
        self.serves({"driver": "bolt", "name": "users.kv"})

    def test_memory(self) -> None:
        self.serves({"driver": "memory"})


class Outage(ProviderTestCase):
    def test_postgresql_goes_and_comes(self) -> None:
        """Who is in goes on, who wants in is refused, and all is well again by itself."""
        database = databases.postgresql()
        settings = postgresql_settings()
        server = self.made({"driver": "postgresql", "connection_string": settings.connection_string}).start()
        server.add_user()
        raw = self.login(server)
        _kind, rest = raw.ask(codec.OPEN, b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        handle = codec.Reader(rest).string()
        self.assertEqual(raw.status(codec.WRITE, handle, 0, 0, b"before"), codec.OK)
        database.stop(signal.SIGINT)
        try:
            self.assertEqual(raw.status(codec.WRITE, handle, 0, 6, b", after"), codec.OK)
            self.assertEqual(raw.status(codec.CLOSE, handle), codec.OK)
            self.assertEqual((server.home() / "f").read_bytes(), b"before, after")
            with self.assertRaises(paramiko.SSHException):
                connect(server.sftp_port, "alice", "alice-secret")
            with self.assertRaises(urllib.error.HTTPError) as refused:
                server.rest("GET", "/providerstatus")
            answer = json.load(refused.exception)
            self.assertEqual(answer["status"], 500)
            self.assertNotIn(databases.PASSWORD, json.dumps(answer))
        finally:
            database.start()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                connect(server.sftp_port, "alice", "alice-secret").close()
                break
            except paramiko.SSHException:
                self.assertLess(time.monotonic(), end)
        log = (server.directory / "sftpgo.log").read_text()
        self.assertIn("cannot reach the PostgreSQL database", log)
        self.assertNotIn(json.dumps(databases.PASSWORD)[1:-1], log)
        self.assertEqual(server.stop(), 0)

    def test_wait_at_the_start(self) -> None:
        database = databases.mariadb()
        settings = mysql_settings()
        server = self.made(
            {"driver": "mysql", "connection_string": settings.connection_string}, arguments=["--wait", "90"]
        )
        database.stop()
        try:
            given = ["serve", "-c", str(server.directory), "-l", str(server.directory / "other.log")]
            refused = sftpgo(*given)
            self.assertEqual((refused.returncode, len(refused.stderr.splitlines())), (1, 1), refused.stderr)
            self.assertNotIn(databases.PASSWORD, refused.stderr)
        finally:
            database.start()
        server.start()
        self.assertEqual(server.rest("GET", "/user"), [])


class MovedIn(ProviderTestCase):
    """What another installation leaves is served as it is."""

    def users(self) -> list[dict[str, Any]]:
        self.home = self.folder()
        return [
            {
                "id": 7,
                "status": 1,
                "username": "olduser",
                "password": SHA512,
                "home_dir": str(self.home),
                "permissions": {"/": ["*"]},
            }
        ]

    def log_in(self, server: Server) -> None:
        self.upload(self.login(server, "olduser", "password"), b"/f", b"x")
        self.assertEqual((self.home / "f").read_bytes(), b"x")

    def test_sqlite_file_of_the_original(self) -> None:
        server = self.made({"driver": "sqlite", "name": "original.db"})
        (user,) = self.users()
        kinds = {"id": "integer NOT NULL PRIMARY KEY AUTOINCREMENT", "username": "varchar(255) NOT NULL UNIQUE"}
        columns = ", ".join(
            f'"{name}" {kinds.get(name, kind + (" NOT NULL" if needed else " NULL"))}' for name, kind, needed in COLUMNS
        )
        path = str(server.directory / "original.db")
        with sqlite3.connect(path) as connection:
            connection.execute(f'CREATE TABLE "users" ({columns})')
            values = {name: 0 if kind in ("INTEGER", "bigint") else None for name, kind, _ in COLUMNS}
            values.update(user, permissions=json.dumps(user["permissions"]))
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO users ({', '.join(values)}) VALUES ({marks})", list(values.values()))
            before = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'users'").fetchone()
        connection.close()
        server.start()
        self.log_in(server)
        self.assertEqual([found["id"] for found in server.rest("GET", "/user")], [7])
        server.stop()
        with sqlite3.connect(path) as connection:
            self.assertEqual(
                connection.execute("SELECT sql FROM sqlite_master WHERE name = 'users'").fetchone(), before
            )
        connection.close()

    def test_memory_from_a_dump(self) -> None:
        dump = json.dumps({"users": self.users()})
        server = self.made({"driver": "memory", "name": "users.json"}, files={"users.json": dump}).start()
        self.log_in(server)
        self.assertEqual([found["id"] for found in server.rest("GET", "/user")], [7])

    def test_import(self) -> None:
        """A dump, a dry run, the import, the same again; then it is served."""
        server = self.made({})
        (server.directory / "dump.json").write_text(json.dumps({"users": self.users()}))
        words = ["import", str(server.directory / "dump.json"), "-c", str(server.directory)]
        for more, counts in [
            (["--dry-run"], "would be: 1 added, 0 changed, 0 unchanged, 0 skipped"),
            ([], "1 added, 0 changed, 0 unchanged, 0 skipped"),
            (["--format", "dump"], "0 added, 0 changed, 1 unchanged, 0 skipped"),
        ]:
            done = sftpgo(*words, *more)
            self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (0, counts), done.stderr)
            self.assertNotIn("\r", done.stdout + done.stderr, "a bar where there is no terminal")
        server.start()
        self.log_in(server)

    def test_import_that_fails(self) -> None:
        """Only the error is said where nothing was taken, and the numbers where the source broke off later."""
        server = self.made({})
        folder = str(server.directory)
        (server.directory / "old.db").write_bytes(bytes(16) + (0xED0CDAED).to_bytes(4, "little") + bytes(4096))
        (server.directory / "half.json").write_text('{"users":[')
        for words, told in [
            ([f"{folder}/old.db"], "dumpdata"),
            ([f"{folder}/half.json"], "no dump of users"),
            ([f"{folder}/half.json", "--dry-run"], "no dump of users"),
            ([f"{folder}/nowhere.json"], "No such file"),
        ]:
            done = sftpgo("import", "-c", folder, *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertIn(told, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        (user,) = self.users()
        many = ",".join(json.dumps({**user, "username": f"user{number}"}) for number in range(70))
        (server.directory / "half.json").write_text(f'{{"users":[{many},')
        done = sftpgo("import", "-c", folder, "-q", f"{folder}/half.json")
        said = (1, "64 added, 0 changed, 0 unchanged, 0 skipped\n")
        self.assertEqual((done.returncode, done.stdout), said, done.stderr)

    def test_view_over_accounts_of_ones_own(self) -> None:
        """Read only: a login works and leaves no complaint, a change over REST is refused."""
        server = self.made({"driver": "sqlite", "name": "own.db", "manage_users": 0, "track_quota": 0})
        (user,) = self.users()
        with sqlite3.connect(server.directory / "own.db") as connection:
            connection.execute("CREATE TABLE people (nr INTEGER PRIMARY KEY, login TEXT, secret TEXT)")
            connection.execute("INSERT INTO people VALUES (3, 'olduser', ?)", (SHA512,))
            constants = {name: "0" for name, kind, _ in COLUMNS if kind in ("INTEGER", "bigint")}
            constants |= {"id": "nr", "username": "login", "password": "secret", "status": "1"}
            constants |= {"home_dir": f"'{user['home_dir']}'", "permissions": """'{"/":["*"]}'"""}
            selected = ", ".join(f'{constants.get(name, "NULL")} AS "{name}"' for name, _, _ in COLUMNS)
            connection.execute(f"CREATE VIEW users AS SELECT {selected} FROM people")
        connection.close()
        server.start()
        self.log_in(server)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            server.add_user()
        self.assertEqual(refused.exception.code, 403)
        server.stop()
        levels = {line["level"] for line in server.log_lines() if line.get("sender") != "httpd"}
        self.assertNotIn("error", levels)


class InitProvider(ProviderTestCase):
    def test_command(self) -> None:
        folder = self.folder()
        (folder / "sftpgo.json").write_text('{"data_provider": {"driver": "sqlite", "name": "new.db"}}')
        done = sftpgo("initprovider", "-c", str(folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 3)
        self.assertIn("nothing was changed", sftpgo("initprovider", "-c", str(folder)).stdout)
        (folder / "sftpgo.json").write_text(
            '{"data_provider": {"driver": "postgresql", "host": "127.0.0.1", "port": 1}}'
        )
        done = sftpgo("initprovider", "-c", str(folder), "--wait", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("waiting for it up to 1 s", done.stderr.splitlines()[0])
        self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
        done = sftpgo("initprovider", "--wait", "soon")
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
