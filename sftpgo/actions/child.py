"""A child process in a process group of its own, so that it can be ended together with what it started.

C{reactor.spawnProcess} cannot put a child into a group of its own, and once the child runs its program it is too late
for the parent to do it; C{posix_spawn} does it before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

_POLL = 0.1


@implementer(IReadDescriptor)
class Child:
    """A running program with C{/dev/null} as input, output and error output.

    Its end is seen through a pidfd, or by asking every tenth of a second where the kernel gives none.

    @ivar terminated: whether it was told to end before it did so by itself.
    """

    def __init__(
        self,
        reactor: Any,
        clock: IReactorTime,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        kill_after: float,
    ) -> None:
        """Start the program C{arguments[0]}.

        @raise OSError: it cannot be started.
        @raise ValueError: an argument or variable that no process can be given, such as one with a NUL.
        """
        self.terminated = False
        self._reactor = reactor
        self._clock = clock
        self._kill_after = kill_after
        self._waiters: list[Deferred[int | None]] = []
        self._result: tuple[int | None] | None = None
        self._gone = False
        self._timer: IDelayedCall | None = None
        self._pid = os.posix_spawn(
            arguments[0],
            list(arguments),
            environment,
            file_actions=_file_actions(),
            setpgroup=0,
            setsigmask=(),
            setsigdef=_ignored_signals(),
        )
        self._descriptor = -1
        self._watch()

    def wait(self) -> Deferred[int | None]:
        """The exit status, negative for a signal as in L{subprocess}; C{None} if it cannot be known."""
        if self._result is not None:
            return succeed(self._result[0])
        waiter: Deferred[int | None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def terminate(self) -> None:
        """End it and its group: SIGTERM, then SIGKILL, and at last stop waiting for it."""
        if self.terminated or self._result is not None:
            return
        self.terminated = True
        self._signal(signal.SIGTERM)
        self._timer = self._clock.callLater(self._kill_after, self._kill)

    def fileno(self) -> int:
        """The pidfd."""
        return self._descriptor

    def logPrefix(self) -> str:
        """The name of this in the reactor's own log lines."""
        return "hook"

    def doRead(self) -> None:
        """The process has ended: a pidfd is readable from then on."""
        self._close()
        self._reap()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives the descriptor up, which it does for a broken one: go on by asking."""
        self._close()
        if not self._gone:
            self._poll()

    def _watch(self) -> None:
        try:
            self._descriptor = os.pidfd_open(self._pid)
        except (AttributeError, OSError):
            self._poll()
        else:
            self._reactor.addReader(self)

    def _close(self) -> None:
        if self._descriptor >= 0:
            self._reactor.removeReader(self)
            os.close(self._descriptor)
            self._descriptor = -1

    def _poll(self) -> None:
        # WNOWAIT: the process stays a zombie, so that its number and that of its group are not given to others.
        try:
            ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            ended = True
        if ended:
            self._reap()
        else:
            self._clock.callLater(_POLL, self._poll)

    def _reap(self) -> None:
        self._gone = True
        if self.terminated:
            # What it left behind.  The group's number is safe only until the leader is reaped.
            self._signal(signal.SIGKILL, gone=True)
        status: int | None = None
        with suppress(ChildProcessError):  # somebody else in this program reaped it
            status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._finish(status)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        # A process in an uninterruptible wait survives even that, and must not keep its place in the queue.
        self._timer = self._clock.callLater(self._kill_after, self._finish, None)

    def _signal(self, number: int, *, gone: bool = False) -> None:
        if self._gone and not gone:
            return
        # A set-user-ID program may not be signalled by us; it ends by itself or is given up.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._pid, number)

    def _finish(self, status: int | None) -> None:
        if self._result is None:
            self._result = (status,)
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(status)


def _file_actions() -> list[tuple[Any, ...]]:
    opened: list[tuple[Any, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    return opened + [(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()]


def _inheritable() -> list[int]:
    """Descriptors that a child would get: those that this process itself was started with, and careless libraries'."""
    found = []
    for descriptor in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the one the listing was made with
            if descriptor > 2 and os.get_inheritable(descriptor):
                found.append(descriptor)
    return found


def _ignored_signals() -> list[int]:
    # Python ignores SIGPIPE, and an ignored signal stays so in the child.
    return [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN]
