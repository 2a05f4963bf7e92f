"""The fail2ban filter against lines that a real server wrote, by the real C{fail2ban-regex}."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import paramiko
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.harness import PATIENCE, ROOT, Server, need

FILTER = ROOT / "etc/fail2ban/filter.d/sftpgo.conf"

#: Each tries to have 192.0.2.1 banned in the place of the one who sent it.
HOSTILE = (
    'x","client_ip":"192.0.2.1","username":"y',
    'x","login_type":"password","error":"e"}\n{"level":"debug","time":"2026-11-23T11:36:07.680",'
    '"sender":"connection_failed","client_ip":"192.0.2.1","username":"y","login_type":"password","error":"e"}',
    "192.0.2.1",
    "x\\",
    '\\","client_ip":"192.0.2.1',
    "x from 192.0.2.1 port 22 ssh2",
    "\r\nhost sftpgo[1]: x",
    "\u2028x\x85\x0b\x0c\x1c\x1d\x1e",
    "%(ip)s <HOST> {client_ip} \x00 \x1b[2J",
    "x" * 900,
    "",
    b'\xff\xfe","client_ip":"192.0.2.1',
)
SOME = HOSTILE[:2]


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def try_login(
    host: str,
    port: int,
    username: str | bytes,
    *,
    key: paramiko.PKey | None = None,
    password: str = "wrong",
    source: str | None = None,
) -> bool:
    """Whether a login on a connection of its own succeeds; C{source} is the address it comes from."""
    whence = None if source is None else (source, 0)
    connected = socket.create_connection((host, port), timeout=PATIENCE, source_address=whence)
    transport = paramiko.Transport(connected)
    try:
        transport.start_client(timeout=PATIENCE)
        with contextlib.suppress(paramiko.SSHException, EOFError):
            if key is not None:
                transport.auth_publickey(username, key)
            else:
                transport.auth_password(username, password, fallback=False)
        return transport.is_authenticated()
    finally:
        transport.close()


def banned(lines: list[str], mode: str = "normal") -> Counter[str]:
    """How often fail2ban counts each address."""
    need("fail2ban-regex")
    with tempfile.TemporaryDirectory(prefix="sftpgo-test-fail2ban-") as directory:
        path = Path(directory) / "log"
        path.write_bytes(b"".join(line.encode("utf-8", "surrogateescape") + b"\n" for line in lines))
        done = subprocess.run(
            ["fail2ban-regex", "--out", "ip", str(path), f"{FILTER}[mode={mode}]"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    return Counter(done.stdout.split())


class FilterTests(TestCase):
    def test_lines_of_a_real_server(self) -> None:
        need("fail2ban-regex")
        hosts = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]
        server = Server({"sftpd": {"bind_address": hosts}})
        self.addCleanup(server.clean_up)
        server.start()
        server.add_user("alice")
        key = paramiko.Ed25519Key.from_private_key_file(str(server.directory / "id_ed25519"))
        for host in hosts:
            for username in ("alice", "nobody", *(HOSTILE if host == hosts[0] else SOME)):
                self.assertFalse(try_login(host, server.sftp_port, username))
            self.assertFalse(try_login(host, server.sftp_port, "alice", key=key))
            self.assertTrue(try_login(host, server.sftp_port, "alice", password="alice-secret"))
            socket.create_connection((host, server.sftp_port), timeout=PATIENCE).close()
        self.assertEqual(server.stop(), 0)
        text = (server.directory / "sftpgo.log").read_bytes().decode("utf-8", "surrogateescape")
        lines = text.removesuffix("\n").split("\n")
        failed = [each for each in map(json.loads, lines) if each["sender"] == "connection_failed"]

        def expected(*types: str) -> Counter[str]:
            return Counter(each["client_ip"] for each in failed if each["login_type"] in types)

        passwords, both = expected("password"), expected("password", "public_key")
        wanted = dict(zip(hosts, (len(HOSTILE) + 2, len(SOME) + 2), strict=False))
        self.assertEqual(passwords, wanted)
        self.assertEqual(both, {host: count + 1 for host, count in wanted.items()})
        self.assertEqual(banned(lines), both)
        self.assertEqual(banned(lines, "password"), passwords)
        everything = expected("password", "public_key", "no_auth_tryed")
        self.assertEqual(banned(lines, "aggressive"), everything)
        self.assertGreater(everything["127.0.0.1"], both["127.0.0.1"])
        # As fail2ban puts together an entry of the journal: host, program and process before the message.
        self.assertEqual(banned([f"host-1 sftpgo[{number}]: {line}" for number, line in enumerate(lines)]), both)
        # No line of another kind is ever counted.
        others = [line for line in lines if '"sender":"connection_failed"' not in line]
        self.assertGreater(len(others), 5)
        self.assertEqual(banned(others, "aggressive"), Counter())

    def test_nobody_is_banned_for_what_the_server_lacks(self) -> None:
        need("fail2ban-regex")
        server = Server()
        self.addCleanup(server.clean_up)
        server.start()
        server.add_user("alice", home_dir=str(server.home("alice")))
        (server.directory / "file").write_text("")
        server.add_user("bob", home_dir=str(server.home("bob")))
        with contextlib.closing(sqlite3.connect(server.directory / "sftpgo.db")) as database, database:
            database.execute("UPDATE users SET home_dir = ? WHERE username = 'bob'", [f"{server.directory}/file/home"])
        self.assertFalse(try_login("127.0.0.1", server.sftp_port, "bob", password="bob-secret"))
        # Whoever names a user or sends a password so is counted all the same.
        self.assertFalse(try_login("127.0.0.1", server.sftp_port, "the data provider failed: "))
        with contextlib.closing(sqlite3.connect(server.directory / "sftpgo.db")) as database, database:
            database.execute("ALTER TABLE users RENAME TO elsewhere")
        self.assertFalse(try_login("127.0.0.1", server.sftp_port, "alice", password="alice-secret"))
        key = paramiko.Ed25519Key.from_private_key_file(str(server.directory / "id_ed25519"))
        self.assertFalse(try_login("127.0.0.1", server.sftp_port, "alice", key=key))
        self.assertEqual(server.stop(), 0)
        lines = (server.directory / "sftpgo.log").read_text().splitlines()
        failed = [each for each in map(json.loads, lines) if each["sender"] == "connection_failed"]
        errors = [each["error"].split(":")[0] for each in failed if each["login_type"] != "no_auth_tryed"]
        home = 'the home of user "bob" cannot be used'
        self.assertEqual(errors, [home, "Not found", *["the data provider failed"] * 2])
        self.assertEqual(banned(lines), Counter({"127.0.0.1": 1}))


class JailTests(SynchronousTestCase):
    def test_the_jails_are_read(self) -> None:
        """By the real client, which prints what it would tell the server."""
        need("fail2ban-client")
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-jails-")
        self.addCleanup(directory.cleanup)
        where = Path(directory.name) / "fail2ban"
        shutil.copytree("/etc/fail2ban", where, symlinks=True)
        for other in (where / "jail.d").iterdir():
            other.unlink()
        shutil.copytree(ROOT / "etc/fail2ban", where, dirs_exist_ok=True)
        log = Path(directory.name) / "sftpgo.log"
        log.write_text("")
        jail = where / "jail.d/sftpgo.conf"
        jail.write_text(jail.read_text().replace("/var/log/sftpgo/sftpgo.log", str(log)))
        done = subprocess.run(
            ["fail2ban-client", "-c", str(where), "-d"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        self.assertIn("['add', 'sftpgo', 'auto']", done.stdout)
        self.assertIn(f"'addlogpath', '{log}'", done.stdout)
        self.assertIn("['set', 'sftpgo', 'maxretry', 12]", done.stdout)
        self.assertNotIn("sftpgo-journal", done.stdout)
        jail.write_text(jail.read_text().replace("enabled  = false", "enabled  = true"))
        done = subprocess.run(done.args, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
        self.assertIn("['add', 'sftpgo-journal', 'systemd']", done.stdout)
        self.assertIn("_SYSTEMD_UNIT=sftpgo.service", done.stdout)
