"""Who may ask at all: browsers that somebody else's page sends here are turned away.

Without authentication a server on the loopback interface trusts whoever can reach it, and every page in a browser on
that machine can.  What a page cannot forge tells them apart: C{Host} names what the browser believes it talks to (a
name that was rebound to 127.0.0.1 is still another name), C{Origin} and C{Sec-Fetch-Site} where the request comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import NotFound as NoSuchPath

from sftpgo.log import Log
from sftpgo.web import respond
from sftpgo.web.request import Request
from sftpgo.web.respond import Refused, Result

#: As they stand in a C{Host} header, without the port.
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@?#\s]+)(?::[0-9]{0,5})?")
_SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_OF_BROWSERS = (b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"referer", b"cookie")
_OWN_SITES = frozenset({b"same-origin", b"none"})


def hosts_for(bind_address: str) -> frozenset[str] | None:
    """The names by which a server that listens on this address may be called; C{None} for any."""
    if bind_address.lower() == "localhost":
        return LOOPBACK_HOSTS
    try:
        address = ip_address(bind_address)
    except ValueError:
        return None
    if not address.is_loopback:
        return None
    return LOOPBACK_HOSTS | {f"[{address}]" if address.version == 6 else str(address)}


#: Makes the answer to what failed.
ErrorHandler = Callable[[Request, Failure, Log], Result]


class Guard(Protocol):
    """Who says who may ask."""

    async def require(self, request: Request) -> None:
        """Return when the request may go on; raise L{Refused} or L{sftpgo.web.respond.Instead} when it may not."""


class Gate(Resource):
    """Looks at every request before it is routed.

    @param routes: what answers the requests that pass.
    @param hosts: the names, without ports, that the server may be called by; C{None} for any.
    @param authentication: who may ask at all; C{None} for everybody.
    @param failed: makes the answer to what is refused.
    """

    isLeaf = True

    def __init__(
        self,
        routes: IResource,
        hosts: Collection[str] | None,
        log: Log,
        authentication: Guard | None = None,
        failed: ErrorHandler = respond.answer_to_failure,
    ) -> None:
        super().__init__()
        self._routes = routes
        self.answer_to(hosts)
        self._log = log
        self._authentication = authentication
        self._failed = failed

    def answer_to(self, hosts: Collection[str] | None) -> None:
        """Be called by these names from now on; C{None} for any."""
        self._hosts = None if hosts is None else frozenset(host.lower().encode("ascii") for host in hosts)

    def render(self, request: Request) -> int:
        """Hand over to the routes, or refuse."""
        try:
            self._check(request)
        except (Refused, NoSuchPath):
            respond.send(request, self._failed(request, Failure(), self._log))
            return NOT_DONE_YET
        if self._authentication is not None:
            self._enter(request, self._authentication)
            return NOT_DONE_YET
        routed: int = self._routes.render(request)
        return routed

    def _enter(self, request: Request, authentication: Guard) -> None:
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def passed(_: None) -> None:
            if not gone:
                self._routes.render(request)

        def refused(failure: Failure) -> None:
            if not gone:
                respond.send(request, self._failed(request, failure, self._log))

        Deferred.fromCoroutine(authentication.require(request)).addCallback(passed).addErrback(refused)

    def _check(self, request: Request) -> None:
        self._check_host(request)
        _check_path(request)
        if request.method not in _SAFE_METHODS:
            check_origin(request)
        if request.body_too_long:
            raise Refused(413, "Request body too large")

    def _check_host(self, request: Request) -> None:
        """RFC 9112, section 3.2, and the allow-list."""
        hosts = request.requestHeaders.getRawHeaders(b"Host") or []
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            raise Refused(400, "exactly one Host header is needed")
        host = hosts[0] if hosts else b""
        found = _HOST.fullmatch(host)
        if host and not found:
            raise Refused(400, "the Host header is malformed")
        name = found[1].lower() if found else b""
        if self._hosts is not None and name not in self._hosts:
            raise Refused(403, "the Host header names a host that this server is not called by")


def check_origin(request: Request) -> None:
    """Refuse a request that a page of another site makes a browser send; for whatever changes something.

    Who is no browser sends neither header and passes.

    @raise Refused: with 403.
    """
    headers = request.requestHeaders
    site = headers.getRawHeaders(b"Sec-Fetch-Site") or []
    origins = headers.getRawHeaders(b"Origin") or []
    host = (request.getHeader(b"host") or b"").lower()
    # The scheme is left out: in front of us somebody else may have ended the TLS.
    own = {b"http://" + host, b"https://" + host}
    if any(value not in _OWN_SITES for value in site) or any(origin.lower() not in own for origin in origins):
        raise Refused(403, "the request comes from a page of another site")


def check_own_page(request: Request) -> None:
    """Refuse a request that was let in by a cookie, unless a page of ours sends it.

    The cookie goes wherever the browser believes the same site to be, which another port of this host is as well.

    @raise Refused: with 403.
    """
    check_origin(request)
    header = request.getHeader
    proven = header(b"origin") is not None or header(b"sec-fetch-site") == b"same-origin"
    if request.method not in _SAFE_METHODS and not proven and header(b"x-requested-with") is None:
        raise Refused(403, "the request does not come from a page of this site")


def check_changing_get(request: Request) -> None:
    """Refuse a GET that somebody's page or link may have made a browser send; for the few that change something.

    Programs send what they always sent.  A browser has to prove that the request comes from a page of ours, by
    C{Sec-Fetch-Site: same-origin} or by C{X-Requested-With}, a header that other sites' pages cannot send.

    @raise Refused: with 403.
    """
    check_origin(request)
    header = request.getHeader
    if header(b"x-requested-with") is not None or header(b"sec-fetch-site") == b"same-origin":
        return
    browser = b"mozilla/" in (header(b"user-agent") or b"").lower()
    if browser or any(header(name) is not None for name in _OF_BROWSERS):
        raise Refused(403, "a browser changes things by POST, or with the header X-Requested-With")


def _check_path(request: Request) -> None:
    """Slashes are written as slashes, and one at a time; what has others, or is not UTF-8, is none of our paths."""
    try:
        unquote_to_bytes(request.path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoSuchPath from error
    path = request.path.lower()
    # The router would not see more than one slash at the front.
    if not path.startswith(b"/") or path.startswith(b"//") or b"%2f" in path:
        raise NoSuchPath
