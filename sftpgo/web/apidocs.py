"""C{/api/v1/openapi.yaml} and C{/docs}: the description of the API, and a viewer that is served from here too."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

import attrs
from twisted.web.server import Request
from werkzeug.exceptions import NotFound as NoSuchPath

from sftpgo.web.accepting import takes_gzip
from sftpgo.web.metrics import RunInThread
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route

_HERE: Final = Path(__file__).parent
DESCRIPTION: Final = _HERE / "openapi.yaml"
_STATIC: Final = _HERE / "static" / "docs"

#: The viewer builds its page by scripts of its own and sets styles on what it builds; nothing comes from elsewhere.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}


@attrs.frozen
class _Asset:
    """A file as it is and compressed."""

    plain: bytes
    packed: bytes

    @classmethod
    def read(cls, path: Path) -> _Asset:
        plain = path.read_bytes()
        return cls(plain, gzip.compress(plain, mtime=0))


class APIDocs:
    """Serves a few files, read when they are first asked for.

    @param run_in_thread: calls a function off the reactor.
    """

    def __init__(self, run_in_thread: RunInThread) -> None:
        self._run_in_thread = run_in_thread
        self._assets: dict[Path, _Asset] = {}

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", "/api/v1/openapi.yaml", self.description),
            Route("GET", "/docs", self.page),
            Route("GET", "/docs/<name>", self.file),
        )

    async def description(self, request: Request) -> Content:
        """The API in OpenAPI 3.1 (the media type is of RFC 9512)."""
        return await self._serve(request, DESCRIPTION, "application/yaml")

    async def page(self, request: Request) -> Content:
        """The viewer's page."""
        return await self._serve(request, _STATIC / "index.html", "text/html; charset=utf-8")

    async def file(self, request: Request, name: str) -> Content:
        """What the page needs."""
        if name not in _TYPES:
            raise NoSuchPath
        return await self._serve(request, _STATIC / name, _TYPES[name])

    async def _serve(self, request: Request, path: Path, content_type: str) -> Content:
        asset = self._assets.get(path)
        if asset is None:
            asset = self._assets[path] = await self._run_in_thread(_Asset.read, path)
        headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer", "Vary": "Accept-Encoding"}
        if takes_gzip(request.getHeader(b"accept-encoding") or b""):
            return Content(asset.packed, content_type, headers | {"Content-Encoding": "gzip"})
        return Content(asset.plain, content_type, headers)
