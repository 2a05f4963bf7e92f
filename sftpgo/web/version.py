"""C{/api/v1/version}: which server this is."""

from __future__ import annotations

from twisted.web.server import Request

from sftpgo.version import VersionInfo
from sftpgo.web.respond import Answer
from sftpgo.web.routes import Route


class Version:
    """Tells the version."""

    def __init__(self, version: VersionInfo) -> None:
        self._version = version

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/version", self.get),)

    async def get(self, _request: Request) -> Answer:
        """Three strings; those the build did not tell are empty."""
        version = self._version
        return Answer(
            {"version": version.version, "build_date": version.build_date, "commit_hash": version.commit_hash}
        )
