"""C{/api/v1/explain}: which rule decides on a request of a user."""

from __future__ import annotations

import attrs
from twisted.web.server import Request

from sftpgo.interfaces import IExplainer
from sftpgo.web import parameters
from sftpgo.web.respond import Answer, Refused
from sftpgo.web.routes import Route


class Explain:
    """Judges requests without carrying them out."""

    def __init__(self, explainer: IExplainer) -> None:
        self._explainer = explainer

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/explain", self.get),)

    async def get(self, request: Request) -> Answer:
        """The verdict on C{operation} on C{path} by C{username}, coming from C{ip}."""
        query = parameters.Query(request)
        username, operation = query.text("username"), query.text("operation")
        try:
            verdict = await self._explainer.explain(username, operation, query.text("path"), query.text("ip"))
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return Answer(attrs.asdict(verdict))
