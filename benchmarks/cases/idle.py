"""Memory of connections that are logged in and do nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Mapping
from typing import Any, Final

from benchmarks.cases.base import Case, Metric
from benchmarks.clients import CIPHERS
from benchmarks.processes import memory_kib
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

#: Logins at once: no more than a careful server lets in from one address.
_AT_ONCE: Final = 8
#: Connections from one address.
_FROM_ONE: Final = 50
_QUIET: Final = 1.5


class Idle(Case):
    """SFTP sessions that have asked for one stat, and wait."""

    name = "idle"
    title = "idle connections"
    metrics = (Metric("kib", "KiB/connection", 0),)

    def suits(self, server: type[Server]) -> bool:
        """The client here is asyncssh, which opens many at little cost."""
        return importlib.util.find_spec("asyncssh") is not None

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        # A heap with holes from earlier work would hide what is measured.
        server.restart()
        return {"kib": asyncio.run(_measure(place, server))}


async def _measure(place: Workspace, server: Server) -> float:
    # What the first connections make the server load and pool is not what one more costs.
    await _close([await _open(place, server, 0) for _ in range(_AT_ONCE)])
    await asyncio.sleep(_QUIET)
    before = memory_kib(server.pid)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> Any:
        async with gate:
            return await _open(place, server, number // _FROM_ONE)

    opened = await asyncio.gather(*map(one, range(place.scale.connections)), return_exceptions=True)
    connections = [each for each in opened if not isinstance(each, BaseException)]
    try:
        await asyncio.sleep(_QUIET)
        grown = memory_kib(server.pid) - before
    finally:
        await _close(connections)
    if len(connections) < len(opened):
        failure = next(each for each in opened if isinstance(each, BaseException))
        raise BenchmarkError(f"{server.name} let in {len(connections)} of {len(opened)} connections: {failure!r}")
    return grown / len(connections)


async def _open(place: Workspace, server: Server, line: int) -> Any:
    import asyncssh  # noqa: PLC0415 - not everybody has it

    connection = await asyncssh.connect(
        "127.0.0.1",
        server.port,
        local_addr=(f"127.0.2.{line + 1}", 0),
        username=server.user,
        client_keys=[str(place.key)],
        known_hosts=None,
        config=None,
        agent_path=None,
        kex_algs=["curve25519-sha256"],
        encryption_algs=[CIPHERS[server.cipher][0].partition("=")[2]],
        login_timeout=120,
    )
    session = await connection.start_sftp_client()
    await session.stat("big")
    return connection


async def _close(connections: list[Any]) -> None:
    deadline = time.monotonic() + 30
    for connection in connections:
        connection.close()
    for connection in connections:
        await asyncio.wait_for(connection.wait_closed(), max(0.1, deadline - time.monotonic()))
