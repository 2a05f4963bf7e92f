"""C{sftpgo doctor} at installations that are really broken."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.dataprovider.schema import load_scripts, statements
from tests import databases
from tests.harness import PATIENCE, ROOT, Server, host_keys_into


def doctor(directory: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SFTPGO_")}
    done = subprocess.run(
        [sys.executable, "-m", "sftpgo", "doctor", "-c", str(directory), *words],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "--json" not in words:
        return done.returncode, [{"text": done.stdout, "error": done.stderr}]
    return done.returncode, json.loads(done.stdout or done.stderr)


def bad(findings: list[dict[str, Any]], *levels: str) -> list[str]:
    """What is not in order, as far as it does not depend on the machine the tests run on."""
    machine = ("clock", "file descriptors", "packages", "disk", "homes", "namespaces", "Landlock", "programs")
    wanted = levels or ("warn", "fail")
    return [f"{each['check']}: {each['text']}" for each in findings
            if each["level"] in wanted and each["check"] not in machine]  # fmt: skip


class HealthyTests(SynchronousTestCase):
    def test_beside_a_running_server_it_finds_and_changes_nothing(self) -> None:
        server = Server()
        self.addCleanup(server.clean_up)
        server.start()
        server.add_user("alice")
        server.add_user("bob")
        server.configure("sftpd", bind_port=server.sftp_port, enabled_ssh_commands=["*"])
        os.chmod(server.directory / "sftpgo.json", 0o600)
        before = sorted(os.listdir(server.directory))
        status, findings = doctor(server.directory, "--json")
        self.assertEqual(bad(findings), [])
        if not any(each["level"] == "fail" for each in findings):
            self.assertEqual(status, 0)
        texts = "\n".join(each["text"] for each in findings)
        self.assertIn(f"the server listens on 127.0.0.1:{server.sftp_port} (process ", texts)
        self.assertIn("its schema is current, users: 2", texts)
        self.assertIn("2 homes looked at", texts)
        self.assertEqual(sorted(os.listdir(server.directory)), before)
        self.assertEqual(server.rest("GET", "/user?limit=5")[0]["username"], "alice")

        _status, findings = doctor(server.directory, "--json", "--users", "1")
        self.assertIn("--users N looks at more", "\n".join(each["text"] for each in findings))


class BrokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-doctor-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        host_keys_into(self.directory)

    def configure(self, **sections: dict[str, Any]) -> None:
        config: dict[str, dict[str, Any]] = {"sftpd": {"bind_port": 0}, "httpd": {"bind_port": 0}}
        for name, keys in sections.items():
            config.setdefault(name, {}).update(keys)
        path = self.directory / "sftpgo.json"
        path.write_text(json.dumps(config))
        path.chmod(0o600)

    def test_keys_ports_and_guards(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.configure(
                sftpd={"bind_port": port, "bind_address": "127.0.0.1", "login_banner_file": ""},
                httpd={"bind_port": 1, "auth_user_file": "users", "bind_address": "127.0.0.1"},
                data_provider={"driver": "memory", "name": ""},
            )
            (self.directory / "id_rsa").chmod(0o644)
            (self.directory / "id_ecdsa").write_text("no key")
            status, findings = doctor(self.directory, "--json")
            self.assertEqual(status, 1)
            lines = "\n".join(bad(findings, "fail"))
            self.assertIn("id_rsa is open to others (mode 0644)", lines)
            self.assertIn("id_ecdsa is not a private key", lines)
            self.assertRegex(lines, rf"127.0.0.1:{port} is taken by .*\(process {os.getpid()}\)")
            self.assertIn("auth_user_file", lines)
            for each in findings:
                self.assertEqual(bool(each["do"]), each["level"] != "ok", each)
            (text,) = (doctor(self.directory)[1],)
            self.assertIn(f"-> chmod 600 {self.directory}/id_rsa", text[0]["text"])
            self.assertRegex(text[0]["text"], r"\d+ in order, \d+ to look at, [4-9] to mend\n$")

    def test_a_broken_configuration(self) -> None:
        (self.directory / "sftpgo.json").write_text('{"sftpd": {"bind_port": "x", "umask": 9}}')
        status, findings = doctor(self.directory, "--json")
        self.assertEqual((status, len(bad(findings, "fail"))), (1, 2))

    def test_an_old_schema_is_told_of_and_left_alone(self) -> None:
        self.configure(data_provider={"driver": "sqlite", "name": "old.db"})
        path = self.directory / "old.db"
        connection = sqlite3.connect(path)
        for statement in statements(load_scripts("sqlite")[0], "users"):
            connection.execute(statement)
        connection.commit()
        connection.close()
        path.chmod(0o600)
        before = path.read_bytes()
        _status, findings = doctor(self.directory, "--json")
        (found,) = (each for each in findings if each["check"] == "schema")
        self.assertEqual(found["level"], "warn")
        self.assertIn("sftpgo initprovider", found["do"])
        self.assertEqual(path.read_bytes(), before)
        path.write_bytes(b"nonsense" * 200)
        status, findings = doctor(self.directory, "--json")
        self.assertEqual((status, len(bad(findings, "fail"))), (1, 1))
        self.assertIn("not a database", bad(findings, "fail")[0])

    def test_a_postgresql_whose_table_is_missing(self) -> None:
        server = databases.postgresql()
        server.execute("CREATE SCHEMA doctored")
        self.addCleanup(server.execute, "DROP SCHEMA doctored CASCADE")
        self.configure(data_provider={"driver": "postgresql", "connection_string": server.dsn("doctored")})
        status, findings = doctor(self.directory, "--json")
        self.assertEqual(status, 1)
        (found,) = (each for each in findings if each["check"] == "schema")
        self.assertIn('there is no table "users"', found["text"])
        self.assertIn("sftpgo initprovider", found["do"])
        self.assertNotIn(databases.PASSWORD, json.dumps(findings))
        command = [sys.executable, "-m", "sftpgo", "initprovider", "-c", str(self.directory)]
        subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        _status, findings = doctor(self.directory, "--json")
        self.assertEqual(bad(findings), [])
        self.assertIn("its schema is current, users: 0", "\n".join(each["text"] for each in findings))

    def test_a_provider_that_is_down(self) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            port = nobody.getsockname()[1]
            self.configure(data_provider={"driver": "postgresql", "host": "127.0.0.1", "port": port, "name": "x",
                                          "password": "hidden"})  # fmt: skip
            (self.directory / "sftpgo.json").chmod(0o644)
            status, findings = doctor(self.directory, "--json")
        self.assertEqual(status, 1)
        checks = [line.partition(":")[0] for line in bad(findings, "fail")]
        self.assertEqual(checks, ["configuration", "provider"])
        self.assertNotIn("hidden", json.dumps(findings))
