"""What a service manager and the server tell each other."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.model import HTTPD, SFTPD, Config
from sftpgo.errors import StartupError
from sftpgo.systemd import Handed, Supervisor


class Manager:
    """A notify socket, as systemd has it."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[str]:
        """All messages so far."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return found


class NotifyTests(SynchronousTestCase):
    def manager(self, abstract: bool = False) -> tuple[Manager, str]:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        address = f"@{directory.name}/notify" if abstract else f"{directory.name}/notify"
        manager = Manager(address)
        self.addCleanup(manager.socket.close)
        return manager, address

    def test_the_way_of_a_service(self) -> None:
        for abstract in (False, True):
            manager, address = self.manager(abstract)
            environ = {"NOTIFY_SOCKET": address, "OTHER": "x"}
            supervisor = Supervisor.take(environ)
            self.assertEqual(environ, {"OTHER": "x"})
            supervisor.starting(0.0)
            supervisor.starting(300.0)
            supervisor.ready()
            supervisor.reloading()
            supervisor.stopping(30.0, "Stopping")
            waits, ready, reloading, stopping = manager.heard()
            self.assertEqual(waits, "EXTEND_TIMEOUT_USEC=360000000")
            self.assertEqual(ready, "READY=1")
            self.assertRegex(reloading, r"\ARELOADING=1\nMONOTONIC_USEC=[0-9]+\Z")
            self.assertEqual(stopping, "STOPPING=1\nSTATUS=Stopping\nEXTEND_TIMEOUT_USEC=45000000")

    def test_signs_of_life_come_from_the_reactor(self) -> None:
        manager, address = self.manager()
        supervisor = Supervisor.take(
            {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": str(os.getpid())}
        )
        clock, status = Clock(), ["idle"]
        supervisor.watch(clock, lambda: status[0])
        supervisor.watch(clock, lambda: self.fail("twice"))
        self.assertEqual(manager.heard(), ["WATCHDOG=1", "STATUS=idle"])
        clock.advance(1.9)
        self.assertEqual(manager.heard(), [])
        status[0] = "busy\nREADY=0"
        clock.advance(0.1)
        self.assertEqual(manager.heard(), ["WATCHDOG=1", "STATUS=busy READY=0"])
        clock.advance(2)
        self.assertEqual(manager.heard(), ["WATCHDOG=1"])
        supervisor.stop()
        clock.advance(10)
        self.assertEqual((manager.heard(), clock.getDelayedCalls()), ([], []))

    def test_status_alone(self) -> None:
        manager, address = self.manager()
        for environ in (
            {"NOTIFY_SOCKET": address},
            {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
            {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "soon"},
        ):
            supervisor, clock = Supervisor.take(environ), Clock()
            supervisor.watch(clock, lambda: "idle")
            clock.pump([5] * 4)
            self.assertEqual(manager.heard(), ["STATUS=idle"])
            supervisor.stop()

    def test_nobody_listens(self) -> None:
        for environ in ({}, {"NOTIFY_SOCKET": "nonsense"}, {"NOTIFY_SOCKET": "/nowhere/at/all"}):
            supervisor = Supervisor.take(environ)
            supervisor.ready()
            supervisor.watch(Clock(), lambda: "idle")
            supervisor.stop()


class SocketTests(SynchronousTestCase):
    def listening(self, name: str) -> Handed:
        found = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(found.close)
        return Handed(name, found)

    def share(self, config: Config, *sockets: Handed) -> tuple[list[str], list[str]]:
        sftp, http = Supervisor(sockets=sockets).share(config)
        return [each.name for each in sftp], [each.name for each in http]

    def test_by_name(self) -> None:
        sockets = [self.listening(name) for name in ("sftp", "http", "sftp")]
        self.assertEqual(self.share(Config(), *sockets), (["sftp", "sftp"], ["http"]))

    def test_by_port(self) -> None:
        one, other = self.listening("a.socket"), self.listening("a.socket")
        config = Config(sftpd=SFTPD(bind_port=other.where[1]), httpd=HTTPD(bind_port=one.where[1]))
        sftp, http = Supervisor(sockets=[one, other]).share(config)
        self.assertEqual((sftp, http), ([other], [one]))

    def test_the_only_one(self) -> None:
        self.assertEqual(self.share(Config(), self.listening("sftpgo.socket")), (["sftpgo.socket"], []))

    def test_neither(self) -> None:
        sockets = [self.listening("sftp"), self.listening("what")]
        error = str(self.assertRaises(StartupError, Supervisor(sockets=sockets).share, Config()))
        self.assertIn("'what'", error)
        self.assertIn("FileDescriptorName=", error)

    def test_none(self) -> None:
        self.assertEqual(self.share(Config()), ([], []))

    def test_meant_for_another_process(self) -> None:
        environ = {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid() + 1), "LISTEN_FDNAMES": "sftp:http"}
        self.assertEqual(Supervisor.take(environ).sockets, ())
        self.assertEqual(environ, {})

    def test_variables_that_are_none(self) -> None:
        for count in ("", "x", "-1", "0"):
            self.assertEqual(Supervisor.take({"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())}).sockets, ())
