"""C{/api/v1/providerstatus}: whether the data provider answers."""

from __future__ import annotations

from twisted.web.server import Request

from sftpgo.interfaces import IDataProvider
from sftpgo.web.respond import Answer, status_answer
from sftpgo.web.routes import Route


class ProviderStatus:
    """Asks the data provider for a sign of life."""

    def __init__(self, provider: IDataProvider) -> None:
        self._provider = provider

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/providerstatus", self.get),)

    async def get(self, _request: Request) -> Answer:
        """C{Alive}, or 500 with what is wrong."""
        await self._provider.check()
        return status_answer(200, message="Alive")
