"""How many files and connections this process may have open."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Final

from twisted.internet.selectreactor import SelectReactor

ENOUGH: Final = 65_536
"""What the process takes at most: what stands in the systemd unit too.  Hooks inherit it, and some count up to it."""


ANY_NUMBER: Final = -1
"""A limit that is none (C{RLIM_INFINITY})."""


def attainable(limits: tuple[int, int]) -> int:
    """What a server will have whose soft and hard limit these are."""
    soft, hard = limits
    if soft == ANY_NUMBER:
        return soft
    return max(soft, ENOUGH if hard == ANY_NUMBER else min(hard, ENOUGH))


def raise_limit(reactor: Any) -> None:
    """Have as many as the system grants without asking (the hard limit of getrlimit(2)), up to L{ENOUGH}.

    The soft limit is mostly 1,024, for the sake of programs that call select(2), as one of Twisted's reactors does:
    with that one nothing is changed.  One user's thousand open handles shut nobody out then.
    """
    if sys.platform == "win32" or isinstance(reactor, SelectReactor):
        return
    import resource  # noqa: PLC0415 -- not every system has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = attainable((soft, hard))
    if wanted != soft:
        # macOS has a bound besides, of which the hard limit tells nothing.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
