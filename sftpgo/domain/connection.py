"""The live SSH connections: who is logged in, what runs on each, how many bytes have moved.

One registry serves the limit of sessions, the idle timeout, the list that REST shows and its disconnect.  It is used
from one thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

UPLOAD = "upload"
DOWNLOAD = "download"


@attrs.define(eq=False)
class Transfer:
    """One file (or one stream of a command) on its way.

    Whoever moves the bytes adds to C{size} and sets C{last_activity} directly: this is the hot path.

    @ivar operation_type: C{upload} or C{download}, as seen from the client.
    @ivar path: virtual path.
    @ivar size: bytes moved so far.
    @ivar waiting: answers that the server holds back or works on: while there are any, the client is not idle.
    @ivar total: length of the file that is downloaded, when it was opened; None for what nobody knows.
    """

    operation_type: str
    path: str
    start_time: int
    last_activity: int
    size: int = 0
    waiting: int = 0
    total: int | None = None


@attrs.frozen(eq=False)
class Channel:
    """One running channel of a connection.

    @ivar protocol: C{SFTP}, C{SCP} or C{SSH}.
    @ivar ssh_command: name and arguments joined by blanks; empty for SFTP.
    """

    protocol: str
    ssh_command: str = ""


@attrs.define(eq=False)
class Connection:
    """One SSH connection, from the end of its first key exchange to its loss.

    @ivar connection_id: the SSH session id, 64 hexadecimal digits.
    @ivar client_version: the client's full C{SSH-2.0-...} line.
    @ivar remote_address: C{ip:port}.
    @ivar close: ends the connection, from the server's side; must not fail.
    @ivar username: empty until somebody has logged in.
    @ivar last_activity: of its requests; see L{latest_activity} for the transfers' too.
    @ivar channels: those running, in the order they were opened.
    @ivar transfers: those running, in the order they were started.
    """

    connection_id: str
    client_version: str
    remote_address: str
    connection_time: int
    last_activity: int
    close: Callable[[], None] = attrs.field(repr=False)
    username: str = ""
    channels: list[Channel] = attrs.field(factory=list)
    transfers: list[Transfer] = attrs.field(factory=list)

    def latest_activity(self) -> int:
        """When anything last happened: a request, or bytes of a transfer."""
        return max([self.last_activity, *(transfer.last_activity for transfer in self.transfers)])


@attrs.frozen
class TransferInfo:
    """A transfer as REST shows it, in that order."""

    operation_type: str
    start_time: int
    size: int
    last_activity: int
    path: str


@attrs.frozen
class ConnectionInfo:
    """A connection as REST shows it, in that order; C{protocol} and C{ssh_command} are those of its newest channel."""

    username: str
    connection_id: str
    client_version: str
    remote_address: str
    connection_time: int
    last_activity: int
    protocol: str
    active_transfers: tuple[TransferInfo, ...]
    ssh_command: str


@attrs.define(eq=False)
class ConnectionRegistry:
    """All live connections, keyed by SSH session id.

    Times are unix milliseconds and arguments.  They should come from one clock that does not jump (the time at start
    plus what a monotonic clock has counted since), or a clock set forward looks like a day of idleness.

    What arrives for a connection that is gone has no effect: the end of a connection and the end of what runs on it
    come in any order.
    """

    _connections: dict[str, Connection] = attrs.field(init=False, factory=dict)
    _sessions: Counter[str] = attrs.field(init=False, factory=Counter)
    _ended: Counter[str] = attrs.field(init=False, factory=Counter)

    # The life of a connection.

    def opened(
        self,
        connection_id: str,
        *,
        client_version: str,
        remote_address: str,
        close: Callable[[], None],
        now: int,
    ) -> Connection:
        """Enter a connection, with nobody logged in yet.

        @raise ValueError: for an id that is entered already.
        """
        if connection_id in self._connections:
            raise ValueError(f"connection {connection_id} is registered already")
        connection = Connection(connection_id, client_version, remote_address, now, now, close)
        self._connections[connection_id] = connection
        return connection

    def try_login(self, connection_id: str, username: str, max_sessions: int, now: int) -> bool:
        """Take one of the user's sessions for this connection, in one step.

        A connection counts once, whatever runs on it.  One that somebody else is logged in on is refused, and so is one
        that is gone.

        @param max_sessions: 0 or less for no limit.
        @return: whether the connection now is the user's.
        """
        connection = self._connections.get(connection_id)
        if connection is None or not username:
            return False
        if connection.username:
            return connection.username == username
        if 0 < max_sessions <= self._sessions[username]:
            return False
        connection.username = username
        connection.last_activity = now
        self._sessions[username] += 1
        return True

    def closed(self, connection_id: str) -> None:
        """Take a connection out, with all that runs on it, and give its session back.  May be called twice."""
        connection = self._connections.pop(connection_id, None)
        if connection is not None:
            self._count(connection.transfers)
            self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        username, connection.username = connection.username, ""
        if username:
            self._sessions[username] -= 1
            if not self._sessions[username]:
                del self._sessions[username]

    # What runs on it.

    def touched(self, connection_id: str, now: int) -> None:
        """A request has arrived."""
        connection = self._connections.get(connection_id)
        if connection is not None:
            connection.last_activity = now

    def channel_opened(self, connection_id: str, protocol: str, now: int, ssh_command: str = "") -> Channel:
        """A subsystem or a command has started; what is returned is for L{channel_closed}."""
        channel = Channel(protocol, ssh_command)
        connection = self._connections.get(connection_id)
        if connection is not None:
            connection.channels.append(channel)
            connection.last_activity = now
        return channel

    def channel_closed(self, connection_id: str, channel: Channel, now: int) -> None:
        """It has ended; the connection goes on with its other channels.  May be called twice."""
        connection = self._connections.get(connection_id)
        if connection is not None and channel in connection.channels:
            connection.channels.remove(channel)
            connection.last_activity = now

    def transfer_started(self, connection_id: str, operation_type: str, path: str, now: int) -> Transfer:
        """A file is open from now on; what is returned counts its bytes and is for L{transfer_ended}."""
        transfer = Transfer(operation_type, path, now, now)
        connection = self._connections.get(connection_id)
        if connection is not None:
            connection.transfers.append(transfer)
        return transfer

    def transfer_ended(self, connection_id: str, transfer: Transfer) -> None:
        """It is closed; its last activity stays the connection's.  May be called twice."""
        connection = self._connections.get(connection_id)
        if connection is not None and transfer in connection.transfers:
            connection.transfers.remove(transfer)
            self._count((transfer,))
            connection.last_activity = max(connection.last_activity, transfer.last_activity)

    def _count(self, ended: Iterable[Transfer]) -> None:
        for transfer in ended:
            self._ended[transfer.operation_type] += transfer.size

    # Questions.

    def get(self, connection_id: str) -> Connection | None:
        """The live entry, or None."""
        return self._connections.get(connection_id)

    def sessions(self, username: str) -> int:
        """How many connections this user is logged in on."""
        return self._sessions[username]

    def active(self) -> int:
        """How many connections L{snapshot} lists."""
        return sum(1 for connection in self._connections.values() if _listed(connection))

    def transfers(self) -> int:
        """How many transfers are running."""
        return sum(len(connection.transfers) for connection in self._connections.values())

    def moved(self) -> tuple[int, int]:
        """Bytes of all uploads and of all downloads since the start, those of running transfers as far as they are."""
        moved = self._ended.copy()
        for connection in self._connections.values():
            for transfer in connection.transfers:
                moved[transfer.operation_type] += transfer.size
        return moved[UPLOAD], moved[DOWNLOAD]

    def running(self) -> tuple[tuple[Connection, Transfer], ...]:
        """The transfers that are running, each with its connection, those of the oldest connection first."""
        return tuple(
            (connection, transfer) for connection in self._connections.values() for transfer in connection.transfers
        )

    def snapshot(self) -> tuple[ConnectionInfo, ...]:
        """The logged-in connections with a running channel, oldest first."""
        return tuple(_info(connection) for connection in self._connections.values() if _listed(connection))

    def idle_since(self, limit: int, now: int) -> tuple[Connection, ...]:
        """The logged-in connections where nothing has happened for more than C{limit} ms, oldest first.

        A channel need not run: a client that logs in and does nothing more is idle too.

        @param limit: 0 or less for no limit: none is idle.
        """
        if limit <= 0:
            return ()
        return tuple(
            connection
            for connection in self._connections.values()
            if connection.username and now - connection.latest_activity() > limit
        )

    def close(self, connection_id: str) -> bool:
        """Tell a connection to end; it is taken out when it has.  C{False}: there is none of this id."""
        connection = self._connections.get(connection_id)
        if connection is None:
            return False
        connection.close()
        return True


def _listed(connection: Connection) -> bool:
    return bool(connection.username and connection.channels)


def _info(connection: Connection) -> ConnectionInfo:
    newest = connection.channels[-1]
    return ConnectionInfo(
        connection.username,
        connection.connection_id,
        connection.client_version,
        connection.remote_address,
        connection.connection_time,
        connection.latest_activity(),
        newest.protocol,
        tuple(_transfer_info(transfer) for transfer in connection.transfers),
        newest.ssh_command,
    )


def _transfer_info(transfer: Transfer) -> TransferInfo:
    return TransferInfo(
        transfer.operation_type, transfer.start_time, transfer.size, transfer.last_activity, transfer.path
    )
