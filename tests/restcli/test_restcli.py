"""The command line against a real server, and its parts without one."""

from __future__ import annotations

import argparse
import io
import json
import re
import socket
import subprocess
import sys
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.restcli.arguments import parser
from sftpgo.restcli.commands import COMMANDS, fields
from sftpgo.restcli.main import run
from sftpgo.restcli.output import show
from tests.harness import ROOT, shared_server

ORIGINAL = (
    "add-user", "update-user", "delete-user", "get-users", "get-user-by-id", "get-quota-scans", "start-quota-scan",
    "get-connections", "close-connection", "get-version", "get-provider-status", "dumpdata", "loaddata",
)  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ParserTests(SynchronousTestCase):
    def test_every_subcommand_does_something(self) -> None:
        (commands,) = (one for one in parser({})._actions if isinstance(one, argparse._SubParsersAction))
        names = set(commands.choices)
        self.assertLessEqual(set(ORIGINAL), names)
        self.assertEqual(names - set(COMMANDS), {"events", "completion"})

    def record(self, *words: str) -> dict[str, Any]:
        return fields(parser({}).parse_args(words))

    def test_only_what_is_given_is_sent(self) -> None:
        self.assertEqual(self.record("update-user", "3", "--uid", "7"), {"uid": 7})
        self.assertEqual(self.record("add-user", "a"), {"username": "a", "status": 1})
        self.assertEqual(
            self.record("update-user", "3", "-K", "-Y", ""), {"public_keys": [], "filters": {"allowed_ip": []}}
        )

    def test_all_options(self) -> None:
        self.assertEqual(
            self.record(
                *("add-user", "a", "-P", "p", "-K", "k1", "k2", "-H", "/srv/a", "--uid", "1", "--gid", "2", "-C", "3"),
                *("-S", "4", "-F", "5", "-G", "list", "download", "--subdirs-permissions", "/d:*", "/e:list,upload"),
                *("-U", "6", "-D", "7", "--status", "0", "-E", "2030-01-02", "-Y", "10.0.0.0/8", "-N", "::/0"),
            ),
            {
                "username": "a", "password": "p", "public_keys": ["k1", "k2"], "home_dir": "/srv/a", "uid": 1, "gid": 2,
                "max_sessions": 3, "quota_size": 4, "quota_files": 5, "upload_bandwidth": 6, "download_bandwidth": 7,
                "status": 0, "expiration_date": 1893542400000,
                "permissions": {"/": ["list", "download"], "/d": ["*"], "/e": ["list", "upload"]},
                "filters": {"allowed_ip": ["10.0.0.0/8"], "denied_ip": ["::/0"]},
            },
        )  # fmt: skip

    def test_wrong_usage(self) -> None:
        for words in (
            [],
            ["nonsense"],
            ["add-user"],
            ["delete-user", "x"],
            ["add-user", "a", "-G", "fly"],
            ["add-user", "a", "-E", "tomorrow"],
            ["add-user", "a", "--subdirs-permissions", "d:list"],
            ["add-user", "a", "--subdirs-permissions", "/d:"],
            ["loaddata", "/x", "-Q", "3"],
            ["get-users", "-S", "asc"],
            *(["--timeout", seconds, "get-version"] for seconds in ("0", "-1", "nan", "inf", "1e10", "soon")),
        ):
            with self.assertRaises(SystemExit) as caught:
                self.patch(argparse._sys, "stderr", io.StringIO())  # type: ignore[attr-defined]
                parser({}).parse_args(words)
            self.assertEqual((words, caught.exception.code), (words, 2))

    def test_what_is_no_text(self) -> None:
        """It could not be sent; nothing secret is told of it."""
        for words, name in (
            (["-u", "\udcff", "get-version"], "auth_user"),
            (["-p", "s3cret\udcff", "get-version"], "auth_password"),
            (["get-users", "-U", "\udcff"], "username"),
            (["close-connection", "\udcff"], "connection_id"),
            (["explain", "u", "list", "/\udcff"], "path"),
            (["add-user", "a", "-K", "\udcff"], "public_keys"),
            (["add-user", "a", "--subdirs-permissions", "/\udcff:list"], "subdirs_permissions"),
            (["add-user", "a", "-P", "-"], "password"),
        ):
            errors, typed = io.StringIO(), io.TextIOWrapper(io.BytesIO(b"s3cret\xff\n"), "utf-8")
            self.patch(argparse._sys, "stderr", errors)  # type: ignore[attr-defined]
            left = self.assertRaises(SystemExit, run, words, {}, typed, io.StringIO(), errors)
            self.assertEqual((words, left.code), (words, 2))
            self.assertIn(f"error: argument {name}: not valid Unicode\n", errors.getvalue())
            self.assertNotIn("s3cret", errors.getvalue())


