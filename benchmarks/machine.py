"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.backends.openssl import backend


def machine() -> list[str]:
    """Processor, memory, kernel, load: one line each."""
    with Path("/proc/cpuinfo").open() as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    lines = [f"{len(os.sched_getaffinity(0))} processors, {models[0] if models else platform.machine()}"]
    lines.append(f"{memory:.0f} GiB of memory, {platform.system()} {platform.release()}")
    lines.append(f"load average before the run: {os.getloadavg()[0]:.1f}")
    return lines


def libraries() -> dict[str, str]:
    """What this server runs on."""
    names = ("Twisted", "cryptography")
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"libraries": f"{python}, {libraries} with {backend.openssl_version_text()}"}


@contextmanager
def first_in_line() -> Iterator[None]:
    """Have this process, and what it starts, run as soon as it can: the user who waits has a machine of his own."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
