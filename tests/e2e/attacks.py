"""A real server to attack, with what tells how it bears it: its memory, and whether others are still served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from sftpgo.ssh.fields import string
from tests.harness import Server, shared_server
from tests.rawssh import RemoteClient, make_key

MOST = 16.0
"""MiB that one connection may cost."""


class AttackCase(SynchronousTestCase):
    """A server, an account that logs in by key, and the server's memory."""

    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"max_auth_tries": 6}}
    _number: ClassVar[int] = 0
    _before: ClassVar[dict[Server, float]] = {}

    def setUp(self) -> None:
        self.server = shared_server(self.config, {})
        AttackCase._number += 1
        self.user = f"attacker{self._number}"
        self.key, self.line = make_key()
        self.server.add_user(self.user, public_keys=[self.line])
        self.home = self.server.home(self.user)
        self.process = Path(f"/proc/{self.server.process.pid}")
        # What any connection costs once and for all is not an attack's.
        self.assertAlive()
        if self.server not in self._before:
            self.assertAlive()
            self._before[self.server] = self.memory("VmRSS")

    def connect(self, source: str = "127.0.0.1") -> RemoteClient:
        client = RemoteClient(self.server.sftp_port, source)
        self.addCleanup(client.close)
        return client

    def log_in(self, source: str = "127.0.0.1", **lists: tuple[bytes, ...]) -> RemoteClient:
        client = self.connect(source)
        client.log_in_by_key(self.user, self.key, **lists)
        return client

    def assertAlive(self) -> None:
        """Another client logs in and is answered, by its own connection."""
        client = self.log_in("127.0.0.2")
        channel = client.open_sftp()
        client.data(channel, codec.reply(codec.REALPATH, 1, codec.string(b".")))
        self.assertEqual(client.take(94)[12], codec.NAME)
        client.close()

    def assertAnswers(self, client: RemoteClient) -> None:
        """The connection still does what it is asked."""
        client.send(80, string(b"are you there") + b"\1")
        client.take(82)

    def memory(self, field: str) -> float:
        for line in (self.process / "status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"no {field}")

    @contextmanager
    def growth(self, name: str, most: float = MOST) -> Iterator[None]:
        """Hold the most that the server's memory grows to, over what it was before any attack, against a bound.

        What an earlier attack has left is counted too: nothing may be left for good.
        """
        (self.process / "clear_refs").write_text("5")
        yield
        grown = self.memory("VmHWM") - self._before[self.server]
        print(f"\n{name}: {grown:.1f} MiB more, of {most:g} allowed")
        self.assertLess(grown, most, name)

    def descriptors(self) -> int:
        return len(list((self.process / "fd").iterdir()))

    def wait_for(self, there: Callable[[], bool]) -> None:
        """Until the server has come to something; the test hangs and is killed if it never does."""
        for _ in range(6000):
            if there():
                return
            time.sleep(0.02)
        raise AssertionError("the server never came to it")
