"""C{/web/user/{id}/...}: what can be done to a user besides filling in the form."""

from __future__ import annotations

from typing import Final

import attrs
from twisted.internet.defer import DeferredLock

from sftpgo.domain.user import STATUS_DISABLED, STATUS_ENABLED, User
from sftpgo.errors import MethodDisabled, ProviderError
from sftpgo.interfaces import IAccounts, IScans
from sftpgo.web import form, notices, parameters
from sftpgo.web.entrance import own_path
from sftpgo.web.form import Form
from sftpgo.web.login import moved
from sftpgo.web.pages import Pages
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content, Refused
from sftpgo.web.routes import Route

_STALE: Final = "this page was open for too long, or the server was started again: load it once more, and try again"
_USER: Final = "/web/user/<user_id>"


class UserActions:
    """Deletes, enables and disables users, and scans what they use.

    @param changes: held while a record is loaded and stored.
    """

    def __init__(self, accounts: IAccounts, scans: IScans, changes: DeferredLock, pages: Pages) -> None:
        self._accounts = accounts
        self._scans = scans
        self._changes = changes
        self._pages = pages

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", f"{_USER}/delete", self.ask, page=True),
            Route("POST", f"{_USER}/delete", self.delete, page=True),
            Route("POST", f"{_USER}/status", self.set_status, page=True),
            Route("POST", f"{_USER}/scan", self.scan, page=True),
            Route("POST", f"{_USER}/scan/cancel", self.cancel, page=True),
        )

    async def ask(self, request: Request, user_id: str) -> Content:
        """The page on which the name has to be typed."""
        user = await self._accounts.by_id(parameters.user_id(user_id))
        return await self._question(request, user, own_path(Query(request).text("back")))

    async def delete(self, request: Request, user_id: str) -> Content:
        """Delete who was named."""
        wanted, given = parameters.user_id(user_id), form.sent_with(request)
        user = await self._accounts.by_id(wanted)
        back, name = own_path(given.text("back")), given.text("confirm")
        if not self._pages.tokens.good(request, given.text("form_token")):
            return await self._question(request, user, back, name, _STALE)
        if not _same(name, user.username):
            return await self._question(request, user, back, name, f"Type “{user.username}” to delete this user.")
        try:
            await self._accounts.delete(wanted)
        except (ProviderError, MethodDisabled) as error:
            return await self._question(request, user, back, name, str(error))
        notices.leave(request, "deleted", user.username)
        return moved(back)

    async def set_status(self, request: Request, user_id: str) -> Content:
        """Let a user log in, or no longer; nothing else of the record is touched."""
        wanted, given = parameters.user_id(user_id), self._own_form(request)
        status = {"0": STATUS_DISABLED, "1": STATUS_ENABLED}.get(given.text("status"))
        if status is None:
            raise Refused(400, "Invalid status")
        async with self._changes:
            user = await self._accounts.by_id(wanted)
            await self._accounts.update(attrs.evolve(user, status=status))
        notices.leave(request, "enabled" if status == STATUS_ENABLED else "disabled", user.username)
        return moved(own_path(given.text("back")))

    async def scan(self, request: Request, user_id: str) -> Content:
        """Count what the home holds."""
        wanted, given = parameters.user_id(user_id), self._own_form(request)
        user = await self._accounts.by_id(wanted)
        notices.leave(request, "scan" if self._scans.start(user) else "scanning", user.username)
        return moved(own_path(given.text("back")))

    async def cancel(self, request: Request, user_id: str) -> Content:
        """Stop counting."""
        wanted, given = parameters.user_id(user_id), self._own_form(request)
        user = await self._accounts.by_id(wanted)
        kind = "cancelled" if self._scans.cancel(user.username) else "not_scanning"
        notices.leave(request, kind, user.username)
        return moved(own_path(given.text("back")))

    def _own_form(self, request: Request) -> Form:
        given = form.sent_with(request)
        if not self._pages.tokens.good(request, given.text("form_token")):
            raise Refused(403, _STALE)
        return given

    async def _question(self, request: Request, user: User, back: str, name: str = "", error: str = "") -> Content:
        return await self._pages.render(request, "delete.html", victim=user, back=back, confirm=name, error=error)


def _same(typed: str, username: str) -> bool:
    """Whether this is the name; spaces at its ends, and how lines end in it, a field does not keep."""
    words = typed.split()
    return typed == username or (bool(words) and words == username.split())
