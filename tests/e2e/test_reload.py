"""SIGHUP and SIGTERM, sent to a real server with real clients on it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from tests.e2e.test_startup import TWISTD
from tests.harness import PATIENCE, Server, run, ssh_options
from tests.rawsftp import RawSFTP, connect


def eventually(case: Any, holds: Any, what: str) -> None:
    """Wait until something holds; only a hang makes it fail."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    case.fail(f"never: {what}")


class ReloadTests(SynchronousTestCase):
    def server(self, config: dict[str, dict[str, Any]] | None = None, **options: Any) -> Server:
        server = Server(config, **options)
        self.addCleanup(server.clean_up)
        server.start()
        server.add_user()
        return server

    def hang_up(self, server: Server, expected: str) -> None:
        """Send SIGHUP, and wait for a line in the log that was not there before."""
        before = self.lines(server, expected)
        server.process.send_signal(signal.SIGHUP)
        eventually(self, lambda: self.lines(server, expected) > before, expected)

    def lines(self, server: Server, text: str) -> int:
        log = server.directory / "sftpgo.log"
        return sum(text in line for line in log.read_text().splitlines()) if log.exists() else 0

    def new_host_key(self, path: Path) -> bytes:
        """Write another Ed25519 key; its public part."""
        key = Key(Ed25519PrivateKey.generate())
        path.write_bytes(key.toString("OPENSSH"))
        path.chmod(0o600)
        return key.public().blob()

    def start_upload(self, server: Server) -> tuple[RawSFTP, bytes]:
        raw = RawSFTP(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(raw.close)
        _kind, rest = raw.ask(codec.OPEN, b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        handle = codec.Reader(rest).string()
        self.assertEqual(raw.status(codec.WRITE, handle, 0, 0, b"begun, "), codec.OK)
        return raw, handle

    def test_new_connections_get_the_new_and_old_ones_go_on(self) -> None:
        server = self.server()
        raw, handle = self.start_upload(server)
        before = raw.ssh.get_remote_server_key()
        (server.directory / "banner.txt").write_text("Welcome back\n")
        public = self.new_host_key(server.directory / "another_key")
        server.configure(
            "sftpd",
            banner="Another_1.0",
            login_banner_file="banner.txt",
            keys=[{"private_key": "another_key"}],
            enabled_ssh_commands=["pwd"],
            umask="0077",
            upload_digest=True,
            bind_port=1,
            upload_mode=2,
        )
        server.configure("data_provider", password="not-in-the-log")
        (server.directory / "sftpgo.log").rename(server.directory / "moved.log")
        self.hang_up(server, "the configuration has been loaded again")
        said = (server.directory / "sftpgo.log").read_text()
        for name in ("sftpd.bind_port", "sftpd.upload_mode", "data_provider.password"):
            self.assertIn(f"{name} has changed, which needs a restart", said)
        for name in ("sftpd.banner", "sftpd.keys", "sftpd.umask"):
            self.assertRegex(said, f"loaded again, changed: .*{name}")
        self.assertNotIn("not-in-the-log", said)
        # New connections.
        client = connect(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(client.close)
        self.assertEqual(client.remote_version, "SSH-2.0-Another_1.0")
        self.assertEqual(client.get_banner(), b"Welcome back\n")
        self.assertEqual(client.get_remote_server_key().asbytes(), public)
        sftp = paramiko.SFTPClient.from_transport(client)
        sftp.mkdir("d")
        self.assertEqual((server.home() / "d").stat().st_mode & 0o777, 0o700)
        sftp.putfo(io.BytesIO(b"content"), "g")
        (line,) = [line for line in server.log_lines() if line["sender"] == "Upload"]
        self.assertEqual(line["sha256"], hashlib.sha256(b"content").hexdigest())
        # The old one, even with new keys: it knows the host by the key it has seen.
        raw.ssh.renegotiate_keys()
        self.assertEqual(raw.ssh.get_remote_server_key(), before)
        self.assertEqual(raw.status(codec.WRITE, handle, 0, 7, b"and ended"), codec.OK)
        self.assertEqual(raw.status(codec.CLOSE, handle), codec.OK)
        self.assertEqual((server.home() / "f").read_bytes(), b"begun, and ended")
        # Those of before the reload end with the server too.
        self.assertEqual(server.stop(), 0)

    def test_a_bad_one_changes_nothing(self) -> None:
        server = self.server()
        path = server.directory / "sftpgo.json"
        good = path.read_text()
        broken_key = server.directory / "broken_key"
        broken_key.write_text("no key")
        broken_key.chmod(0o600)
        for text, expected in (
            ("{", "sftpgo.json"),
            (None, "sftpgo.json is not there any more"),
            (self.changed(good, umask="rwx", banner="Bad"), "sftpd.umask: expected"),
            (self.changed(good, keys=[{"private_key": "broken_key"}], banner="Bad"), "broken_key"),
            (self.changed(good, keys=[{"private_key": "missing"}], banner="Bad"), "missing"),
            (self.changed(good, ciphers=["rot13"], banner="Bad"), "sftpd.ciphers"),
        ):
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
            self.hang_up(server, "the configuration stays as it is")
            line = [line for line in server.log_lines() if "stays as it is" in line.get("message", "")][-1]
            self.assertEqual(line["level"], "error")
            self.assertIn(expected, line["message"])
            self.assertNotIn("Traceback", line["message"])
            client = connect(server.sftp_port, "alice", "alice-secret")
            self.assertIn("SFTPGo", client.remote_version)
            client.close()
        path.write_text(self.changed(good, banner="Good"))
        self.hang_up(server, "changed: sftpd.banner")

    def changed(self, text: str, **sftpd: Any) -> str:
        config = json.loads(text)
        config["sftpd"].update(sftpd)
        return json.dumps(config)

    def test_under_twistd(self) -> None:
        server = self.server(command=[*TWISTD, "-n", "--pidfile", "", "sftpgo"])
        server.configure("sftpd", banner="Another_1.0")
        self.hang_up(server, "changed: sftpd.banner")
        client = connect(server.sftp_port, "alice", "alice-secret")
        self.assertEqual(client.remote_version, "SSH-2.0-Another_1.0")
        client.close()

    def test_limits_commands_and_hooks(self) -> None:
        server = self.server()
        self.assertEqual(self.md5sum(server), 0)
        hook = server.directory / "hook"
        hook.write_text('#!/bin/sh\necho "$1" >> "$(dirname "$0")/hooked"\n')
        hook.chmod(0o700)
        actions = {"execute_on": ["rename"], "command": str(hook), "http_notification_url": ""}
        server.configure("sftpd", enabled_ssh_commands=["pwd"], max_auth_tries=1, actions=actions)
        server.configure("httpd", allowed_hosts=["other.example"])
        self.hang_up(server, "the configuration has been loaded again")
        self.assertNotEqual(self.md5sum(server), 0)
        client = connect(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(client.close)
        sftp = paramiko.SFTPClient.from_transport(client)
        sftp.open("a", "w").close()
        sftp.rename("a", "b")
        eventually(self, (server.directory / "hooked").exists, "the hook runs")
        wrong = paramiko.Transport(("127.0.0.1", server.sftp_port))
        self.addCleanup(wrong.close)
        wrong.start_client(timeout=PATIENCE)
        self.assertRaises(paramiko.SSHException, wrong.auth_password, "alice", "wrong")
        eventually(self, lambda: not wrong.is_active(), "one try is all there is")
        server.configure("sftpd", proxy_protocol=2, proxy_allowed=["127.0.0.9"])
        self.hang_up(server, "changed: sftpd.proxy_protocol, sftpd.proxy_allowed")
        with socket.create_connection(("127.0.0.1", server.sftp_port), PATIENCE) as direct:
            self.assertEqual(direct.recv(100), b"")
        sftp.stat("b")

    def md5sum(self, server: Server) -> int:
        if shutil.which("ssh") is None:
            return self.skip_commands()
        words = ["ssh", *ssh_options(server, None), "-p", str(server.sftp_port), "alice@127.0.0.1", "md5sum"]
        done: int = run(words, password="alice-secret", stdin="x").returncode
        return done

    def skip_commands(self) -> int:
        """Without a client there is nothing to see."""
        raise self.skipTest("not installed: ssh")

    def test_a_second_sigterm_ends_at_once(self) -> None:
        server = self.server({"sftpd": {"grace_time": 3600, "upload_mode": 2}})
        raw, _handle = self.start_upload(server)
        server.process.send_signal(signal.SIGTERM)
        eventually(self, lambda: self.refused(server.sftp_port), "nobody new gets in")
        eventually(self, lambda: self.lines(server, "waiting up to 3600 s"), "transfers are waited for")
        self.assertIsNone(server.process.poll())
        self.assertEqual(server.stop(), 0)
        self.assertTrue(self.lines(server, "told again to stop"))
        self.assertTrue(self.lines(server, "the server has stopped"))
        eventually(self, lambda: not raw.ssh.is_active(), "the client is cut off")

    def refused(self, port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return True
        return False
