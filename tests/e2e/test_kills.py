"""A server that is killed while it takes uploads: what the next one finds, and that the usage is right again.

C{SFTPGO_KILLS} says how many uploads are cut off in each mode; several users upload when the server is killed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from tests.avatars.test_fault_table import KILLED
from tests.harness import PATIENCE, Server
from tests.rawsftp import RawSFTP

USERS = 5
OLD = b"the old content " * 1000
SIZE = 400_000
BLOCK = 8 * 1024


class KillTests(SynchronousTestCase):
    """20 uploads of each mode, cut off at random bytes."""

    def setUp(self) -> None:
        logging.getLogger("paramiko").addHandler(logging.NullHandler())  # it tells of every end of a connection
        self.random = random.Random(os.environ.get("SFTPGO_SEED"))  # nobody has to know it: any cut must do
        self.uploads = max(int(os.environ.get("SFTPGO_KILLS", "20")), USERS)

    def test_mode_0(self) -> None:
        self.kill_all(0)

    def test_mode_1(self) -> None:
        self.kill_all(1)

    def test_mode_2(self) -> None:
        self.kill_all(2)

    def kill_all(self, mode: int) -> None:
        server = Server({"sftpd": {"upload_mode": mode}, "data_provider": {"track_quota": 1}})
        self.addCleanup(server.clean_up)
        server.start()
        names = [f"user{number}" for number in range(USERS)]
        for name in names:
            server.add_user(name, password=_quick_hash(f"{name}-secret"))
        outcomes: dict[str, int] = {}
        for round_ in range(-(-self.uploads // USERS)):
            old = round_ % 2 == 1
            self.kill_in_mid_upload(server, names, old)
            server.start()
            for name in names:
                outcome = self.judge(server, name, mode, old)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        # Of each round only one upload is sent to its end.
        self.assertGreaterEqual(sum(outcomes.values()) - outcomes.get("whole", 0), self.uploads * 4 // 5, outcomes)

    def prepare(self, session: RawSFTP, old: bool) -> None:
        session.status(codec.REMOVE, b"/f")
        if old:
            handle = self.opened(session, b"/f")
            self.assertEqual(session.status(codec.WRITE, handle, 0, 0, OLD), codec.OK)
            self.assertEqual(session.status(codec.CLOSE, handle), codec.OK)

    def opened(self, session: RawSFTP, path: bytes) -> bytes:
        answer, rest = session.ask(codec.OPEN, path, codec.OPEN_WRITE | codec.OPEN_CREAT | codec.OPEN_TRUNC, 0)
        self.assertEqual(answer, codec.HANDLE, rest)
        return codec.Reader(rest).string()

    def kill_in_mid_upload(self, server: Server, names: list[str], old: bool) -> None:
        """Every user sends a part of random length; meanwhile, or just after, the server is killed."""
        ready = threading.Barrier(len(names) + 1)
        meanwhile = self.random.random() < 0.5
        wait = self.random.random() * 0.05

        def upload(name: str, length: int) -> None:
            session = RawSFTP(server.sftp_port, name, f"{name}-secret")
            try:
                self.prepare(session, old)
                handle = self.opened(session, b"/f")
                if meanwhile:
                    ready.wait(PATIENCE)
                self.send(session, handle, content(name)[:length])
                if not meanwhile:
                    ready.wait(PATIENCE)
                while True:
                    session.receive()
            except (EOFError, OSError, paramiko.SSHException):
                return  # the server is gone
            finally:
                session.close()

        lengths = [self.random.randrange(SIZE) for _ in names[1:]] + [SIZE]
        self.random.shuffle(lengths)
        threads = [threading.Thread(target=upload, args=pair, daemon=True) for pair in zip(names, lengths, strict=True)]
        for thread in threads:
            thread.start()
        ready.wait(PATIENCE)
        time.sleep(wait)  # any moment will do
        server.stop(signal.SIGKILL)
        for thread in threads:
            thread.join(PATIENCE)
            self.assertFalse(thread.is_alive())

    def send(self, session: RawSFTP, handle: bytes, data: bytes) -> None:
        for position in range(0, len(data), BLOCK):
            block = data[position : position + BLOCK]
            session.packet(codec.WRITE, codec.string(handle) + position.to_bytes(8, "big") + codec.string(block))
        if len(data) == SIZE:
            session.packet(codec.CLOSE, codec.string(handle))

    def judge(self, server: Server, name: str, mode: int, old: bool) -> str:
        """Look at what is there once the server has looked after it."""
        self.wait_for_usage(server, name)
        self.assertFalse(self.temporaries(server, name))
        outcome = self.outcome(server.home(name) / "f", name)
        allowed = {"what had arrived": {"nothing", "part"}, "nothing": {"nothing"}, "the old file": {"the old file"}}
        row = KILLED["server killed, overwrite" if old else "server killed, new file"]
        self.assertIn(outcome, allowed[row[mode]] | {"whole"} | ({"the old file"} if old and not mode else set()))
        return outcome

    def temporaries(self, server: Server, name: str) -> list[Path]:
        return [path for path in server.home(name).iterdir() if "sftpgo-upload" in path.name]

    def outcome(self, path: Path, name: str) -> str:
        if not path.exists():
            return "nothing"
        found = path.read_bytes()
        if found == OLD:
            return "the old file"
        if found == content(name):
            return "whole"
        self.assertEqual(found, content(name)[: len(found)])
        return "part"

    def wait_for_usage(self, server: Server, name: str) -> None:
        """The home is looked after in the background."""
        deadline = time.monotonic() + PATIENCE
        while True:
            sizes = list(_sizes(server.home(name)))
            expected = (len(sizes), sum(sizes))
            (user,) = server.rest("GET", f"/user?username={name}")
            used = (user["used_quota_files"], user["used_quota_size"])
            if (used == expected and not self.temporaries(server, name)) or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.assertEqual(used, expected, name)


def content(name: str) -> bytes:
    """What this user uploads: no part of it looks like another."""
    return (b"".join(b"%s %06d;" % (name.encode(), number) for number in range(SIZE // 10)))[:SIZE]


def _sizes(home: Path) -> Iterator[int]:
    for path in home.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # the sweep may be there at the same time
            yield path.stat().st_size


def _quick_hash(password: str) -> str:
    """A hash that costs nothing: logins are not what is tested."""
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1)
    return f"$pbkdf2-sha256$1$salt${base64.b64encode(digest).decode()}"
