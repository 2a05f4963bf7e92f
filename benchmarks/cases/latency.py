"""How long one user's small request takes while others transfer large files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from benchmarks.cases.base import Case, Metric
from benchmarks.clients import sftp
from benchmarks.machine import first_in_line
from benchmarks.rawsftp import RawSFTP
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

_OTHERS: Final = 8
_PAUSE: Final = 0.005
#: Seconds until the transfers have got going.
_WARM_UP: Final = 1.0


class Latency(Case):
    """A stat every few milliseconds beside eight clients that never end."""

    metrics = (Metric("p50", "p50 ms"), Metric("p99", "p99 ms"))
    is_heavy = True

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self.name = f"latency-{verb}"
        self.title = f"a stat while {_OTHERS} others {'download' if verb == 'get' else 'upload'}"

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        targets = [server.home / f"taken-{line}" for line in range(_OTHERS)]
        share = place.share(_OTHERS)
        get, put = "get big /dev/null\n", f"put {share} {{}}\n"
        with first_in_line():
            session = RawSFTP(place, server, _OTHERS)
        with session:
            scripts = [(get if self._verb == "get" else put.format(target.name)) * 200 for target in targets]
            others = [sftp(place, server, script, self.cipher, line) for line, script in enumerate(scripts)]
            try:
                time.sleep(_WARM_UP)
                with first_in_line():
                    taken = sorted(_probe(session) for _ in range(place.scale.probes))
                if not all(other.is_running for other in others):
                    raise BenchmarkError("a transfer ended before its time")
            finally:
                for other in others:
                    other.end()
                for target in targets:
                    target.unlink(missing_ok=True)
        return {"p50": taken[len(taken) // 2] * 1e3, "p99": taken[len(taken) * 99 // 100] * 1e3}


def _probe(session: RawSFTP) -> float:
    time.sleep(_PAUSE)
    start = time.perf_counter()
    session.stat(b"big")
    return time.perf_counter() - start
