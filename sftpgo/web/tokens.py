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

#: Bytes of a digest, and the form of a token: a mask and the masked digest.
_SIZE: Final = 32
_TOKEN: Final = re.compile(r"[0-9a-f]{128}", re.ASCII)

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
        return self._masked(self._digest(bound))

    def good(self, request: Request, token: str) -> bool:
        """Whether this is the token of a page that this browser was given."""
        bound = self._bound(request)
        return bool(bound) and hmac.compare_digest(self._digest(bound), _unmasked(token))

    def _bound(self, request: Request) -> str:
        if request.session is not None:
            return str(request.session.id)
        value = cookies.read(request, COOKIE)
        return value if _FORM.fullmatch(value) else ""

    def _digest(self, bound: str) -> bytes:
        return hmac.digest(self._key, bound.encode("ascii"), "sha256")

    def _masked(self, digest: bytes) -> str:
        """Another text each time: of a page that is compressed its length tells nothing about the token."""
        mask = secrets.token_bytes(len(digest))
        return mask.hex() + _mixed(digest, mask).hex()


def _unmasked(token: str) -> bytes:
    """The digest in a token; of what is none something that fits nothing."""
    if not _TOKEN.fullmatch(token):
        return b""
    sent = bytes.fromhex(token)
    return _mixed(sent[:_SIZE], sent[_SIZE:])


def _mixed(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
