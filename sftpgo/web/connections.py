"""C{/api/v1/connection}: who is connected, and the way to end it."""

from __future__ import annotations

import attrs
from twisted.web.server import Request

from sftpgo.domain.connection import ConnectionInfo, ConnectionRegistry
from sftpgo.web.respond import Answer, status_answer
from sftpgo.web.routes import Route

_PATH = "/api/v1/connection"


class Connections:
    """Lists and closes connections."""

    def __init__(self, registry: ConnectionRegistry) -> None:
        self._registry = registry

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", _PATH, self.list), Route("DELETE", f"{_PATH}/<connection_id>", self.close))

    async def list(self, _request: Request) -> Answer:
        """Those with a running channel, oldest first."""
        return Answer([shown(connection) for connection in self._registry.snapshot()])

    async def close(self, _request: Request, connection_id: str) -> Answer:
        """Tell one to end."""
        if not self._registry.close(connection_id):
            return status_answer(404, message="Not Found")
        return status_answer(200, message="Connection closed")


def shown(connection: ConnectionInfo) -> dict[str, object]:
    """A connection as the API shows it, the keys in its order."""
    return attrs.asdict(connection)
