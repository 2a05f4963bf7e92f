"""The service as a program holds it: start, another configuration, stop."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import eventAsText, globalLogPublisher
from twisted.trial.unittest import TestCase

from sftpgo.config.inline import configured
from sftpgo.errors import SFTPGoError
from sftpgo.service import build
from tests.harness import PATIENCE, host_keys_into


class ServiceTests(TestCase):
    timeout = 300

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.actions: dict[str, Any] = {}
        self.driver = "memory"
        host_keys_into(self.directory)
        # The server sets it for the whole process, which is the tests' here.
        self.addCleanup(os.umask, os.umask(0o022))

    def configured(self, **sftpd: Any) -> Any:
        return configured(
            str(self.directory),
            sftpd={"bind_port": 0, "bind_address": ["127.0.0.1", "127.0.0.2"], "grace_time": 3600, **sftpd},
            data_provider={
                "driver": self.driver,
                "name": "users.db" if self.driver == "sqlite" else "",
                "actions": self.actions,
            },
            httpd={"bind_port": 0},
        )

    def handlers(self) -> list[Any]:
        """What happens on the signals that the server knows."""
        return [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)]

    def stop(self, server: Any) -> Any:
        """However the test ends."""
        return server.stopService() if server.running else None

    async def banner(self, where: tuple[str, int]) -> bytes:
        """What the server calls itself."""

        def work() -> bytes:
            with socket.create_connection(where, PATIENCE) as connection, connection.makefile("rb") as file:
                return file.readline().strip()

        line: bytes = await deferToThread(work)
        return line

    async def test_another_configuration(self) -> None:
        server = build(self.configured(banner="One"), reactor)
        failure = self.failureResultOf(server.reload(self.configured()), SFTPGoError)
        self.assertIn("not running", failure.getErrorMessage())
        server.startService()
        self.addCleanup(self.stop, server)
        addresses = await server.started
        handlers = self.handlers()
        self.assertEqual([host for host, _ in addresses.sftp_all], ["127.0.0.1", "127.0.0.2"])
        self.assertEqual((addresses.http, addresses.sftp), (None, addresses.sftp_all[0]))
        for where in addresses.sftp_all:
            self.assertEqual(await self.banner(where), b"SSH-2.0-One")
        await server.reload(self.configured(banner="Two", bind_port=1))
        for where in addresses.sftp_all:
            self.assertEqual(await self.banner(where), b"SSH-2.0-Two")
        # What cannot change is as it was, and says so once more the next time.
        self.assertEqual(server.loaded.config.sftpd.bind_port, 0)
        try:
            await server.reload(self.configured(banner="Three", keys=[{"private_key": "missing"}]))
        except SFTPGoError as error:
            self.assertIn("missing", str(error))
        else:
            self.fail("a key that is not there was taken")
        self.assertEqual(await self.banner(addresses.sftp), b"SSH-2.0-Two")
        self.assertEqual(server.loaded.config.sftpd.banner, "Two")
        stopped = server.stopService()
        server.hurry()
        # The program's signals are the program's.
        self.assertEqual(self.handlers(), handlers)
        await stopped
        with self.assertRaises(ConnectionRefusedError):
            await self.banner(addresses.sftp)

    async def test_hooks_that_cannot_be_used(self) -> None:
        """A reload says so, as the start does."""
        texts: list[str] = []
        observer = lambda event: texts.append(eventAsText(event))  # noqa: E731 -- the same object to remove it
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        server = build(self.configured(), reactor)
        server.startService()
        self.addCleanup(self.stop, server)
        await server.started
        self.actions = {"execute_on": ["add"], "command": "/nowhere/hook"}
        await server.reload(self.configured())
        self.assertIn("/nowhere/hook", "".join(texts))
        server.hurry()
        await server.stopService()

    async def test_stopped_while_it_starts(self) -> None:
        """Whatever it was at: nothing goes on afterwards, and no thread is left that would keep the process."""
        self.driver = "sqlite"
        for turns in (0, 1, 2, 5, 10, 20, 50):
            server = build(self.configured(), reactor)
            server.startService()
            for _ in range(turns):
                await deferLater(reactor, 0.002, lambda: None)
            await server.stopService()
            self.assertTrue(server.started.called, turns)
            server.started.addErrback(lambda _: None)
            threads = [thread.name for thread in threading.enumerate() if "users-" in thread.name]
            self.assertEqual(threads, [], turns)
