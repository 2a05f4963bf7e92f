"""Who may go on when there is a file of users: programs by Basic authentication, browsers by the log-in page too."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from sftpgo.web import body, cookies
from sftpgo.web.authenticate import Authentication
from sftpgo.web.gate import check_own_page
from sftpgo.web.pages import Pages, is_page
from sftpgo.web.request import Request
from sftpgo.web.respond import Content, Instead, Refused
from sftpgo.web.sessions import Session, Sessions

COOKIE: Final = "sftpgo_session"
LOGIN: Final = "/web/login"

#: What is typed into the forms at these addresses is carried through the log-in page.
_KEPT: Final = re.compile(r"/web/user(/[^/]+)?")

_OWN_PATH: Final = re.compile(r"/web(/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?", re.ASCII)

#: Where to go when nobody says so.
HOME: Final = "/web/users"

#: Never carried through the log-in page: a password has no business in one, and the token is of the old session.
_LEFT_OUT: Final = frozenset({"password", "form_token"})

#: Bytes of what was typed that go through the log-in page.
MAX_DRAFT: Final = 256 * 1024

#: Bytes of the forms that are a button and no more.
_MAX_SMALL: Final = 16 * 1024

#: Whoever could not see these could not log in.
_OPEN: Final = (b"/web/login", b"/static")


class Entrance:
    """The guard of a site with users."""

    def __init__(self, authentication: Authentication, sessions: Sessions, pages: Pages) -> None:
        self._authentication = authentication
        self._sessions = sessions
        self._pages = pages

    async def require(self, request: Request) -> None:
        """Return when the request may go on, with its session if it has one.

        @raise Refused: for wrong credentials, or for none where a program asks.
        @raise Instead: with the log-in page where a browser asks for a page.
        """
        session = await self._session(request)
        if session is not None:
            if not is_page(request.path):
                check_own_page(request)
            request.session = session
            return
        if request.path in _OPEN or request.path.startswith(b"/static/"):
            return
        if is_page(request.path) and request.getHeader(b"authorization") is None:
            raise Instead(await self._log_in_first(request))
        if _asks_behind_a_page(request) and cookies.read(request, COOKIE):
            # A challenge for name and password would open the browser's own window over the page.
            request.setHeader(b"WWW-Authenticate", b'Cookie realm="sftpgo"')
            raise Refused(401, "the session has ended")
        await self._authentication.require(request)

    async def _session(self, request: Request) -> Session | None:
        session_id = cookies.read(request, COOKIE)
        session = self._sessions.find(session_id) if session_id else None
        if session is None:
            return None
        if not await self._authentication.still(session.username, session.stored):
            self._sessions.close(session_id)
            return None
        return session

    async def _log_in_first(self, request: Request) -> Content:
        if request.method != b"POST":
            after = request.uri.decode("ascii", "replace")
            headers = {"Location": f"{LOGIN}?next={quote(after, safe='/')}"}
            return Content(b"", "text/plain", headers, 303)
        sent = body.read(request)
        after, draft = request.path.decode("ascii", "replace"), ""
        if _KEPT.fullmatch(after):
            # Nothing of it is kept here, where anybody could send it: the page carries it along.
            draft = await self._pages.run_in_thread(draft_of, sent)
        else:
            # There is no page at that address: back to the one that had the button.
            after = _field(sent, "back")
        values = {"next": own_path(after), "draft": draft, "ended": True, "error": "", "name": ""}
        return await self._pages.render(request, "login.html", status=403, **values)


def _asks_behind_a_page(request: Request) -> bool:
    """Whether a script of a page asks, by itself (Fetch Metadata, section 2.1)."""
    header = request.getHeader
    return header(b"sec-fetch-dest") == b"empty" and header(b"authorization") is None


def own_path(address: str) -> str:
    """Where to go afterwards: a page of ours, whatever was asked for."""
    path = address.partition("?")[0]
    # A browser takes %2e for a dot, and then goes up (WHATWG URL, section 4.4): not every GET is harmless.
    dots = any(part in (".", "..") for part in unquote(path).split("/"))
    if not _OWN_PATH.fullmatch(address) or dots or path.startswith(LOGIN):
        return HOME
    return address


def _field(sent: bytes, wanted: str) -> str:
    if len(sent) > _MAX_SMALL:
        return ""
    try:
        return dict(parse_qsl(sent.decode("utf-8", "replace"), max_num_fields=100)).get(wanted, "")
    except ValueError:
        return ""


def draft_of(sent: bytes) -> str:
    """What was typed into a form, urlencoded, without passwords; empty when it is too much."""
    if len(sent) > MAX_DRAFT:
        return ""
    try:
        fields = parse_qsl(sent.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10_000)
    except ValueError:
        return ""
    text = urlencode([(name, value) for name, value in fields if name not in _LEFT_OUT])
    return text if len(text) <= MAX_DRAFT else ""
