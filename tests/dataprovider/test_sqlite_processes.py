"""Several processes on one file, and one that is killed."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

import sftpgo
from sftpgo.dataprovider.sqlite import SQLiteProvider
from tests.dataprovider.sqlitefiles import new_path, put, read, sqlite_provider
from tests.provider_case import a_user, at_once

WRITER = str(Path(__file__).with_name("writer.py"))


class Writer(ProcessProtocol):
    """C{writer.py} with its output; C{ended} fires with its exit status, or minus the signal that ended it."""

    def __init__(self, test: TestCase, *arguments: str, lines: int = 0) -> None:
        self.output = b""
        self.errors = b""
        self.ended: Deferred[int] = Deferred()
        self.enough: Deferred[None] = Deferred()
        self._lines = lines
        environment = {**os.environ, "PYTHONPATH": str(Path(sftpgo.__file__).parent.parent)}
        process: Any = reactor.spawnProcess(  # type: ignore[attr-defined]
            self, sys.executable, [sys.executable, WRITER, *arguments], environment
        )
        self.process = process
        test.addCleanup(self.kill)

    def kill(self) -> None:
        if self.process.pid is not None:
            self.process.signalProcess("KILL")

    def outReceived(self, data: bytes) -> None:
        self.output += data
        if self._lines and self.output.count(b"\n") >= self._lines and not self.enough.called:
            self.enough.callback(None)

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        value = reason.value
        self.ended.callback(-(value.signal or 0) if isinstance(value, ProcessTerminated) and value.signal else 0)
        if not self.enough.called:
            self.enough.errback(Failure(RuntimeError(self.errors.decode())))
            self.enough.addErrback(lambda failure: None if not self._lines else failure)


class Processes(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.path = new_path(self)

    def provider(self, path: str) -> SQLiteProvider:
        """One that is stopped whatever happens: its threads would keep the process."""
        provider = sqlite_provider(path)
        self.addCleanup(lambda: Deferred.fromCoroutine(provider.stop()))
        return provider

    async def test_increments_of_two_processes(self) -> None:
        provider = self.provider(self.path)
        await provider.start()
        await provider.add(a_user("a"))
        writers = [Writer(self, self.path, "increment", "200") for _ in range(2)]
        await at_once([provider.update_quota("a", 1, 3, 1) for _ in range(200)])
        for writer in writers:
            self.assertEqual((await writer.ended, writer.output, writer.errors), (0, b"", b""))
        self.assertEqual(await provider.used_quota("a"), (600, 1800))

    async def test_starting_at_once(self) -> None:
        """Whoever comes first makes the table, and nobody fails."""
        writers = [Writer(self, self.path, "increment", "0") for _ in range(3)]
        providers = [self.provider(self.path) for _ in range(4)]
        await at_once([provider.start() for provider in providers])
        await at_once([provider.add(a_user(f"u{index}")) for index, provider in enumerate(providers)])
        for writer in writers:
            self.assertEqual((await writer.ended, writer.output, writer.errors), (0, b"", b""))
        self.assertEqual(len(await providers[0].users(10, 0)), 4)

    async def test_killed_while_writing(self) -> None:
        provider = self.provider(self.path)
        await provider.start()
        await provider.add(a_user("a"))
        await provider.stop()
        stored: list[str] = []
        for round_ in range(3):
            path = f"{self.path}.{round_}"
            put(path, read(self.path))
            writer = Writer(self, path, "forever", lines=20 + 13 * round_)
            await writer.enough
            writer.kill()
            self.assertEqual(await writer.ended, -9)
            told = writer.output.decode().rpartition("\n")[0].split("\n")
            self.assertTrue(os.access(path + "-wal", os.F_OK), "it was killed with its log open")
            provider = self.provider(path)
            await provider.start()
            stored = [user.username for user in await provider.dump("a")]
            files, size = await provider.used_quota("a")
            await provider.add(a_user("after"))
            await provider.stop()
            self.assertEqual(stored[: len(told)], told)
            self.assertLessEqual(len(stored) - len(told), 1 + 13)
            self.assertEqual(size, 3 * files)
            self.assertIn(files, (len(stored), len(stored) - 1))
            connection = sqlite3.connect(path)
            self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            connection.close()
