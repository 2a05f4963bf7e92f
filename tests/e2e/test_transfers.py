"""A real server with atomic uploads, digests, quotas and hooks, and a real client."""

from __future__ import annotations

import hashlib
import os
import time
import urllib.request
from pathlib import Path

import paramiko

from tests.harness import PATIENCE
from tests.interop.base import ServerTestCase
from tests.rawsftp import connect


def wait_for(condition) -> bool:
    """Give the server time for what it does in the background."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class TransferTests(ServerTestCase):
    """Mode 2 with everything on."""

    keys = False
    config = {
        "sftpd": {"upload_mode": 2, "fsync_uploads": True, "upload_digest": True},
        "data_provider": {"track_quota": 1},
    }

    def client(self, user: str = "") -> paramiko.SFTPClient:
        user = user or self.user
        transport = connect(self.server.sftp_port, user, f"{user}-secret")
        self.addCleanup(transport.close)
        return paramiko.SFTPClient.from_transport(transport)

    def used(self, user: str = "") -> tuple[int, int]:
        (found,) = self.server.rest("GET", f"/user?username={user or self.user}")
        return found["used_quota_files"], found["used_quota_size"]

    def test_upload_is_told_counted_and_hashed(self) -> None:
        content = os.urandom(300_000)
        with self.client().open("/f", "wb") as file:
            file.set_pipelined(True)
            file.write(content)
            self.assertEqual(self.client().listdir("/"), [])
        self.assertEqual((self.home / "f").read_bytes(), content)
        self.assertTrue(wait_for(lambda: self.used() == (1, 300_000)), self.used())
        (line,) = [
            line for line in self.server.log_lines() if line["sender"] == "Upload" and line["username"] == self.user
        ]
        self.assertEqual(list(line)[-1], "sha256")
        self.assertEqual((line["sha256"], line["size_bytes"]), (hashlib.sha256(content).hexdigest(), 300_000))
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.server.http_port}/metrics").read().decode()
        values = dict(row.split() for row in text.splitlines() if row.startswith("sftpgo_") and len(row.split()) == 2)
        self.assertGreaterEqual(float(values["sftpgo_uploads_total"]), 1)
        self.assertGreaterEqual(float(values["sftpgo_upload_size"]), 300_000)
        self.assertGreaterEqual(float(values["sftpgo_password_login_ok_total"]), 1)

    def test_broken_upload_can_be_resumed(self) -> None:
        content = os.urandom(200_000)
        client = self.client()
        file = client.open("/f", "wb")
        file.write(content[:120_000])
        file.flush()
        client.get_channel().get_transport().close()
        self.assertTrue(wait_for((self.home / "f").exists))
        self.assertEqual((self.home / "f").read_bytes(), content[:120_000])
        with self.client().open("/f", "ab") as rest:
            rest.write(content[120_000:])
        self.assertEqual((self.home / "f").read_bytes(), content)
        self.assertTrue(wait_for(lambda: self.used() == (1, 200_000)), self.used())

    def test_quota(self) -> None:
        user = f"limited{self._number}"
        self.server.add_user(user, quota_size=100_000)
        client = self.client(user)
        with self.assertRaisesRegex(OSError, "no more than 100000 bytes may be stored"):
            with client.open("/f", "wb") as file:
                for _ in range(20):
                    file.write(b"x" * 10_000)
        self.assertTrue(wait_for(lambda: self.used(user)[1] == (self.server.home(user) / "f").stat().st_size))
        self.assertLessEqual(self.used(user)[1], 100_000)
        self.assertEqual(client.stat("/f").st_size, self.used(user)[1])


class HookTests(ServerTestCase):
    """The hook of an upload runs after the commit, and only then."""

    keys = False

    def setUp(self) -> None:
        type(self).config = {
            "sftpd": {"upload_mode": 1, "actions": {"execute_on": ["upload", "delete"], "command": ""}}
        }
        hook = Path(self.mktemp()).absolute()
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text('#!/bin/sh\n[ -e "$3" ] && there=yes || there=no\necho "$1 $2 $3 $there" >> "$0.log"\n')
        hook.chmod(0o700)
        self.log = hook.with_name(hook.name + ".log")
        type(self).config["sftpd"]["actions"]["command"] = str(hook)
        super().setUp()

    def told(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def test_after_the_commit(self) -> None:
        transport = connect(self.server.sftp_port, self.user, self.password)
        self.addCleanup(transport.close)
        client = paramiko.SFTPClient.from_transport(transport)
        with client.open("/f", "wb") as file:
            file.write(b"x")
        client.remove("/f")
        broken = client.open("/g", "wb")
        broken.write(b"x")
        broken.flush()
        transport.close()
        self.assertTrue(wait_for(lambda: len(self.told()) >= 2))
        path = f"{self.home}/f"
        self.assertEqual([line.split()[:3] for line in self.told()],
                         [["upload", self.user, path], ["delete", self.user, path]])  # fmt: skip
