"""An SFTP client that costs next to nothing: requests made beforehand, through the pipes of C{ssh -s}."""

from __future__ import annotations

import struct
import subprocess
import threading
from types import TracebackType
from typing import IO, Final

from benchmarks.clients import PATIENCE, ssh_subsystem
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

_INIT: Final = struct.pack(">LBL", 5, 1, 3)
_STAT: Final = 17
_ATTRS: Final = 105
_length_and_type = struct.Struct(">LB").unpack_from


def stat_request(number: int, path: bytes) -> bytes:
    """A STAT of C{path}."""
    return struct.pack(">LBLL", 9 + len(path), _STAT, number, len(path)) + path


class RawSFTP:
    """One session; a context manager."""

    def __init__(self, place: Workspace, server: Server, line: int = 0) -> None:
        command = ssh_subsystem(place, server, server.cipher, line)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to: IO[bytes] = self._process.stdin
        self._from: IO[bytes] = self._process.stdout
        # A server that says nothing must not hold up the whole run.
        self._deadline = threading.Timer(PATIENCE, self._process.kill)
        self._deadline.daemon = True
        self._deadline.start()
        self._waiting = b""
        self._to.write(_INIT)
        self._answer()

    def __enter__(self) -> RawSFTP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        self._to.close()
        if kind is not None:
            self._process.kill()
        self._process.wait()
        self._from.close()

    def _answer(self) -> int:
        """The type of the next answer."""
        while len(self._waiting) < 5 or len(self._waiting) < 4 + _length_and_type(self._waiting)[0]:
            data = self._from.read(65536)
            if not data:
                raise BenchmarkError("the server ended the session")
            self._waiting += data
        length, kind = _length_and_type(self._waiting)
        self._waiting = self._waiting[4 + length :]
        return int(kind)

    def stat(self, path: bytes) -> None:
        """One request and its answer."""
        self._to.write(stat_request(1, path))
        if self._answer() != _ATTRS:
            raise BenchmarkError("a stat was refused")

    def pipeline(self, requests: bytes, count: int) -> None:
        """Send all requests as fast as they go, and take as many answers, each of ATTRS."""
        sender = threading.Thread(target=self._send, args=(requests,), daemon=True)
        sender.start()
        waiting = b""
        while count:
            data = self._from.read(262144)
            if not data:
                raise BenchmarkError("the server ended the session")
            waiting += data
            at = 0
            while len(waiting) - at >= 5:
                length, kind = _length_and_type(waiting, at)
                if len(waiting) - at < 4 + length:
                    break
                if kind != _ATTRS:
                    raise BenchmarkError("a stat was refused")
                at += 4 + length
                count -= 1
            waiting = waiting[at:]
        sender.join()

    def _send(self, requests: bytes) -> None:
        view = memoryview(requests)
        while view:
            view = view[self._to.write(view) :]
