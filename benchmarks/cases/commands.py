"""Large files by commands: SCP's old protocol, and rsync."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping

from benchmarks.cases.base import CPU_PER_GIB, MIB_PER_SECOND, Case, rates
from benchmarks.clients import Client, options
from benchmarks.processes import Meter
from benchmarks.servers.base import Server
from benchmarks.servers.openssh import OpenSSH
from benchmarks.servers.ours import Ours
from benchmarks.workspace import BenchmarkError, Workspace


class Command(Case):
    """One file by a command, into nothing or into a new file."""

    metrics = (CPU_PER_GIB, MIB_PER_SECOND)

    def __init__(self, program: str, direction: str) -> None:
        self._program = program
        self._direction = direction
        self.name = f"{program}-{direction}"
        self.title = f"{direction}, {'scp -O' if program == 'scp' else program}"

    def suits(self, server: type[Server]) -> bool:
        """Only those that run commands, and where the client has the program."""
        return server in (OpenSSH, Ours) and shutil.which(self._program) is not None

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        # Our user has directories of other permissions beside it, which rsync cannot be let into.
        box = server.home / "box"
        box.mkdir(exist_ok=True)
        if not (box / "big").exists():
            os.link(server.home / "big", box / "big")
        # For sshd a user's home is not the benchmark's.
        base = f"{server.user}@127.0.0.1:" + (f"{box}/" if isinstance(server, OpenSSH) else "box/")
        arrived = place.directory / "arrived" if self._direction == "get" else box / "arrived"
        words = [base + "big", str(arrived)] if self._direction == "get" else [str(place.big), base + "arrived"]
        try:
            with Meter(server.pid) as meter:
                Client(self._command(place, server, words)).wait()
            if arrived.stat().st_size != place.scale.size:
                raise BenchmarkError(f"{server.name} lost a part of a file")
        finally:
            arrived.unlink(missing_ok=True)
        return rates(meter.cpu, meter.wall, place.scale.size)

    def _command(self, place: Workspace, server: Server, words: list[str]) -> list[str]:
        ssh = options(place, self.cipher)
        if self._program == "scp":
            return ["scp", "-O", "-q", *ssh, "-P", str(server.port), *words]
        return ["rsync", "--whole-file", "-e", shlex.join(["ssh", *ssh, "-p", str(server.port)]), *words]
