"""Processor time and memory of a tree of processes, from /proc."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
#: Where utime, stime, cutime and cstime stand in /proc/PID/stat after the name, which may hold anything.
_TIMES: Final = slice(11, 15)
_SETTLING: Final = 5.0


def tree(root: int) -> Iterator[int]:
    """C{root} and its living descendants."""
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += [int(word) for word in children.read_text().split()]


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, of those who live and of those who were waited for."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[_TIMES])
    return ticks / _TICK


def memory_kib(root: int) -> int:
    """Proportional set size of the tree without its root: pages that processes share are counted once."""
    total = 0
    for pid in tree(root):
        if pid != root:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
    return total


class Meter:
    """Measures what a server spends while a block of code runs.

    @ivar cpu: seconds of processor time of the tree.
    @ivar wall: seconds that the block took.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self.cpu = 0.0
        self.wall = 0.0

    def __enter__(self) -> Meter:
        self._processes = sum(1 for _ in tree(self._root))
        self._cpu = cpu_seconds(self._root)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall = time.perf_counter() - self._start
        if kind is None:
            self._settle()
        self.cpu = cpu_seconds(self._root) - self._cpu

    def _settle(self) -> None:
        """Wait for the processes of the connections that have just ended: their last work counts."""
        deadline = time.monotonic() + _SETTLING
        while sum(1 for _ in tree(self._root)) > self._processes and time.monotonic() < deadline:
            time.sleep(0.01)
