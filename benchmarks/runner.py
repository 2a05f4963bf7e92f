"""The order of a run: all servers up, and each round of a case one after the other on each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from attrs import frozen

from benchmarks.cases.base import Case
from benchmarks.clients import sftp
from benchmarks.results import Results
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace


@frozen
class Plan:
    """What to do.

    @ivar runs: rounds for this server and OpenSSH.
    @ivar rival_runs: rounds for the others.
    """

    cases: Sequence[Case]
    servers: Sequence[type[Server]]
    runs: int
    rival_runs: int


def measure(plan: Plan, place: Workspace, results: Results, keep: Callable[[], None]) -> None:
    """Carry it out.  A server that fails in a case is left out of the rest of that case.

    @param keep: called after each case, since a run is long.
    """
    with ExitStack() as stack:
        running = [_started(kind, place, results, stack) for kind in plan.servers]
        servers = [server for server in running if server is not None]
        for case in plan.cases:
            start = time.monotonic()
            _measure_case(plan, case, [server for server in servers if case.suits(type(server))], place, results)
            keep()
            print(f"{case.name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _started(kind: type[Server], place: Workspace, results: Results, stack: ExitStack) -> Server | None:
    """The server, running and warm: what it loads at a first session is loaded."""
    server = kind(place)
    stack.callback(server.stop)
    try:
        server.start()
        sftp(place, server, "get small/file-00000 /dev/null\nls -1 small\n", server.cipher).wait()
    except (BenchmarkError, OSError) as error:
        results.failures.append(str(error))
        print(error, file=sys.stderr)
        return None
    return server


def _measure_case(plan: Plan, case: Case, servers: Sequence[Server], place: Workspace, results: Results) -> None:
    failed: set[str] = set()
    for number in range(plan.runs):
        for server in servers:
            if server.name in failed or (server.is_rival and number >= plan.rival_runs):
                continue
            try:
                figures = dict(case.run(place, server))
            except (BenchmarkError, OSError) as error:
                failed.add(server.name)
                results.failures.append(f"{case.name} on {server.name}: {error}")
                print(f"{case.name} on {server.name}: {error}", file=sys.stderr)
                results.add(case.name, server.name, None)
            else:
                results.add(case.name, server.name, figures)
