"""Users whose files are an embedding program's own C{ISFTPServer}: the server stays between it and the client.

It cleans every path, judges the permissions on it, limits the bandwidth, counts and logs the transfers and calls the
hooks.  What it cannot know it leaves to the C{ISFTPServer}: links are not followed, and no quota is kept.  There are no
commands; C{scp} works as today's OpenSSH has it, which speaks SFTP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.avatar import ConchUser

from sftpgo.avatars.bandwidth import Bandwidth
from sftpgo.avatars.hooked import Gate
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.ownfiles import OwnExtendedFiles, OwnFiles
from sftpgo.avatars.user import RegisteredSession
from sftpgo.domain.permissions import AccessRules
from sftpgo.domain.user import User
from sftpgo.ssh.interfaces import IExtendedSFTPServer
from sftpgo.ssh.session import MakeHandler, SessionChannel
from sftpgo.ssh.stream import ByteStream


@attrs.define(eq=False)
class OwnSession:
    """What the server knows of one connection of such a user.

    @ivar over: whether the connection has ended.
    """

    user: User
    rules: AccessRules
    journal: Journal
    bandwidth: Bandwidth
    gate: Gate
    over: bool = False

    def now(self) -> int:
        """Unix milliseconds."""
        return int(self.journal.clock() * 1000)

    def touched(self) -> None:
        """A request has come: the connection is not idle."""
        self.journal.registry.touched(self.journal.connection_id, self.now())


class OwnAvatar(ConchUser):
    """What such a user may open on their connection: the C{sftp} subsystem.

    @param own: an C{ISFTPServer}; where it has C{connectionLost}, that is called when the connection ends.
    """

    def __init__(self, own: Any, session: OwnSession) -> None:
        super().__init__()
        self._own = own
        self._session = session
        self.channelLookup = {b"session": SessionChannel}

    def lookupStream(self, subsystem: bytes) -> MakeHandler | None:
        """What makes the handler of a subsystem that is served in place, or None."""
        return self._make_sftp if subsystem == b"sftp" else None

    def _make_sftp(self, stream: ByteStream) -> RegisteredSession:
        session = self._session
        extended = IExtendedSFTPServer.providedBy(self._own)
        files = (OwnExtendedFiles if extended else OwnFiles)(self._own, session)
        journal = session.journal
        return RegisteredSession(stream, files, journal.registry, journal.connection_id, session.now)

    def lookupSubsystem(self, subsystem: bytes, data: bytes) -> Any:
        """The protocol of any other subsystem: there is none."""
        return None

    def logout(self) -> None:
        """Give up the session's place; called by the transport when the connection ends."""
        session = self._session
        session.over = True
        session.journal.registry.closed(session.journal.connection_id)
        session.bandwidth.left()
        lost: Callable[[], object] | None = getattr(self._own, "connectionLost", None)
        if lost is not None:
            try:
                lost()
            except Exception as error:
                session.journal.log.failure("a file system of an embedding program failed at its end", error)
