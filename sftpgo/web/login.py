"""C{/web/login} and C{/web/logout}."""

from __future__ import annotations

from typing import Final

from sftpgo.web import body, cookies, entrance, form
from sftpgo.web.authenticate import Authentication
from sftpgo.web.entrance import own_path
from sftpgo.web.form import Form
from sftpgo.web.pages import Pages
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content, Refused
from sftpgo.web.routes import Route
from sftpgo.web.sessions import Draft, Sessions

_STALE: Final = "This page was open for too long, or the server was started again. Please log in now."

#: Fields of the log-in page and some more; whoever sends them need not have logged in.
_MAX_FIELDS: Final = 20


class Login:
    """Opens and closes sessions.

    @param authentication: C{None} where everybody may do everything: then there is nothing to log in to.
    """

    def __init__(self, authentication: Authentication | None, sessions: Sessions, pages: Pages) -> None:
        self._authentication = authentication
        self._sessions = sessions
        self._pages = pages

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", entrance.LOGIN, self.page, page=True),
            Route("POST", entrance.LOGIN, self.log_in, page=True),
            Route("POST", "/web/logout", self.log_out, page=True),
        )

    async def page(self, request: Request) -> Content:
        """The form; whoever needs none is sent on."""
        after = own_path(Query(request).text("next"))
        if self._authentication is None or request.session is not None:
            return moved(after)
        return await self._show(request, after)

    async def log_in(self, request: Request) -> Content:
        """Check name and password; then what was wanted before, with a new session."""
        # A draft in it may be long, and anybody may send this.
        given: Form = await self._pages.run_in_thread(Form.parse, body.read(request), _MAX_FIELDS)
        after, name = own_path(given.text("next")), given.text("username")
        if self._authentication is None:
            return moved(after)
        if not self._pages.tokens.good(request, given.text("form_token")):
            return await self._show(request, after, given, _STALE)
        try:
            stored = await self._authentication.admits(request, name, given.text("password").encode("utf-8"))
        except Refused as refused:
            return await self._show(request, after, given, str(refused), status=refused.status)
        if stored is None:
            return await self._show(request, after, given, "Name or password is wrong.")
        if request.session is not None:
            self._sessions.close(request.session.id)
        draft = given.text("draft").encode("utf-8")[: entrance.MAX_DRAFT]
        session = self._sessions.open(name, stored, Draft(after, draft) if draft else None)
        cookies.send(request, entrance.COOKIE, session.id)
        return moved(after)

    async def log_out(self, request: Request) -> Content:
        """End the session."""
        given = form.sent_with(request)
        if not self._pages.tokens.good(request, given.text("form_token")):
            raise Refused(403, "this page was open for too long: load it again, then log out")
        if request.session is not None:
            self._sessions.close(request.session.id)
        cookies.send(request, entrance.COOKIE, "")
        return moved(entrance.LOGIN)

    async def _show(
        self, request: Request, after: str, given: Form | None = None, error: str = "", status: int = 200
    ) -> Content:
        given = given or Form({})
        return await self._pages.render(
            request,
            "login.html",
            status=status,
            next=after,
            draft=given.text("draft"),
            ended=bool(given.text("draft")),
            error=error,
            name=given.text("username"),
        )


def moved(path: str, status: int = 303) -> Content:
    """Another page, to be asked for by GET."""
    return Content(b"", "text/plain", {"Location": path}, status)
