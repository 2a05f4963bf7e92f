"""Pages for people: how every one of them is rendered, what protects it, and how an error looks as a page."""

from __future__ import annotations

import gzip
from typing import Final

import attrs
from twisted.python.failure import Failure

from sftpgo.errors import MethodDisabled, NotFound, ProviderError
from sftpgo.log import Log
from sftpgo.version import VersionInfo
from sftpgo.web import respond
from sftpgo.web.accepting import takes_gzip
from sftpgo.web.metrics import RunInThread
from sftpgo.web.request import Request
from sftpgo.web.respond import Answer, Content, Result
from sftpgo.web.templates import Templates
from sftpgo.web.tokens import Tokens

CONTENT_TYPE: Final = "text/html; charset=utf-8"

#: Nothing inline, nothing from elsewhere, in nobody's frame.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Encoding",
}

#: Of the compression: it makes 17 KB of the 500 KB of a page of 250 users, in some milliseconds.
_EFFORT: Final = 3

#: Status -> title and what it means.
_ERRORS: Final = {
    400: ("Bad request", "The address or the form is not one that this page knows."),
    401: ("Not logged in", "Name and password are missing or wrong."),
    403: ("Forbidden", "This is not allowed."),
    404: ("Not found", "There is no such page, or what it showed is gone."),
    405: ("Method not allowed", "This page cannot be asked that way."),
    413: ("Too much", "What was sent is larger than this server takes."),
    429: ("Too many attempts", "Too many logins from this address have failed; wait a few minutes."),
    500: ("Internal Server Error", "Something went wrong here; the server's log says what."),
}


@attrs.frozen
class Pages:
    """Renders pages.

    @ivar version: for the foot of each page.
    @ivar run_in_thread: calls a function off the reactor: a page of hundreds of users takes a tenth of a second.
    @ivar tokens: for the forms on them.
    """

    templates: Templates
    version: VersionInfo
    run_in_thread: RunInThread
    tokens: Tokens = attrs.field(factory=Tokens)

    async def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> Content:
        """A page, made in a thread: nothing in C{values} may change meanwhile.

        Besides C{values} a template knows C{path} (of the request), C{version}, C{token} (for C{form_token}) and
        C{user} (who has logged in by the log-in page, or C{""}).
        """
        known, packed = self._known(request), _packed(request)
        page: Content = await self.run_in_thread(self._made, template, {**known, **values}, packed, status)
        return page

    def error(self, request: Request, status: int, text: str = "") -> Content:
        """The page of an error; C{text} is what is known of it."""
        title, meaning = _ERRORS.get(status, ("Error", "The server did not do that."))
        return self._small(request, "error.html", status, title=title, meaning=meaning, text=text)

    def unavailable(self, request: Request, text: str) -> Content:
        """The page that says that the data provider is down."""
        return self._small(request, "unavailable.html", 500, text=text)

    def _small(self, request: Request, template: str, status: int, **values: object) -> Content:
        return self._made(template, {**self._known(request), **values}, _packed(request), status)

    def _known(self, request: Request) -> dict[str, object]:
        session = request.session
        return {
            "path": request.path.decode("ascii", "replace"),
            "version": str(self.version),
            "token": self.tokens.issue(request),
            "user": session.username if session is not None else "",
        }

    def _made(self, template: str, values: dict[str, object], packed: bool, status: int) -> Content:
        body = self.templates.render(template, values)
        # The one secret of a page is its token, which is another text each time: the length tells nothing of it.
        if packed:
            body = gzip.compress(body, _EFFORT, mtime=0)
            return Content(body, CONTENT_TYPE, {**_HEADERS, "Content-Encoding": "gzip"}, status)
        return Content(body, CONTENT_TYPE, _HEADERS, status)

    def answer_to_failure(self, request: Request, failure: Failure, log: Log) -> Result:
        """What a client is told of an error: a page where it asked for one, else what a program is told."""
        answer = respond.answer_to_failure(request, failure, log)
        if not is_page(request.path) or not isinstance(answer, Answer) or answer.status == 204:
            return answer
        try:
            return self._page_of(request, failure.value, answer)
        except Exception:  # whatever may be wrong in a template of somebody's own
            log.failure("the page of an error cannot be shown", Failure())
            return answer

    def _page_of(self, request: Request, error: BaseException | None, answer: Answer) -> Content:
        if isinstance(error, ProviderError):
            return self.unavailable(request, str(error))
        told = error if isinstance(error, respond.Refused | NotFound | MethodDisabled) else ""
        return self.error(request, answer.status, str(told))


def _packed(request: Request) -> bool:
    return takes_gzip(request.getHeader(b"accept-encoding") or b"")


def is_page(path: bytes) -> bool:
    """Whether people ask for this path; C{/web/} alone is none of the pages, and answered as it always was."""
    return path in (b"/", b"/web") or (path.startswith(b"/web/") and path != b"/web/")
