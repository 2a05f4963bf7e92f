"""How much of the server the hooks may use, and how one of them fails."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Limits:
    """What bounds the hooks of one sort.

    @ivar queue: events that may wait; more are dropped.
    @ivar concurrency: hooks that run at the same time, each for another user.
    @ivar seconds: what a command gets from start to end, and a request from the connection to the end of its answer.
    @ivar kill_after: seconds from SIGTERM to SIGKILL, and from there until the wait for the process is given up.
    @ivar retry_delays: seconds before the second, third ... try of a request.
    @ivar answer: bytes of an HTTP answer, head included, after which the connection is dropped.
    """

    queue: int = 10_000
    concurrency: int = 8
    seconds: float = 15.0
    kill_after: float = 2.0
    retry_delays: tuple[float, ...] = (1.0, 4.0)
    answer: int = 64 * 1024


class HookFailed(Exception):
    """A hook did not do its work; the text says why in a few words.

    @ivar again: whether another try might help.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again