class OutputTests(SynchronousTestCase):
    def shown(self, value: Any, **options: bool) -> str:
        stream = io.StringIO()
        show(value, stream, **{"table": False, "colours": False} | options)
        return stream.getvalue()

    def test_colours_change_nothing_but_colours(self) -> None:
        value = {"a": [1, -2.5, True, None, 'q"uo\\te', "a: {1}"], "b": {}}
        coloured = self.shown(value, colours=True)
        self.assertNotEqual(coloured, self.shown(value))
        self.assertEqual(re.sub("\x1b\\[[0-9]*m", "", coloured), self.shown(value))

    def test_table(self) -> None:
        rows = [{"username": "ä漢", "start_time": 1000, "files": 5, "size": 0}]
        self.assertEqual(
            self.shown(rows, table=True).splitlines(),
            ["USERNAME  START TIME           FILES  SIZE", "ä漢       1970-01-01 00:00:01  5      0"],
        )
        self.assertEqual(self.shown([], table=True), "none\n")
        self.assertEqual(self.shown({"error": "", "status": 200}, table=True), "error\nstatus  200\n")

    def test_nothing_reaches_the_terminal_that_could_move_it(self) -> None:
        for options in ({}, {"table": True}, {"colours": True}):
            text = self.shown([{"username": "\x1b[2J\n\u202e\x07x"}], **options)
            text = re.sub("\x1b\\[[0-9]*m", "", text)
            for character in "\x1b\u202e\x07":
                self.assertNotIn(character, text)


