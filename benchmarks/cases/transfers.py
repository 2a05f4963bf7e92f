"""Large files, one client or many."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.cases.base import CPU_PER_GIB, MIB_PER_SECOND, Case, rates
from benchmarks.clients import run_together, sftp
from benchmarks.processes import Meter
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

_TITLES = {
    "aes128-gcm": "aes128-gcm",
    "aes256-ctr": "aes256-ctr + hmac-sha2-256",
    "chacha20": "chacha20-poly1305",
    "default": "the client's default cipher",
}
_NAMES = {"aes128-gcm": "gcm", "aes256-ctr": "ctr", "chacha20": "chacha", "default": "default"}


class Get(Case):
    """One download, into nothing."""

    metrics = (CPU_PER_GIB, MIB_PER_SECOND)
    is_heavy = True

    def __init__(self, cipher: str) -> None:
        self.cipher = cipher
        self.name = f"{_NAMES[cipher]}-get"
        self.title = f"get, {_TITLES[cipher]}"

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        with Meter(server.pid) as meter:
            sftp(place, server, "get big /dev/null\n", self.cipher).wait()
        return rates(meter.cpu, meter.wall, place.scale.size)


class Put(Case):
    """One upload, into a new file."""

    metrics = (CPU_PER_GIB, MIB_PER_SECOND)
    is_heavy = True

    def __init__(self, cipher: str) -> None:
        self.cipher = cipher
        self.name = f"{_NAMES[cipher]}-put"
        self.title = f"put, {_TITLES[cipher]}"

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        arrived = server.home / "arrived"
        place.back_memory(place.scale.size * 9 // 8)
        try:
            with Meter(server.pid) as meter:
                sftp(place, server, f"put {place.big} arrived\n", self.cipher).wait()
            if arrived.stat().st_size != place.scale.size:
                raise BenchmarkError(f"{server.name} lost a part of an upload")
        finally:
            arrived.unlink(missing_ok=True)
        return rates(meter.cpu, meter.wall, place.scale.size)


class Crowd(Case):
    """Many downloads at once, each of an eighth of the large file or more, with its own login."""

    metrics = (CPU_PER_GIB, MIB_PER_SECOND)
    is_heavy = True

    def __init__(self, clients: int) -> None:
        self._clients = clients
        self.name = f"clients-{clients}"
        self.title = f"{clients} client{'s' if clients > 1 else ''} get at once"

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        share = place.share(self._clients)
        size = share.stat().st_size
        with Meter(server.pid) as meter:
            script = f"get {share.name} /dev/null\n"
            run_together([sftp(place, server, script, self.cipher, line) for line in range(self._clients)])
        return rates(meter.cpu, meter.wall, size * self._clients)
