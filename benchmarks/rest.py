"""What the REST API costs: listing, metrics, answers while others download, dumps.

    python -m benchmarks.rest [--users 1000000] [--seconds 10]

Starts the server as C{sftpgo serve} does, on SQLite, and prints a table.  CPU is that of the server's process, from
C{/proc}; the times of answers are seen from a client on the same machine.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Iterator

from benchmarks.machine import first_in_line
from benchmarks.provider_scale import rows
from tests.harness import Server, shared_client_key, ssh_options

_TICK = os.sysconf("SC_CLK_TCK")
_CLIENTS = 8
_FILE = 256 * 1024 * 1024


def main() -> None:
    """Measure and print."""
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--users", type=int, default=1_000_000)
    flags.add_argument("--seconds", type=float, default=10.0)
    options = flags.parse_args()
    server = Server().start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.http_port)
        key = shared_client_key()
        server.add_user("alice", public_keys=[key.public] if key else [])
        fill(server, 1000)
        show("GET /user?limit=500", *cost(server, connection, "/api/v1/user?limit=500", 40))
        show("GET /user?limit=1", *cost(server, connection, "/api/v1/user?limit=1", 200))
        show("GET /metrics", *cost(server, connection, "/metrics", 100))
        with downloads(server), first_in_line():
            plain = answers(connection, "/api/v1/version", options.seconds)
            times = answers(connection, "/api/v1/user?limit=1", options.seconds)
        beside("GET /version", plain)
        beside("GET /user?limit=1", times)
        fill(server, options.users)
        before, start = peak(server), time.perf_counter()
        ask(connection, "/api/v1/dumpdata?output_file=all.json")
        size = (server.directory / "backups" / "all.json").stat().st_size
        print(f"dump of {options.users} users, {size / 1e6:.0f} MB: {time.perf_counter() - start:.1f} s, "
              f"peak RSS {before} MiB before and {peak(server)} MiB after")  # fmt: skip
        start = time.perf_counter()
        load(connection, str(server.directory / "backups" / "all.json"))
        print(f"loading it again: {time.perf_counter() - start:.1f} s, peak RSS {peak(server)} MiB")
    finally:
        server.clean_up()


def ask(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise SystemExit(f"GET {path}: {answer.status} {content[:200]!r}")


def load(connection: http.client.HTTPConnection, path: str) -> None:
    """Have the server load a dump; the GET of the original takes 10 MiB at most."""
    connection.request(
        "POST", "/api/v1/loaddata", json.dumps({"input_file": path}), {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise SystemExit(f"POST /api/v1/loaddata: {answer.status} {content[:200]!r}")


def cost(server: Server, connection: http.client.HTTPConnection, path: str, calls: int) -> tuple[float, float]:
    """Milliseconds of the server's CPU for a call, and of waiting."""
    for _ in range(5):
        ask(connection, path)
    before, times = cpu(server), []
    for _ in range(calls):
        start = time.perf_counter()
        ask(connection, path)
        times.append((time.perf_counter() - start) * 1000)
    return (cpu(server) - before) * 1000 / calls, statistics.median(times)


def show(what: str, spent: float, waited: float) -> None:
    print(f"{what}: {spent:.2f} ms of CPU, answered in {waited:.2f} ms")


def beside(what: str, times: list[float]) -> None:
    print(f"{what} beside {_CLIENTS} downloads: p50 {quantile(times, 50):.1f} ms, p99 {quantile(times, 99):.1f} ms")


def answers(connection: http.client.HTTPConnection, path: str, seconds: float) -> list[float]:
    """Milliseconds of each of the answers, a request every 10 ms."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        ask(connection, path)
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.01)
    return times


def quantile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


@contextlib.contextmanager
def downloads(server: Server) -> Iterator[None]:
    """Clients that download all the time."""
    home = server.home("alice")
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "big", "wb") as file:
        file.truncate(_FILE)
    command = ["sftp", "-q", *ssh_options(server, shared_client_key()), "-P", str(server.sftp_port), "-b", "-"]
    script = "get big /dev/null\n" * 1000
    clients = []
    for _ in range(_CLIENTS):
        client = subprocess.Popen(
            [*command, "alice@127.0.0.1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert client.stdin is not None
        client.stdin.write(script)
        client.stdin.close()
        clients.append(client)
    try:
        time.sleep(3)
        if len([transfer for one in server.rest("GET", "/connection") for transfer in one["active_transfers"]]) < 2:
            raise SystemExit("the downloads do not run")
        yield
    finally:
        for client in clients:
            client.kill()
            client.wait()


def fill(server: Server, users: int) -> None:
    """Put so many users into the database, behind the server's back."""
    with contextlib.closing(sqlite3.connect(server.directory / "sftpgo.db", timeout=60)) as database, database:
        (known,) = database.execute("SELECT count(*) FROM users").fetchone()
        chosen = iter(rows(known, users))
        first = next(chosen, None)
        if first is None:
            return
        names = ", ".join(first)
        marks = ", ".join(f":{name}" for name in first)
        statement = f"INSERT INTO users ({names}) VALUES ({marks})"
        database.execute(statement, first)
        database.executemany(statement, chosen)


def cpu(server: Server) -> float:
    """Seconds of CPU that the server has used."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def peak(server: Server) -> int:
    """The most memory the server ever had, in MiB."""
    assert server.process is not None
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        (line,) = [line for line in file if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
