"""Who gets in, who does not, and what the log says of it."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path

import paramiko

from tests.harness import ClientKey, need, run, ssh_options
from tests.interop.base import ServerTestCase
from tests.rawsftp import connect

YESTERDAY = int((time.time() - 86400) * 1000)
TOMORROW = int((time.time() + 86400) * 1000)


class LoginTests(ServerTestCase):
    """Passwords, accounts that may not log in, addresses and sessions."""

    config = {"sftpd": {"max_auth_tries": 3}}

    def add(self, name: str, **fields):
        name = f"{name}{self._number}"
        self.server.add_user(name, **fields)
        return name

    def assertRefused(self, user: str, password: str) -> None:
        with self.assertRaises(paramiko.AuthenticationException):
            connect(self.server.sftp_port, user, password)

    def reasons(self, user: str) -> list[str]:
        """The connection_failed lines of this user."""
        lines = self.server.log_lines()
        return [
            line["error"] for line in lines if line.get("sender") == "connection_failed" and line["username"] == user
        ]

    def test_right_and_wrong(self) -> None:
        connect(self.server.sftp_port, self.user, self.password).close()
        self.assertRefused(self.user, self.password + "x")
        self.assertRefused(self.user, "")
        self.assertRefused("nobody", "x")
        self.assertEqual(self.reasons(self.user), ["Invalid credentials"] * 2)
        self.assertEqual(len(self.reasons("nobody")), 1)

    def test_log_lines(self) -> None:
        """The line fail2ban reads, in its order; a login names user, method and address."""
        self.assertRefused(self.user, "wrong")
        lines = (self.server.directory / "sftpgo.log").read_text().splitlines()
        (line,) = [line for line in lines if f'"username":"{self.user}","login_type"' in line]
        self.assertRegex(
            line,
            r'"sender":"connection_failed","client_ip":"127\.0\.0\.1","username":"[^"]*","login_type":"password",'
            r'"error":"[^"]*"\}$',
        )
        connect(self.server.sftp_port, self.user, self.password).close()
        message = (
            f'logged in with: "password", username: "{self.user}", home_dir: "{self.home}" remote addr: "127.0.0.1:'
        )
        self.assertTrue([line for line in self.server.log_lines() if message in line.get("message", "")])

    def test_disabled(self) -> None:
        user = self.add("disabled", status=0)
        self.assertRefused(user, f"{user}-secret")
        self.assertIn("disabled", self.reasons(user)[0])

    def test_expired(self) -> None:
        expired = self.add("expired", expiration_date=YESTERDAY)
        self.assertRefused(expired, f"{expired}-secret")
        self.assertIn("expired", self.reasons(expired)[0])
        valid = self.add("valid", expiration_date=TOMORROW)
        connect(self.server.sftp_port, valid, f"{valid}-secret").close()

    def test_without_password(self) -> None:
        """An account with a key only: no password opens it."""
        user = self.add("keyed", password="", public_keys=[self.key.public])
        self.assertRefused(user, "")
        self.assertRefused(user, "x")
        key = paramiko.Ed25519Key.from_private_key_file(str(self.key.path))
        connect(self.server.sftp_port, user, key=key).close()

    def test_somebody_elses_key(self) -> None:
        user = self.add("other")
        key = paramiko.Ed25519Key.from_private_key_file(str(self.key.path))
        with self.assertRaises(paramiko.AuthenticationException):
            connect(self.server.sftp_port, user, key=key)

    def test_addresses(self) -> None:
        for filters, admitted in (
            ({"denied_ip": ["127.0.0.0/8"]}, False),
            ({"allowed_ip": ["10.0.0.0/8"]}, False),
            ({"allowed_ip": ["127.0.0.1/32"]}, True),
            ({"allowed_ip": ["127.0.0.1/32"], "denied_ip": ["127.0.0.0/8"]}, False),
            ({"denied_ip": ["10.0.0.0/8"]}, True),
        ):
            ServerTestCase._number += 1
            user = self.add("filtered", filters=filters)
            if admitted:
                connect(self.server.sftp_port, user, f"{user}-secret").close()
            else:
                self.assertRefused(user, f"{user}-secret")
                self.assertIn("not allowed", self.reasons(user)[0])

    def test_max_sessions(self) -> None:
        """Counted by connection, whether a channel runs or not; a place that is given up can be taken again."""
        user = self.add("limited", max_sessions=2)
        first = connect(self.server.sftp_port, user, f"{user}-secret")
        second = connect(self.server.sftp_port, user, f"{user}-secret")
        self.assertRefused(user, f"{user}-secret")
        self.assertIn("too many sessions", self.reasons(user)[0])
        first.close()
        self.wait_for(lambda: self.reconnects(user))
        second.close()

    def reconnects(self, user: str) -> bool:
        try:
            connect(self.server.sftp_port, user, f"{user}-secret").close()
        except paramiko.AuthenticationException:
            return False
        return True

    def wait_for(self, condition) -> None:
        for _ in range(600):
            if condition():
                return
            time.sleep(0.1)
        self.fail("it never came true")

    def test_racing_sessions(self) -> None:
        """Twelve logins at once for three places: exactly three get in."""
        user = self.add("raced", max_sessions=3)
        admitted: list[paramiko.Transport] = []

        def login() -> None:
            with contextlib.suppress(paramiko.SSHException):
                admitted.append(connect(self.server.sftp_port, user, f"{user}-secret"))

        threads = [threading.Thread(target=login) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(admitted), 3)
        for transport in admitted:
            transport.close()

    def test_max_auth_tries(self) -> None:
        """The connection ends with the last wrong password."""
        transport = paramiko.Transport(("127.0.0.1", self.server.sftp_port))
        self.addCleanup(transport.close)
        transport.start_client(timeout=60)
        for _ in range(2):
            with self.assertRaises(paramiko.AuthenticationException):
                transport.auth_password(self.user, "wrong")
        with self.assertRaises(paramiko.SSHException):
            transport.auth_password(self.user, "wrong")
        self.wait_for(lambda: not transport.is_active())

    def test_odd_names(self) -> None:
        """Names no account can have are refused like any other, and the log stays one JSON object a line."""
        for name in ("", "a" * 5000, 'quo"te', "new\nline", "\x1b[31m", "\u2028", "' or 1=1 --", "%s"):
            self.assertRefused(name, "x")
        self.assertTrue(self.server.log_lines())

    def test_home_is_created(self) -> None:
        self.assertFalse(self.home.exists())
        connect(self.server.sftp_port, self.user, self.password).close()
        self.assertTrue(self.home.is_dir())

    def test_last_login(self) -> None:
        before = int(time.time() * 1000)
        connect(self.server.sftp_port, self.user, self.password).close()

        def stored() -> bool:
            return self.server.rest("GET", f"/user?username={self.user}")[0]["last_login"] >= before

        self.wait_for(stored)


class BannerTests(ServerTestCase):
    """What is shown before the login; a login banner that cannot be read is only a warning."""

    config = {"sftpd": {"banner": "Our_Server", "login_banner_file": "missing.txt"}}
    keys = False

    def test_version_string(self) -> None:
        transport = connect(self.server.sftp_port, self.user, self.password)
        self.addCleanup(transport.close)
        self.assertEqual(transport.remote_version, "SSH-2.0-Our_Server")
        self.assertIsNone(transport.get_banner())
        self.assertTrue([line for line in self.server.log_lines() if "login banner" in line.get("message", "")])


class LoginBannerTests(ServerTestCase):
    """A login banner from a file."""

    config = {"sftpd": {"login_banner_file": "banner.txt"}}
    files = {"banner.txt": "Be kind.\n"}
    keys = False

    def test_shown(self) -> None:
        transport = connect(self.server.sftp_port, self.user, self.password)
        self.addCleanup(transport.close)
        self.assertEqual(transport.get_banner(), b"Be kind.\n")


class OpenSSHLoginTests(ServerTestCase):
    """How OpenSSH logs in: with every method and every type of key."""

    def setUp(self) -> None:
        need("ssh", "ssh-keygen", "sftp")
        super().setUp()

    def sftp(self, *options: str, password: str | None = None, key: ClientKey | None = None):
        command = ["sftp", *ssh_options(self.server, key), *options, "-P", str(self.server.sftp_port)]
        return run([*command, f"{self.user}@127.0.0.1"], password=password, stdin="pwd\n")

    def test_keyboard_interactive(self) -> None:
        done = self.sftp("-o", "PreferredAuthentications=keyboard-interactive", password=self.password)
        self.assertIn("Remote working directory: /", done.stdout, done.stderr)
        done = self.sftp("-o", "PreferredAuthentications=keyboard-interactive", password="wrong")
        self.assertIn("Permission denied", done.stderr)
        self.assertEqual(set(self.failed_with()), {"password"})

    def failed_with(self) -> list[str]:
        lines = self.server.log_lines()
        return [x["login_type"] for x in lines if x.get("sender") == "connection_failed" and x["username"] == self.user]

    def test_key_types(self) -> None:
        for kind, bits in (("ed25519", ()), ("ecdsa", ("-b", "521")), ("rsa", ("-b", "2048"))):
            with tempfile.TemporaryDirectory() as directory:
                key = ClientKey(Path(directory), kind, bits)
                (user,) = self.server.rest("GET", f"/user?username={self.user}")
                self.server.rest("PUT", f"/user/{user['id']}", {"public_keys": [key.public]})
                done = self.sftp("-v", "-o", "LogLevel=DEBUG1", key=key)
                self.assertIn("Remote working directory: /", done.stdout, done.stderr)
                self.assertIn("publickey-hostbound@openssh.com", done.stderr)
