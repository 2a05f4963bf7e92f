"""How the data providers grow: the same questions to a store of 1,000 users and of 1,000,000.

    python -m benchmarks.provider_scale [--users 1000000] [sqlite postgresql]

Prints one table for each store: milliseconds a call through the provider itself, the lowest of ten medians of 20 calls,
and how many times as long the last column took as the first.  PostgreSQL is started privately, with its files in a
temporary folder.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from typing import Any

import attrs
from twisted.internet import reactor, task
from twisted.internet.defer import ensureDeferred

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.initialise import initialise
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.sql import inserted
from sftpgo.domain.user import User

CALLS = 20
ROUNDS = 10
PAGE = 100
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGCAv6TzdDBqTCbcKhO3bbYYxIVQ4hWHwvtbWe4QXmDx somebody@somewhere"
HASH = "$argon2id$v=19$m=65536,t=3,p=2$" + "c" * 22 + "$" + "h" * 43
QUESTIONS = ("lookup at login", "search by name", "first page", "page in the middle", "walk: next page", "quota added")


def name(number: int) -> str:
    """Names in no order of their numbers, as people's are."""
    return f"user{number * 2654435761 % 2**32:010}"


def rows(start: int, end: int) -> Iterator[dict[str, object]]:
    """Users as the table has them."""
    for number in range(start, end):
        user = User(
            status=1,
            username=name(number),
            password=HASH,
            public_keys=(KEY,),
            home_dir=f"/srv/sftpgo/homes/{name(number)}",
            permissions={"/": ("*",)},
            quota_size=2**30,
        )
        yield inserted(user)


@attrs.frozen
class Store:
    """One kind of store: its settings and how to fill it at once."""

    settings: DataProvider
    fill: Callable[[int, int], None]
    describe: str


def sqlite_store(folder: str) -> Store:
    """A file."""
    path = os.path.join(folder, "users.db")
    settings = DataProvider(driver="sqlite", name=path)
    initialise(settings, folder)

    def fill(start: int, end: int) -> None:
        with sqlite3.connect(path) as connection:
            columns = list(next(rows(0, 1)))
            marks = ", ".join(f":{column}" for column in columns)
            connection.executemany(f"INSERT INTO users ({', '.join(columns)}) VALUES ({marks})", rows(start, end))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    return Store(settings, fill, f"SQLite {sqlite3.sqlite_version}")


def postgresql_store(_folder: str) -> Store:
    """A server of our own."""
    from tests import databases  # noqa: PLC0415 -- only where it is measured

    server = databases.postgresql()
    settings = DataProvider(driver="postgresql", connection_string=server.dsn())
    initialise(settings, ".")

    def fill(start: int, end: int) -> None:
        columns = list(next(rows(0, 1)))
        with closing(server.connect()) as connection, connection.cursor() as cursor:
            for first in range(start, end, 50_000):
                text = io.StringIO()
                for row in rows(first, min(end, first + 50_000)):
                    text.write("\t".join(str(value).replace("\\", "\\\\") for value in row.values()) + "\n")
                text.seek(0)
                cursor.copy_from(text, "users", columns=columns)
            cursor.execute("VACUUM ANALYZE users")

    (version,) = server.execute("SHOW server_version")[0]
    return Store(settings, fill, f"PostgreSQL {version}")


STORES = {"sqlite": sqlite_store, "postgresql": postgresql_store}


async def measured(provider: Any, users: int) -> dict[str, float]:
    """Milliseconds a call by question: the lowest of some medians."""
    chance = random.Random(users)

    def any_name() -> str:
        return name(chance.randrange(users))

    questions: dict[str, Callable[[], Awaitable[object]]] = {
        "lookup at login": lambda: provider.user_by_name(any_name()),
        "search by name": lambda: provider.users(PAGE, 0, username=any_name()),
        "first page": lambda: provider.users(PAGE, 0),
        "page in the middle": lambda: provider.users(PAGE, users // 2),
        "walk: next page": lambda: provider.dump(any_name(), PAGE),
        "quota added": lambda: provider.update_quota(any_name(), 1, 1000, 1),
    }
    taken = dict.fromkeys(questions, math.inf)
    # The best of some rounds, each through all questions: others' work on the machine comes and goes.
    for _ in range(ROUNDS):
        for question, ask in questions.items():
            times = []
            for _ in range(CALLS):
                begin = time.perf_counter()
                await ask()
                times.append((time.perf_counter() - begin) * 1000)
            taken[question] = min(taken[question], statistics.median(times))
    return taken


async def run(stores: list[str], most: int) -> None:
    """Measure, and print the tables."""
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= most]
    for kind in stores:
        with tempfile.TemporaryDirectory(prefix="sftpgo-scale-") as folder:
            store = STORES[kind](folder)
            results = []
            here = 0
            for size in sizes:
                store.fill(here, size)
                here = size
                provider = select_provider(store.settings, folder, reactor=reactor, warn=print)
                await provider.start()
                results.append(await measured(provider, size))
                await provider.stop()
                print(f"{store.describe}: {size:,} users measured", file=sys.stderr)
        table(store.describe, sizes, results)


def table(title: str, sizes: list[int], results: list[dict[str, float]]) -> None:
    """One table in the form the documentation has."""
    print(f"\n{title}, milliseconds a call\n")
    line = "  ".join(["=" * 20, *["=" * 10 for _ in sizes], "=" * 8])
    print(line)
    print("  ".join([f"{'users':20}", *[f"{size:>10,}" for size in sizes], f"{'growth':>8}"]))
    print(line)
    for question in QUESTIONS:
        values = [result[question] for result in results]
        cells = [f"{value:10.2f}" for value in values]
        print("  ".join([f"{question:20}", *cells, f"{values[-1] / values[0]:7.1f}x"]))
    print(line)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("stores", nargs="*", default=list(STORES), metavar="STORE", help=", ".join(STORES))
    parser.add_argument("--users", type=int, default=1_000_000, help="the largest store (1000000)")
    options = parser.parse_args()
    task.react(lambda _reactor: ensureDeferred(run(options.stores, options.users)))


if __name__ == "__main__":
    main()
