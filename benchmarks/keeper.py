"""Run a command and keep hold of all it starts: C{keeper.py COMMAND ...}.

It takes in the processes whose parents have gone (PR_SET_CHILD_SUBREAPER), so the processor time of every process of a
server ends up in this one's account, whatever becomes of the processes between; and when it ends, none is left.  It
imports nothing that is not needed, and does nothing while the server runs.
"""

import contextlib
import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 2.0


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(word) for word in file.read().split()]


def _reap() -> bool:
    """Collect those that have ended; whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _end_all(first: int) -> None:
    """Ask, wait, then kill until nothing is left."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(first, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE
    while _reap():
        if time.monotonic() > deadline:
            # Each one that is killed may hand its own children to us: round we go.
            for pid in _children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _main(command: list[str]) -> int:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    stop = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    signal.pthread_sigmask(signal.SIG_BLOCK, [*stop, signal.SIGCHLD])
    first = os.fork()
    if not first:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [*stop, signal.SIGCHLD])
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execvp(command[0], command)
    while signal.sigwait([*stop, signal.SIGCHLD]) == signal.SIGCHLD:
        if not _reap():
            return 1
    _end_all(first)
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
