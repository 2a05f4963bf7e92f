"""What every test with a foreign client starts from: a server, and one account a test."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import ClientKey, shared_client_key, shared_server


class ServerTestCase(SynchronousTestCase):
    """Has a server, shared with all tests of the same configuration, and a fresh account C{self.user}.

    The account has a home of its own and may log in with C{self.password} and, where C{keys} is set, with C{self.key}.
    """

    config: ClassVar[dict[str, dict[str, object]]] = {}
    files: ClassVar[dict[str, str]] = {}
    keys: ClassVar[bool] = True
    _number: ClassVar[int] = 0
    key: ClientKey | None = None

    def setUp(self) -> None:
        self.server = shared_server(self.config, self.files)
        if self.keys:
            self.key = shared_client_key()
        ServerTestCase._number += 1
        self.user = f"user{self._number}"
        self.password = f"{self.user}-secret"
        self.server.add_user(self.user, public_keys=[self.key.public] if self.key else [])
        self.home = self.server.home(self.user)
        self.work = Path(tempfile.mkdtemp(prefix="sftpgo-test-work-"))
        self.addCleanup(shutil.rmtree, self.work, True)

    def make_file(self, name: str, size: int) -> Path:
        """A local file of random bytes."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        return path

    def make_tree(self, name: str = "tree") -> Path:
        """A local tree with odd names, empty and large files, and empty directories."""
        for relative, size in {
            "plain.txt": 100,
            "empty": 0,
            "one byte": 1,
            "sub/large.bin": 3 * 1024 * 1024 + 17,
            "sub/deep er/ünïcode-名前": 5000,
            "sub/-dash": 33,
            "quo'te\"s": 7,
        }.items():
            self.make_file(f"{name}/{relative}", size)
        (self.work / name / "hollow").mkdir()
        return self.work / name
