"""C{/api/v1/quota_scan}: counting what a home really holds."""

from __future__ import annotations

import attrs
from twisted.web.server import Request

from sftpgo.domain.user import User
from sftpgo.errors import NotFound
from sftpgo.interfaces import IAccounts, IScans
from sftpgo.jsons import user_from_json
from sftpgo.web import body, parameters
from sftpgo.web.respond import Answer, Refused, status_answer
from sftpgo.web.routes import Route

_PATH = "/api/v1/quota_scan"


class QuotaScans:
    """Lists, starts and cancels quota scans."""

    def __init__(self, accounts: IAccounts, scans: IScans) -> None:
        self._accounts = accounts
        self._scans = scans

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", _PATH, self.list),
            Route("POST", _PATH, self.start),
            Route("DELETE", _PATH, self.cancel),
        )

    async def list(self, _request: Request) -> Answer:
        """Those under way, with what they have counted so far."""
        return Answer([attrs.asdict(scan) for scan in self._scans.running()])

    async def start(self, request: Request) -> Answer:
        """Begin to scan the home of the user whose name is in the body; 409 when that is being done."""
        content = body.decode(body.read(request))
        try:
            wanted = user_from_json(content, User())
        except ValueError as error:
            raise Refused(400, str(error)) from error
        user = await self._accounts.by_name(wanted.username)
        if not self._scans.start(user):
            return status_answer(409, message="Another scan is already in progress")
        return status_answer(201, message="Scan started")

    async def cancel(self, request: Request) -> Answer:
        """End the scan of C{username} without a result."""
        username = parameters.Query(request).text("username")
        if not self._scans.cancel(username):
            raise NotFound("no scan of this user is in progress")
        return status_answer(200, message="Scan cancelled")
