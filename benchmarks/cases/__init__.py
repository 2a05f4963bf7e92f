"""What is measured."""

from __future__ import annotations

from typing import Final

from benchmarks.cases.base import Case
from benchmarks.cases.commands import Command
from benchmarks.cases.idle import Idle
from benchmarks.cases.latency import Latency
from benchmarks.cases.names import Listing, Logins, SmallFiles, Stats
from benchmarks.cases.transfers import Crowd, Get, Put
from benchmarks.workspace import CROWDS

#: In the order of the tables' rows.
CASES: Final[tuple[Case, ...]] = (
    *(case(cipher) for cipher in ("aes128-gcm", "aes256-ctr", "chacha20", "default") for case in (Get, Put)),
    *(Crowd(clients) for clients in CROWDS),
    *(Command(program, direction) for program in ("scp", "rsync") for direction in ("get", "put")),
    SmallFiles("put"),
    SmallFiles("get"),
    Listing(),
    Stats(),
    Logins(),
    Idle(),
    Latency("get"),
    Latency("put"),
)
