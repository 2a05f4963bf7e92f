"""Many small things: files, names, attributes, logins."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from benchmarks.cases.base import Case, Metric
from benchmarks.clients import sftp
from benchmarks.processes import Meter
from benchmarks.rawsftp import RawSFTP, stat_request
from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

_LISTINGS: Final = 5
_LINES: Final = 4


class SmallFiles(Case):
    """Files of 4 KiB, one after the other, each with its open and close."""

    metrics = (Metric("cpu_per_file", "server CPU µs/file", 0), Metric("per_second", "files/s", 0, more_is_better=True))

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._round = 0
        self.name = f"small-{verb}"
        self.title = f"{verb} of files of 4 KiB"

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        # A new name each time: a server that caches names is not told when we remove them.
        self._round += 1
        name = f"arrived-{self._round}"
        scratch = place.directory / "scratch"
        there, here = server.home / name, scratch / name
        # sftp asks where its target is, and not every server answers that about what is not there.
        put = f"mkdir {name}\nmkdir {name}/{place.small.name}\nput -R {place.small} {name}\n"
        script = put if self._verb == "put" else f"get -R small {here}\n"
        scratch.mkdir()
        try:
            with Meter(server.pid) as meter:
                sftp(place, server, script, server.cipher).wait()
            arrived = sum(1 for path in (there, here) for found in path.rglob("file-*") if found.stat().st_size == 4096)
        finally:
            shutil.rmtree(scratch)
            shutil.rmtree(there, ignore_errors=True)
        if arrived != place.scale.files:
            raise BenchmarkError(f"{server.name}: {arrived} small files of {place.scale.files} arrived")
        return {"cpu_per_file": meter.cpu / arrived * 1e6, "per_second": arrived / meter.wall}


class Listing(Case):
    """A large directory, listed some times in one session."""

    name = "listing"
    title = "listing of a large directory"
    metrics = (Metric("cpu_per_listing", "server CPU ms/listing", 0), Metric("seconds", "ms/listing", 0))

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        with Meter(server.pid) as meter:
            sftp(place, server, "ls -1f entries\n" * _LISTINGS, server.cipher).wait()
        return {"cpu_per_listing": meter.cpu / _LISTINGS * 1e3, "seconds": meter.wall / _LISTINGS * 1e3}


class Stats(Case):
    """STAT requests, all sent before the first answer is awaited; the login does not count."""

    name = "stats"
    title = "pipelined stats"
    metrics = (Metric("cpu_per_stat", "server CPU µs/stat", 1), Metric("per_second", "stats/s", 0, more_is_better=True))

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""
        count = place.scale.stats
        requests = b"".join(stat_request(number, b"small/file-00000") for number in range(count))
        with RawSFTP(place, server) as session:
            session.stat(b"big")
            with Meter(server.pid) as meter:
                session.pipeline(requests, count)
        return {"cpu_per_stat": meter.cpu / count * 1e6, "per_second": count / meter.wall}


class Logins(Case):
    """Logins by key that open SFTP and leave, four at a time."""

    name = "logins"
    title = "logins by key"
    metrics = (
        Metric("cpu_per_login", "server CPU ms/login", 1),
        Metric("per_second", "logins/s", 0, more_is_better=True),
    )

    def run(self, place: Workspace, server: Server) -> Mapping[str, float]:
        """See L{Case.run}."""

        def log_in(line: int) -> None:
            for _ in range(place.scale.logins):
                with RawSFTP(place, server, line):
                    pass

        with Meter(server.pid) as meter, ThreadPoolExecutor(_LINES) as lines:
            list(lines.map(log_in, range(_LINES)))
        count = place.scale.logins * _LINES
        return {"cpu_per_login": meter.cpu / count * 1e3, "per_second": count / meter.wall}
