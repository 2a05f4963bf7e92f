"""The avatar: one logged-in SSH connection of one user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.avatar import ConchUser

from sftpgo.avatars.commands import Commands, CommandSession
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.sftp import UserSFTPServer
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.ssh.session import MakeHandler, SessionChannel
from sftpgo.ssh.sftp import SFTPSession
from sftpgo.ssh.stream import ByteStream


class UserAvatar(ConchUser):
    """What a user may open on their connection: session channels with the C{sftp} subsystem or a command.

    @param clock: seconds since the epoch.
    @param commands: those that clients may run; none when not given.
    """

    def __init__(
        self,
        files: UserFilesystem,
        registry: ConnectionRegistry,
        connection_id: str,
        clock: Callable[[], float],
        commands: Commands | None = None,
    ) -> None:
        super().__init__()
        self._files = files
        self._registry = registry
        self._connection_id = connection_id
        self._clock = clock
        self._commands = commands
        self.channelLookup = {b"session": SessionChannel}

    def lookupStream(self, subsystem: bytes) -> MakeHandler | None:
        """What makes the handler of a subsystem that is served in place, or None."""
        return self._make_sftp if subsystem == b"sftp" else None

    def _make_sftp(self, stream: ByteStream) -> SFTPSession:
        return RegisteredSession(stream, self._sftp_server(), self._registry, self._connection_id, self._now)

    def _sftp_server(self) -> UserSFTPServer:
        return UserSFTPServer(self._files, self._touched)

    def lookupSubsystem(self, subsystem: bytes, data: bytes) -> Any:
        """The protocol of any other subsystem: there is none."""
        return None

    def lookupCommand(self, command: bytes) -> Any:
        """The protocol of a command line, or None."""
        if self._commands is None:
            return None
        session = CommandSession(self._files, self._registry, self._connection_id, self._clock)
        return self._commands.lookup(session, command)

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _touched(self) -> None:
        self._registry.touched(self._connection_id, self._now())

    def logout(self) -> None:
        """Give up the session's place and the home; called by the transport when the connection ends."""
        self._registry.closed(self._connection_id)
        self._files.close()


class RegisteredSession(SFTPSession):
    """An SFTP channel that is in the registry while it runs.

    @param files: a L{UserSFTPServer}, or what is told of the end of its channel as that is.
    """

    def __init__(
        self,
        stream: ByteStream,
        files: Any,
        registry: ConnectionRegistry,
        connection_id: str,
        now: Callable[[], int],
    ) -> None:
        super().__init__(stream, files)
        self._server = files
        self._registry = registry
        self._connection_id = connection_id
        self._now = now
        self._channel = registry.channel_opened(connection_id, "SFTP", now())

    def closed(self) -> None:
        """End what is open, then leave the registry."""
        self._server.end()
        super().closed()
        self._registry.channel_closed(self._connection_id, self._channel, self._now())
