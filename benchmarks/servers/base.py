"""A server under measurement: what each has to tell and to do."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.workspace import BenchmarkError, Workspace

KEEPER: Final = [sys.executable, "-I", "-S", str(Path(__file__).resolve().parent.parent / "keeper.py")]
ROOT: Final = Path(__file__).resolve().parent.parent.parent
ALL_CIPHERS: Final = frozenset({"aes128-gcm", "aes256-ctr", "chacha20", "default"})
_PATIENCE: Final = 60.0


class Server:
    """One server in a process of its own, below a keeper.

    @cvar name: in tables and options.
    @cvar ciphers: those it can do, of L{ALL_CIPHERS}.
    @cvar cipher: the one for all cases that are not about ciphers.
    @cvar is_rival: only there to be compared with, and measured less often.
    @ivar home: what its user sees; the data is in it.
    @ivar pid: of the keeper.
    """

    name: str
    ciphers: frozenset[str] = ALL_CIPHERS
    cipher = "aes128-gcm"
    is_rival = True
    user = "bench"
    port = 0
    pid = 0

    def __init__(self, place: Workspace) -> None:
        self.place = place
        self.home = place.home(self.name)
        self.directory = place.directory / f"server-{self.name}"
        self.directory.mkdir()
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be run here; empty when it can."""
        raise NotImplementedError

    @classmethod
    def version(cls) -> str:
        """What it is, for the table's caption."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it; it listens when this returns."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it and all its processes."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()

    def restart(self) -> None:
        """Start afresh: without what it has kept on disk and in memory."""
        self.stop()
        shutil.rmtree(self.directory)
        self.directory.mkdir()
        self.start()

    def _run(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        """Start a command below a keeper, and wait until it greets at C{port}."""
        words = [*KEEPER, *(str(word) for word in command)]
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.pid = self._process.pid
        deadline = time.monotonic() + _PATIENCE
        while not self._greets():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                said = (self.directory / "output").read_text(errors="replace")[-1000:]
                raise BenchmarkError(f"{self.name} did not start: {said}")
            time.sleep(0.05)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def first_line(*command: str) -> str:
    """What a program says first, on either stream."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout.strip().splitlines() or ["?"])[0]
