"""Where the pages begin."""

from __future__ import annotations

from sftpgo.web.entrance import HOME
from sftpgo.web.login import moved
from sftpgo.web.request import Request
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route


class Redirects:
    """C{/} and C{/web}."""

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return tuple(Route("GET", path, self.get, page=True) for path in ("/", "/web"))

    async def get(self, _request: Request) -> Content:
        """The first page."""
        return moved(HOME, status=301)
