"""The commands that a client may run by C{exec}: which there are, and what is told of each when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater

from sftpgo.avatars import scp
from sftpgo.avatars.digests import ALGORITHMS, digest
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.streams import ClientGone, CommandStream, Exit
from sftpgo.avatars.system import NAMES, SystemCommands
from sftpgo.avatars.usagewatch import Quota, QuotaKeeper
from sftpgo.domain import paths
from sftpgo.domain.connection import ConnectionRegistry, Transfer
from sftpgo.ssh.words import Unreadable, Word, split


@attrs.frozen
class FinishedCommand:
    """What is told of a command that has ended: for metrics and the C{ssh_cmd} action.

    @ivar arguments: without the name.
    @ivar path: the last argument as a canonical virtual path; empty when there is none.
    @ivar ok: whether it ended well.
    """

    username: str
    connection_id: str
    name: str
    arguments: tuple[str, ...]
    path: str
    ok: bool


@attrs.frozen(eq=False)
class CommandSession:
    """Whose connection a command runs on.

    @ivar clock: seconds since the epoch.
    @ivar quota: how the user's usage is kept; None when it is not.
    """

    files: UserFilesystem
    registry: ConnectionRegistry
    connection_id: str
    clock: Callable[[], float]
    quota: Quota | None = None

    def now(self) -> int:
        """Unix milliseconds."""
        return int(self.clock() * 1000)

    def touched(self) -> None:
        """Something happened: the connection is not idle."""
        self.registry.touched(self.connection_id, self.now())

    def started(self, operation: str, path: str) -> Transfer:
        """Enter a stream of a command among the transfers; C{operation} is C{upload} or C{download}."""
        return self.registry.transfer_started(self.connection_id, operation, path, self.now())


Running: TypeAlias = Coroutine[Any, Any, Exit]
Command: TypeAlias = Callable[[CommandSession, str, Sequence[Word], CommandStream], Running]


async def _cd(session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream) -> Exit:
    return 0


async def _pwd(session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream) -> Exit:
    stream.write(b"/\n")
    return 0


async def _digest(session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream) -> Exit:
    return await digest(session.files, name, words, stream, session.touched)


async def _scp(session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream) -> Exit:
    return await scp.serve(session.files, words, stream)


_BUILT_IN: Mapping[str, Command] = {"cd": _cd, "pwd": _pwd, "scp": _scp, **dict.fromkeys(ALGORITHMS, _digest)}


def _nobody(done: FinishedCommand) -> None:
    """Nobody is told."""


@attrs.define(eq=False)
class Commands:
    """What the configuration lets clients run.

    @ivar enabled: names that a client may use; others fail as requests.
    @ivar clock: an C{IReactorTime}.
    @ivar system: runs git and rsync; without it they are not served.
    @ivar quotas: how usage is kept while these write.
    @ivar on_command_done: told of every command that has ended.
    """

    enabled: frozenset[str]
    clock: Any
    system: SystemCommands | None = None
    quotas: QuotaKeeper | None = None
    on_command_done: Callable[[FinishedCommand], None] = _nobody

    def lookup(self, session: CommandSession, line: bytes) -> Protocol | None:
        """The protocol that serves a command line, or None for one that is not served."""
        try:
            words = split(line)
        except Unreadable:
            return None
        name = words[0].text.decode("utf-8", "surrogateescape") if words else ""
        command = self._command(name, words[1:])
        if command is None:
            return None
        if self.quotas is not None:
            session = attrs.evolve(session, quota=self.quotas.of(session.files))
        return _Run(self, session, name, words[1:], command).protocol()

    def _command(self, name: str, words: Sequence[Word]) -> Command | None:
        if name not in self.enabled or (name == "scp" and len(words) < 2):
            return None
        if name in NAMES and self.system is not None:
            return self.system.serve
        return _BUILT_IN.get(name)


@attrs.define(eq=False)
class _Run:
    """One command, from its channel's start to its end."""

    commands: Commands
    session: CommandSession
    name: str
    words: Sequence[Word]
    command: Command

    def protocol(self) -> CommandStream:
        return CommandStream(self._run)

    async def _run(self, stream: CommandStream) -> Exit:
        # The client must have heard that the request is granted before it hears of an end.
        await deferLater(self.commands.clock, 0)
        session = self.session
        protocol = "SCP" if self.name == "scp" else "SSH"
        channel = session.registry.channel_opened(session.connection_id, protocol, session.now(), self._line())
        ok = False
        try:
            exit = await self.command(session, self.name, self.words, stream)
            ok = exit == 0 and not stream.gone
        except ClientGone:
            exit = 1
        finally:
            session.registry.channel_closed(session.connection_id, channel, session.now())
            self._tell(ok)
        return exit

    def _arguments(self) -> tuple[str, ...]:
        return tuple(paths.from_wire(word.text) for word in self.words)

    def _line(self) -> str:
        return " ".join([self.name, *self._arguments()]) if self.words else f"{self.name} "

    def _path(self) -> str:
        arguments = self._arguments()
        return paths.canonical(arguments[-1]) if arguments else ""

    def _tell(self, ok: bool) -> None:
        session = self.session
        user, path = session.files.user, self._path()
        if ok:
            session.files.journal.log.command(
                "SSHCommand",
                username=user.username,
                file_path=path,
                ssh_command=self._line(),
                connection_id=session.connection_id,
                protocol="SSH",
            )
        self.commands.on_command_done(
            FinishedCommand(user.username, session.connection_id, self.name, self._arguments(), path, ok)
        )
