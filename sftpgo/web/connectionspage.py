"""C{/web/connections}: who is connected and what they do, and the way to end it."""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IReactorTime

from sftpgo.domain.connection import UPLOAD, ConnectionInfo, ConnectionRegistry, TransferInfo
from sftpgo.web.form import sent_with
from sftpgo.web.pages import Pages
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content, Refused
from sftpgo.web.routes import Route

_PATH = "/web/connections"

#: Rows of the table; the filter finds the others.
MOST = 200


@attrs.frozen
class ShownTransfer:
    """A transfer in words.

    @ivar kind: C{UL} or C{DL}.
    @ivar elapsed: milliseconds.
    @ivar speed: bytes in a second, on average.
    """

    kind: str
    path: str
    size: int
    elapsed: int
    speed: float

    @classmethod
    def of(cls, transfer: TransferInfo, now: int) -> ShownTransfer:
        """As it is C{now}, in unix milliseconds."""
        elapsed = max(0, now - transfer.start_time)
        speed = transfer.size * 1000 / elapsed if elapsed else 0.0
        kind = "UL" if transfer.operation_type == UPLOAD else "DL"
        return cls(kind, transfer.path, transfer.size, elapsed, speed)


@attrs.frozen
class ShownConnection:
    """A row of the table.

    @ivar elapsed: milliseconds since it began.
    @ivar info: protocol, client, address and command in words.
    """

    connection_id: str
    username: str
    remote_address: str
    elapsed: int
    info: str
    transfers: tuple[ShownTransfer, ...]

    @classmethod
    def of(cls, connection: ConnectionInfo, now: int) -> ShownConnection:
        """As it is C{now}, in unix milliseconds."""
        return cls(
            connection.connection_id,
            connection.username,
            connection.remote_address,
            max(0, now - connection.connection_time),
            info(connection),
            tuple(ShownTransfer.of(transfer, now) for transfer in connection.active_transfers),
        )


def info(connection: ConnectionInfo) -> str:
    """C{SFTP. Client: "SSH-2.0-x" From: "ip:port"}, and the command of those that run one."""
    text = f'{connection.protocol}. Client: "{connection.client_version}" From: "{connection.remote_address}"'
    if connection.protocol != "SFTP" and connection.ssh_command:
        text += f'. Command: "{connection.ssh_command}"'
    return text


class ConnectionsPage:
    """The table, and the question before one is ended."""

    def __init__(self, registry: ConnectionRegistry, pages: Pages, clock: IReactorTime) -> None:
        self._registry = registry
        self._pages = pages
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        one = f"{_PATH}/<connection_id>"
        return (
            Route("GET", _PATH, self.list, page=True),
            Route("GET", one, self.ask, page=True),
            Route("POST", one, self.end, page=True),
        )

    async def list(self, request: Request) -> Content:
        """The table: oldest first, at most L{MOST} of those that have C{q} in what is shown of them."""
        query = Query(request)
        word = query.text("q").strip()
        connections = self._registry.snapshot()
        matching = [connection for connection in connections if _matches(connection, word.lower())]
        now = self._now()
        return await self._pages.render(
            request,
            "connections.html",
            connections=[ShownConnection.of(connection, now) for connection in matching[:MOST]],
            total=len(connections),
            word=word,
            ended=query.text("ended") == "1",
            now=now,
        )

    async def ask(self, request: Request, connection_id: str) -> Content:
        """The question."""
        found = self._find(connection_id)
        if found is None:
            return self._gone(request)
        return await self._pages.render(request, "disconnect.html", connection=ShownConnection.of(found, self._now()))

    async def end(self, request: Request, connection_id: str) -> Content:
        """Tell it to end, and back to the table."""
        if not self._pages.tokens.good(request, sent_with(request).text("form_token")):
            raise Refused(403, "this page was open for too long: load it again, and nothing has changed")
        if not self._registry.close(connection_id):
            return self._gone(request)
        return Content(b"", "text/plain", {"Location": f"{_PATH}?ended=1"}, 303)

    def _find(self, connection_id: str) -> ConnectionInfo | None:
        return next((each for each in self._registry.snapshot() if each.connection_id == connection_id), None)

    def _gone(self, request: Request) -> Content:
        return self._pages.error(request, 404, "This connection has ended already.")

    def _now(self) -> int:
        return round(self._clock.seconds() * 1000)


def _matches(connection: ConnectionInfo, word: str) -> bool:
    words = (connection.username, connection.remote_address, connection.client_version, connection.protocol)
    return word in "\n".join(words).lower()