class ServerTests(SynchronousTestCase):
    """One server for all: each test uses names of its own."""

    def setUp(self) -> None:
        self.server = shared_server({"data_provider": {"driver": "memory"}, "httpd": {"backups_path": "cli"}}, {})

    def run_with(self, *words: str, stdin: str = "", stdout: io.StringIO | None = None) -> tuple[int, str, str]:
        out, err = stdout or io.StringIO(), io.StringIO()
        url = f"http://127.0.0.1:{self.server.http_port}"
        status = run(words, {"SFTPGO_REST_URL": url}, io.StringIO(stdin), out, err)
        return status, out.getvalue(), err.getvalue()

    def ok(self, *words: str, **options: Any) -> Any:
        status, out, err = self.run_with(*words, **options)
        self.assertEqual((status, err), (0, ""))
        return json.loads(out)

    def add(self, name: str, *words: str) -> Any:
        home = str(self.server.home(name))
        return self.ok("add-user", name, "-P", "secret", "-H", home, "-G", "list", "download", *words)

    def test_users(self) -> None:
        added = self.add("alice", "--subdirs-permissions", "/d:*", "-F", "3")
        number = str(added["id"])
        self.assertEqual((added["status"], added["permissions"]), (1, {"/": ["list", "download"], "/d": ["*"]}))
        self.assertEqual(self.ok("get-user-by-id", number), added)
        self.assertEqual(self.ok("get-users", "-U", "alice"), [added])
        self.assertEqual(self.ok("get-users", "-L", "0"), [])
        self.assertEqual(self.ok("update-user", number, "--uid", "5")["message"], "User updated")
        self.ok("update-user", number, "--subdirs-permissions", "/e:list")
        changed = self.ok("get-user-by-id", number)
        self.assertEqual(changed["permissions"], {"/": ["list", "download"], "/d": ["*"], "/e": ["list"]})
        self.assertEqual((changed["uid"], changed["quota_files"]), (5, 3))
        self.assertEqual(self.ok("delete-user", number)["message"], "User deleted")

    def test_password_from_standard_input(self) -> None:
        home = str(self.server.home("piped"))
        added = self.ok("add-user", "piped", "-P", "-", "-H", home, "-G", "*", stdin="from stdin\n")
        self.assertEqual(added["username"], "piped")
        self.assertEqual(self.run_with("add-user", "none", "-P", "-", "-H", home, "-G", "*")[0], 1)

    def test_the_rest(self) -> None:
        self.add("bob")
        self.server.home("bob").mkdir(parents=True)
        self.assertEqual(self.ok("get-provider-status")["message"], "Alive")
        self.assertIn("version", self.ok("get-version"))
        self.assertEqual((self.ok("get-connections"), self.ok("get-quota-scans")), ([], []))
        self.assertEqual(self.ok("start-quota-scan", "bob")["status"], 201)
        self.assertEqual(self.ok("explain", "bob", "upload", "/x")["allowed"], False)
        self.assertEqual(self.ok("dumpdata", "d/users.json")["message"], "Data saved")
        dump = self.server.directory / "cli" / "d" / "users.json"
        self.assertGreaterEqual(self.ok("loaddata", str(dump), "-Q", "2")["updated"], 1)

    def test_refused(self) -> None:
        for words, text in (
            (["get-user-by-id", "999"], "404 Not found: user with ID 999 does not exist"),
            (["close-connection", "a/../b"], "404 Not Found"),
            (["add-user", "x"], "400 Validation error: Mandatory parameters missing"),
            (["dumpdata", "../x"], "400 Invalid or missing output_file"),
            (["start-quota-scan", "nobody"], "404 Not found: username nobody does not exist"),
            (["cancel-quota-scan", "nobody"], "404 Not found: no scan of this user is in progress"),
        ):
            self.assertEqual(self.run_with(*words), (1, "", f"sftpgo rest: {text}\n"))

    def test_a_faulty_dump_is_explained_user_by_user(self) -> None:
        path = self.server.directory / "faulty.json"
        path.write_text('{"users":[{"username":"z"}]}')
        status, out, err = self.run_with("loaddata", str(path))
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"(?s)400 user 0 \"z\".*USERNAME.*refused")

    def test_colours_on_a_terminal_only(self) -> None:
        self.assertNotIn("\x1b", self.run_with("get-version")[1])
        self.assertIn("\x1b", self.run_with("get-version", stdout=Terminal())[1])
        self.assertNotIn("\x1b", self.run_with("-t", "get-version", stdout=Terminal())[1])
        self.assertRegex(self.run_with("-o", "table", "get-version", stdout=Terminal())[1], r"^version +[0-9]")

    def test_debug_shows_no_secrets(self) -> None:
        _, _, err = self.run_with("-d", "-u", "me", "-p", "s3cret", "get-version")
        self.assertIn("> GET /api/v1/version", err)
        self.assertNotIn("s3cret", err)

    def test_unreachable(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
            for url in (closed, "ftp://x", "http://", "http://[", "nonsense", "http://a..b", f"{closed}/é"):
                status, out, err = self.run_with("-b", url, "get-version")
                self.assertEqual((url, status, out, len(err.splitlines())), (url, 3, "", 1))
        status, _, err = self.run_with("-b", f"http://127.0.0.1:{self.server.sftp_port}", "get-version")
        self.assertEqual((status, len(err.splitlines())), (3, 1))

    def test_another_server(self) -> None:
        """Whose answers are no JSON."""
        with socket.create_server(("127.0.0.1", 0)) as listening:

            def answer() -> None:
                for _ in range(2):
                    connection, _peer = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.0 404 Not Found\r\n\r\n<html>")

            thread = threading.Thread(target=answer, daemon=True)
            thread.start()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            for command in ("get-version", "events"):
                said = self.run_with("-b", url, command)
                expected = f"sftpgo rest: {url} answered 404, but not in JSON: not this API\n"
                self.assertEqual(said, (3, "", expected))
            thread.join()

    def test_as_a_command(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sftpgo", "rest", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        )
        self.assertIn("Exit status", done.stdout)
