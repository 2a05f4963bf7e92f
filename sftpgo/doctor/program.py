"""The program itself and its process: Python, packages, file descriptors, the clock."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

import sftpgo
from sftpgo.descriptors import ANY_NUMBER, ENOUGH, attainable
from sftpgo.doctor.finding import Finding, fail, ok, warn

_PYTHON: Final = (3, 11)
_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9.]+)")
_FEW_FILES: Final = 1024
_MANY_FILES: Final = 8192
_DAY: Final = 86400
_TIME_ERROR: Final = 5
_TIMEX_SIZE: Final = 256


def python() -> Iterator[Finding]:
    """The interpreter, and every package that is needed."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < _PYTHON:
        yield fail("python", f"Python {version} is too old", "install Python 3.11 or newer")
    else:
        yield ok("python", f"Python {version}, sftpgo {sftpgo.__version__}")
    try:
        needed = metadata.requires("sftpgo") or []
    except metadata.PackageNotFoundError:
        text = "sftpgo runs from a directory and is not installed: its packages' versions are not known to fit"
        yield warn("packages", text, "install it: pip install .")
        return
    faults = list(_unmet(needed))
    for name, least, found in faults:
        text = f"{name} {least} or newer is needed, found {found or 'none'}"
        yield fail("packages", text, f"pip install '{name}>={least}'")
    if not faults:
        yield ok("packages", f"the {sum('extra ==' not in line for line in needed)} packages that are needed are there")


def _unmet(requirements: list[str]) -> Iterator[tuple[str, str, str | None]]:
    for line in requirements:
        match = _REQUIREMENT.match(line)
        if "extra ==" in line or match is None:
            continue
        name, least = match.groups()
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, least, None
        else:
            if _numbers(found) < _numbers(least):
                yield name, least, found


def _numbers(version: str) -> tuple[int, ...]:
    """The release part of a version; C{2.0} counts as C{2}."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = [int(part) for part in match[0].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def descriptors(limits: tuple[int, int] | None = None) -> Iterator[Finding]:
    """How many files and connections the server may have open at a time: it takes what it can have."""
    most = attainable(limits or resource.getrlimit(resource.RLIMIT_NOFILE))
    if most == ANY_NUMBER or most >= _MANY_FILES:
        yield ok("file descriptors", f"{'any number' if most == ANY_NUMBER else most} may be open at a time")
        return
    do = f"raise it: LimitNOFILE={ENOUGH} in the unit, or ulimit -Hn before the start"
    text = f"{most} may be open at a time: each connection needs one, each transfer another"
    yield (fail if most < _FEW_FILES else warn)("file descriptors", text, do)


def clock(now: float, synchronised: bool | None) -> Iterator[Finding]:
    """The time of day, which expiry, certificates and the log depend on.

    @param now: seconds since the epoch.
    @param synchronised: whether the kernel's clock is kept by a time server; C{None}: not known.
    """
    written = os.stat(sftpgo.__file__).st_mtime
    if now < written - _DAY:
        yield fail("clock", "the clock is before the day this program was installed", "set the clock: timedatectl")
    elif synchronised is False:
        text = "the kernel does not take its clock to be synchronised: accounts and certificates expire by it"
        yield warn("clock", text, "run a time service: timedatectl set-ntp true, or chrony")
    else:
        yield ok("clock", "the clock is synchronised" if synchronised else "the clock is plausible")


def synchronised() -> bool | None:
    """Whether a time server keeps the kernel's clock, by C{adjtimex(2)}; asked for nothing, it changes nothing."""
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
    except (AttributeError, OSError):
        return None
    return None if answer < 0 else bool(answer != _TIME_ERROR)


def identity() -> Iterator[Finding]:
    """As whom the doctor looks: what another user may do is not known to it."""
    yield ok("user", f"looking as uid {os.geteuid()}; what the server may do shows only when it runs as the same user")
