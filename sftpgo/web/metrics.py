"""C{/metrics}: what Prometheus reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.web.server import Request

from sftpgo.metrics import Metrics
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route

RunInThread = Callable[..., Awaitable[Any]]


class MetricsPage:
    """Shows the metrics.

    @param run_in_thread: calls a function off the reactor: reading C{/proc} and compressing take milliseconds.
    """

    def __init__(self, metrics: Metrics, run_in_thread: RunInThread) -> None:
        self._metrics = metrics
        self._run_in_thread = run_in_thread

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/metrics", self.get),)

    async def get(self, request: Request) -> Content:
        """Everything, in the text format of Prometheus."""
        accepted = (request.getHeader(b"accept-encoding") or b"").decode("ascii", "replace")
        content, headers = await self._run_in_thread(self._metrics.exposition, accepted)
        content_type = headers.pop("Content-Type")
        return Content(content, content_type, headers)
