"""C{/web/status}: the dashboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter

import attrs

from sftpgo.domain.activity import Totals
from sftpgo.web.pages import Pages
from sftpgo.web.request import Request
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route
from sftpgo.web.status import Status

_MINUTE = 60_000

_PLOTTED = attrgetter("time", "connections", "transfers", "uploaded", "downloaded", "logins_ok", "logins_failed")


@attrs.frozen
class Minute:
    """What happened in one minute.

    @ivar time: its end, in unix milliseconds.
    @ivar uploaded: bytes; C{downloaded}: likewise.
    @ivar connections: at its end; C{transfers}: likewise.
    """

    time: int
    uploaded: int
    downloaded: int
    connections: int
    transfers: int
    logins_ok: int
    logins_failed: int


def minutes(history: Sequence[Totals]) -> list[Minute]:
    """What remembered moments tell of the whole minutes before the last one, the latest first."""
    told: list[Minute] = []
    if not history:
        return told
    after = history[-1]
    for before in reversed(history[:-1]):
        if after.time - before.time >= _MINUTE:
            told.append(
                Minute(
                    after.time,
                    after.uploaded - before.uploaded,
                    after.downloaded - before.downloaded,
                    after.connections,
                    after.transfers,
                    after.logins_ok - before.logins_ok,
                    after.logins_failed - before.logins_failed,
                )
            )
            after = before
    return told


class StatusPage:
    """How the server is, for people."""

    def __init__(self, status: Status, pages: Pages) -> None:
        self._status = status
        self._pages = pages

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/web/status", self.get, page=True),)

    async def get(self, request: Request) -> Content:
        """Everything as it is now; scripts make it move."""
        status = await self._status.now()
        return await self._pages.render(
            request,
            "status.html",
            server=status,
            totals=status.totals,
            minutes=minutes(status.history),
            history=_compact((*status.history, status.totals)),
        )


def _compact(history: Sequence[Totals]) -> str:
    """The moments as JSON: lists of what the plots show, in the order in which C{status.js} names it."""
    return json.dumps([_PLOTTED(each) for each in history], separators=(",", ":"))
