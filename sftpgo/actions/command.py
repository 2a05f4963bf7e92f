"""Running a hook's program."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime

from sftpgo.actions.child import Child
from sftpgo.actions.limits import HookFailed, Limits

#: The server's own secrets, which may stand in its environment in place of the configuration file.
_SECRETS = frozenset({"SFTPGO_DATA_PROVIDER__PASSWORD", "SFTPGO_DATA_PROVIDER__CONNECTION_STRING"})


class Command:
    """One program, run again for each event.

    @param path: the program; no shell is involved.
    @param reactor: watches the process.
    @param clock: measures the time limits.
    @param environ: the variables that the program gets besides those of the event; the server's passwords are left
        out of them.
    """

    def __init__(
        self, path: str, reactor: Any, clock: IReactorTime, environ: Mapping[str, str], limits: Limits
    ) -> None:
        self._path = path
        self._reactor = reactor
        self._clock = clock
        self._environ = environ
        self._limits = limits

    def __str__(self) -> str:
        return f'command "{self._path}"'

    def problem(self) -> str:
        """Why the program could not be run now, or nothing."""
        if not os.path.isabs(self._path):
            return f"{self}: expected an absolute path"
        try:
            mode = os.stat(self._path).st_mode
        except (OSError, ValueError) as error:
            return f"{self}: {_text(error)}"
        if not stat.S_ISREG(mode):
            return f"{self}: no regular file"
        if not os.access(self._path, os.X_OK):
            return f"{self}: not executable by the server"
        return ""

    async def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run it to its end; returns how it ended.

        When this is cancelled the program is killed first.

        @raise HookFailed: it could not be started, failed, or did not end in time.
        """
        try:
            child = Child(
                self._reactor,
                self._clock,
                (self._path, *arguments),
                self._variables(environment),
                kill_after=self._limits.kill_after,
            )
        except (OSError, ValueError) as error:
            raise HookFailed(f"could not be started: {_text(error)}") from error
        limit = self._clock.callLater(self._limits.seconds, child.terminate)
        try:
            status = await child.wait()
        except CancelledError:
            child.terminate()
            await child.wait()
            raise
        finally:
            if limit.active():
                limit.cancel()
        if child.terminated:
            raise HookFailed(f"did not end within {self._limits.seconds:g} s and was killed")
        if status != 0:
            raise HookFailed(_description(status))
        return "exit status 0"

    def _variables(self, more: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in self._environ.items() if name.upper() not in _SECRETS}
        return {**inherited, **more}


def _description(status: int | None) -> str:
    if status is None:
        return "its exit status is unknown"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
