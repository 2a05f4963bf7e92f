"""What a service manager of systemd's kind and the server tell each other: sd_notify(3) and sd_listen_fds(3).

Everything is optional: without the variables of the environment nothing is sent, and no socket is handed over.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs
from twisted.internet.task import LoopingCall

from sftpgo.config.model import Config
from sftpgo.errors import StartupError
from sftpgo.listening import Where, http_bindings, sftp_bindings, written
from sftpgo.log import Log

_FIRST_DESCRIPTOR: Final = 3

_LOOK: Final = 10.0
"""Seconds between two looks at what the status line tells, at most."""

_START_MARGIN: Final = 60.0
_STOP_MARGIN: Final = 15.0
"""Seconds beyond what was configured, until a start or a stop is taken to hang."""


@attrs.frozen(eq=False)
class Handed:
    """A listening socket that was opened for us.

    @ivar name: C{FileDescriptorName=} of its unit.
    """

    name: str
    socket: socket.socket

    @property
    def where(self) -> Where:
        """What it listens on."""
        host, port = self.socket.getsockname()[:2]
        return host, port


class Supervisor:
    """The service manager.

    @param address: of its socket: a path, or C{@} and an abstract name; empty: nobody listens.
    @param watchdog: seconds without a sign of life after which it restarts us; 0: it does not.
    @ivar sockets: what it opened for us.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0, sockets: Sequence[Handed] = ()) -> None:
        self.sockets = tuple(sockets)
        self._address = address
        self._watchdog = watchdog
        self._log = Log("service")
        self._loop: LoopingCall | None = None
        self._status = ""
        self._failed = False

    @classmethod
    def take(cls, environ: MutableMapping[str, str], before: Mapping[str, str] = MappingProxyType({})) -> Supervisor:
        """What the environment says; it is taken out of there, for it concerns none of our children.

        @param before: what it was when the process began: see L{started_with}.
        @raise StartupError: when a socket was handed over that cannot be used.
        """
        pid = os.getpid()
        given = {name: environ.pop(name, "") or before.get(name, "") for name in _VARIABLES}
        address = given["NOTIFY_SOCKET"] if given["NOTIFY_SOCKET"].startswith(("/", "@")) else ""
        watchdog = 0.0
        if given["WATCHDOG_USEC"].isdecimal() and given["WATCHDOG_PID"] in ("", str(pid)):
            watchdog = int(given["WATCHDOG_USEC"]) / 1e6
        names = given["LISTEN_FDNAMES"].split(":")
        count = int(given["LISTEN_FDS"]) if given["LISTEN_FDS"].isdecimal() else 0
        if given["LISTEN_PID"] != str(pid):
            count = 0  # they were meant for the process that started us
        return cls(
            address,
            watchdog,
            [_adopted(_FIRST_DESCRIPTOR + index, names[index] if index < len(names) else "") for index in range(count)],
        )

    def share(self, config: Config) -> tuple[list[Handed], list[Handed]]:
        """Which sockets are the SSH server's and which the HTTP server's: by their names, then by their ports.

        @raise StartupError: for one that could be either's.
        """
        ports = {
            "sftp": {binding.port for binding in sftp_bindings(config.sftpd)},
            "http": {binding.port for binding in http_bindings(config.httpd)},
        }
        shares: dict[str, list[Handed]] = {"sftp": [], "http": []}
        for each in self.sockets:
            fitting = [kind for kind in shares if each.name == kind]
            fitting = fitting or [kind for kind in shares if each.where[1] in ports[kind]]
            if not fitting and len(self.sockets) == 1:
                fitting = ["sftp"]
            if len(fitting) != 1:
                raise StartupError(
                    f"the socket {each.name!r} of the service manager, {written(each.where)}, has the port of neither "
                    "server: name it sftp or http (FileDescriptorName=)"
                )
            shares[fitting[0]].append(each)
        return shares["sftp"], shares["http"]

    # What we tell.

    def starting(self, wait: float) -> None:
        """We have begun, and may have to wait for a database."""
        if wait:
            self._send(f"EXTEND_TIMEOUT_USEC={_microseconds(wait + _START_MARGIN)}")

    def ready(self) -> None:
        """We are up, or have done what we were told to do."""
        self._send("READY=1")

    def reloading(self) -> None:
        """We read our configuration again, until L{ready}."""
        # By the clock of CLOCK_MONOTONIC, so that the manager can tell this from an older notice.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float, status: str) -> None:
        """We end, in little more than so many seconds at most."""
        self._status = status
        self._send(f"STOPPING=1\nSTATUS={status}\nEXTEND_TIMEOUT_USEC={_microseconds(seconds + _STOP_MARGIN)}")

    def watch(self, reactor: Any, status: Callable[[], str]) -> None:
        """From now on give signs of life from the reactor, so that a blocked one gives none; and tell what is new.

        @param status: what to tell people, in a line.
        """
        if not self._address or self._loop is not None:
            return
        self._loop = LoopingCall(self._tick, status)
        self._loop.clock = reactor
        every = min(_LOOK, self._watchdog / 2) if self._watchdog else _LOOK
        self._loop.start(every).addErrback(
            lambda failure: self._log.failure("the service manager is no longer told that we live", failure)
        )

    def stop(self) -> None:
        """Tell nothing more."""
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def _tick(self, status: Callable[[], str]) -> None:
        if self._watchdog:
            self._send("WATCHDOG=1")
        now = " ".join(status().split())
        if now != self._status:
            self._status = now
            self._send(f"STATUS={now}")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), address)
        except OSError as error:
            if not self._failed:
                self._log.warn(f"the service manager cannot be told at {self._address!r}: {error.strerror}")
            self._failed = True
        else:
            self._failed = False


_VARIABLES: Final = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)


def started_with() -> dict[str, str]:
    """The variables that the process was started with, where the system tells.

    Twisted takes C{LISTEN_PID} and C{LISTEN_FDS} out of C{os.environ} when it is imported.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            lines = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _adopted(descriptor: int, name: str) -> Handed:
    """One of the descriptors as what it is."""
    label = f"descriptor {descriptor} ({name or 'without a name'}) of the service manager"
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StartupError(f"{label} is no socket: {error.strerror}") from error
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        raise StartupError(f"{label} is no TCP socket")
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise StartupError(f"{label} does not listen: it needs Accept=no")
    found.set_inheritable(False)
    found.setblocking(False)
    return Handed(name, found)
