"""A case: one kind of work, measured on one server at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from benchmarks.servers.base import Server
from benchmarks.workspace import MIB, Workspace

GIB: Final = 1024 * MIB


@frozen
class Metric:
    """One figure of a case.

    @ivar name: its key in the results.
    @ivar title: what the table calls it.
    @ivar digits: after the point.
    @ivar more_is_better: as with MiB/s.
    """

    name: str
    title: str
    digits: int = 2
    more_is_better: bool = False


CPU_PER_GIB: Final = Metric("cpu_per_gib", "server CPU s/GiB")
MIB_PER_SECOND: Final = Metric("mib_per_second", "MiB/s", 0, more_is_better=True)


class Case:
    """One kind of work.

    @cvar name: in options and results.
    @cvar title: what the table calls it.
    @cvar metrics: what L{run} returns.
    @cvar is_heavy: it moves so much data that the cipher matters: only for servers that have C{cipher}.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    cipher: str = "aes128-gcm"
    is_heavy = False

    def suits(self, server: type[Server]) -> bool:
        """Whether the server can do it under the same terms."""
        return not self.is_heavy or self.cipher in server.ciphers

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """Do it once.

        @return: the value of each metric.
        @raise BenchmarkError: when a client fails.
        """
        raise NotImplementedError


def rates(cpu: float, wall: float, size: int) -> dict[str, float]:
    """The two figures of a transfer of so many bytes."""
    return {CPU_PER_GIB.name: cpu * GIB / size, MIB_PER_SECOND.name: size / MIB / wall}
