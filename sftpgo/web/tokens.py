"""Form tokens: proof that a form that is sent was made here, for this browser.

Who has logged in is known by a session; else a cookie of its own tells one browser from another.  The token is worth
nothing without the cookie it belongs to, and nothing any more after a restart of the server.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from typing import Final

from sftpgo.web import cookies
from sftpgo.web.request import Request

#: Beside it nothing is remembered of a browser that did not log in.
COOKIE: Final = "sftpgo_form"

_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class Tokens:
    """Makes tokens and checks them."""

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def issue(self, request: Request) -> str:
        """The token for the forms of a page; a browser that was not seen before gets its cookie with it."""
        bound = self._bound(request)
        if not bound:
            bound = secrets.token_urlsafe(32)
            cookies.send(request, COOKIE, bound)
        return self._token(bound)

    def good(self, request: Request, token: str) -> bool:
        """Whether this is the token of a page that this browser was given."""
        bound = self._bound(request)
        return bool(bound) and hmac.compare_digest(self._token(bound).encode(), token.encode("utf-8", "replace"))

    def _bound(self, request: Request) -> str:
        if request.session is not None:
            return str(request.session.id)
        value = cookies.read(request, COOKIE)
        return value if _FORM.fullmatch(value) else ""

    def _token(self, bound: str) -> str:
        return hmac.new(self._key, bound.encode("ascii"), "sha256").hexdigest()
