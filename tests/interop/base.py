"""What every test with a foreign client starts from: one server for the class, one account a test."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import ClientKey, Server


class ServerTestCase(SynchronousTestCase):
    """Starts the server once for the class; C{self.user} is a fresh account with a home of its own.

    The account may log in with C{self.password} and, where C{keys} is set, with C{self.key}.
    """

    config: ClassVar[dict[str, dict[str, object]]] = {}
    server: ClassVar[Server]
    key: ClassVar[ClientKey | None] = None
    keys: ClassVar[bool] = True
    _number: ClassVar[int] = 0
    _keys_directory: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls._keys_directory = tempfile.mkdtemp(prefix="sftpgo-test-keys-")
        cls.server = Server(cls.config)
        try:
            if cls.keys and shutil.which("ssh-keygen"):
                cls.key = ClientKey(Path(cls._keys_directory))
            cls.server.start()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.server.clean_up()
        shutil.rmtree(cls._keys_directory, ignore_errors=True)

    def setUp(self) -> None:
        type(self)._number += 1
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
