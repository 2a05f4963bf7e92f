"""Starting a confined child for a command, and seeing it through."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred

from sftpgo.avatars.confine import Spec
from sftpgo.avatars.grants import Grant
from sftpgo.avatars.processes import Child, Direction
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.streams import ClientGone, CommandStream, Exit
from sftpgo.avatars.usagewatch import Quota, UsageWatch
from sftpgo.domain import paths
from sftpgo.errors import SFTPGoError
from sftpgo.storage.confined import Home
from sftpgo.storage.names import split
from sftpgo.storage.support import detect_resolver

if TYPE_CHECKING:
    from sftpgo.avatars.commands import CommandSession

#: What every child finds in its environment; nothing of the server's own is handed on.
_ENVIRON = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}

#: The helper is started without site packages, so that it takes milliseconds and nothing of the environment counts.
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from sftpgo.avatars.confine import main; main()"
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Linux takes no argument of 128 KiB.
_MAX_SPEC = 120_000


@attrs.frozen
class Launch:
    """What is to be run.

    @ivar program: absolute path.
    @ivar arguments: the name first; relative paths start from the home.
    @ivar grants: what of the home the program gets; the first is where it works.
    @ivar path: virtual path, for the registry.
    @ivar uid: whom to become, with C{gid}; None for staying who the server is.
    @ivar landlock: confine it.
    @ivar isolation: C{try}, C{need} or C{no}: hide the rest of the machine.
    @ivar environ: beside what every child has.
    @ivar executables: what it may execute beside itself.
    """

    program: str
    arguments: list[str]
    grants: list[Grant]
    path: str
    uid: int | None
    gid: int | None
    landlock: bool
    isolation: str
    environ: Mapping[str, str] = attrs.field(factory=dict)
    executables: Sequence[str] = ()

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return self.grants[0].writable


async def run(reactor: Any, session: CommandSession, launch: Launch, stream: CommandStream) -> Exit:
    """Run a program to its end, with the client at its standard streams; how it ended."""
    name = launch.arguments[0]
    quota = session.quota if launch.writes else None
    if quota is not None and quota.exceeded():
        stream.write_error(f"{name}: quota exceeded\n")
        return 1
    running = _Running(reactor, session, launch, stream)
    try:
        return await (running.run() if quota is None else _watched(reactor, session, launch, running, quota))
    except OSError as error:
        stream.write_error(f"{name}: {reason(error)}\n")
        return 1


async def _watched(reactor: Any, session: CommandSession, launch: Launch, running: _Running, quota: Quota) -> Exit:
    """Run it while its directory is measured."""
    watch = UsageWatch(
        quota,
        _home(session, Grant("/", True)),
        None if launch.grants[0].directory == "/" else _home(session, launch.grants[0]),
        run_in_thread=session.files.run_in_thread,
        clock=reactor,
        stop=running.over_quota,
    )
    try:
        await watch.start()
        return await running.run(watch)
    finally:
        await _settle(session, watch)


async def _settle(session: CommandSession, watch: UsageWatch) -> None:
    """Bring the usage to the truth; where that fails the command has ended all the same."""
    try:
        await watch.end()
    except (OSError, SFTPGoError) as error:
        session.files.journal.warn(f"the usage after a command could not be counted: {reason(error)}")


class _Running:
    """One child, from its start to its end."""

    def __init__(self, reactor: Any, session: CommandSession, launch: Launch, stream: CommandStream) -> None:
        self._reactor = reactor
        self._session = session
        self._launch = launch
        self._stream = stream
        self._child: Child | None = None
        self._stopped = False

    async def run(self, watch: UsageWatch | None = None) -> Exit:
        """Start it and wait for its end."""
        session, launch = self._session, self._launch
        if self._stream.gone:
            raise ClientGone
        bandwidth = session.files.bandwidth
        upload, download = (
            Direction(session.started(kind, launch.path), flow(), session.clock, heard)
            for kind, flow, heard in (
                ("upload", bandwidth.upload, None if watch is None else watch.received),
                ("download", bandwidth.download, None),
            )
        )
        try:
            child = self._child = Child(self._reactor, self._stream, upload, download)
            self._spawn(child)
            Deferred.fromCoroutine(child.feed()).addErrback(child.broken)
            exit = await child.ended
        finally:
            for direction in (upload, download):
                direction.end()
                session.registry.transfer_ended(session.connection_id, direction.transfer)
        return 1 if self._stopped else exit

    def over_quota(self) -> None:
        """End the child: it has stored more than it may."""
        if self._child is not None and not self._stopped:
            self._stopped = True
            self._stream.write_error(f"{self._launch.arguments[0]}: quota exceeded\n")
            self._child.terminate()

    def _spawn(self, child: Child) -> None:
        session, launch = self._session, self._launch
        descriptors: list[int] = []
        try:
            descriptors.append(_open(session, Grant("/", False)))
            descriptors.extend(_open(session, grant) for grant in launch.grants)
            text = _argument(_spec(session, launch, range(3, 3 + len(descriptors))))
            self._reactor.spawnProcess(
                child,
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _START, _ROOT, text],
                env={**_ENVIRON, **launch.environ},
                childFDs={0: "w", 1: child.output.child_end, 2: "r", **dict(enumerate(descriptors, 3))},
            )
        except BaseException:
            child.failed_to_start()
            raise
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _argument(spec: Spec) -> str:
    text = json.dumps(spec)
    if len(text) > _MAX_SPEC:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    return text


def _spec(session: CommandSession, launch: Launch, numbers: range) -> Spec:
    user = session.files.user
    return {
        "program": launch.program,
        "arguments": launch.arguments,
        "parent": os.getpid(),
        "uid": launch.uid,
        "gid": launch.gid,
        "home": (numbers[0], user.home_dir),
        "grants": [(number, grant.writable) for number, grant in zip(numbers[1:], launch.grants, strict=True)],
        "executables": list(launch.executables),
        "landlock": launch.landlock,
        "isolation": launch.isolation,
        # One file is never larger than all of them may be.
        "file_size": user.quota_size if user.quota_size > 0 else None,
    }


def _home(session: CommandSession, grant: Grant) -> Home:
    """A directory of the home, open on its own: the session's home is closed when the client leaves."""
    return Home(_open(session, grant), detect_resolver())


def _open(session: CommandSession, grant: Grant) -> int:
    return session.files.home.open_directory(split(paths.to_wire(grant.directory)))
