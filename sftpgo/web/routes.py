"""Which handler answers which method and path, and how Klein calls it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, cast

import attrs
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from sftpgo.log import Log
from sftpgo.web import respond
from sftpgo.web.gate import ErrorHandler, check_changing_get
from sftpgo.web.request import Request
from sftpgo.web.respond import Result

#: Called with the request and the parts of the path that the route names.
Handler = Callable[..., Coroutine[Any, Any, Result]]


@attrs.frozen
class Route:
    """One method of one path.

    @ivar path: as werkzeug writes it, with C{<name>} for a part that varies.
    @ivar changes: for a GET that changes something, which the interface of the original has: no page of another site
        gets through to it, and HEAD is no way to it.
    """

    method: str
    path: str
    handler: Handler
    changes: bool = False
    page: bool = False


def tree(routes: Iterable[Route], log: Log, failed: ErrorHandler = respond.answer_to_failure) -> IResource:
    """The resource that answers all of them, and everything else with 404 or 405."""
    app = Klein()
    # /api//v1 is another path than /api/v1, not one to redirect to it.
    app.url_map.merge_slashes = False
    unsafe = set()
    for route in routes:
        _mount(app, route, log)
        if route.changes:
            unsafe.add(_endpoint(route))
    for rule in app.url_map.iter_rules():
        # werkzeug adds HEAD wherever GET is.
        if rule.methods is not None and rule.endpoint in unsafe:
            rule.methods.discard("HEAD")

    def answer(request: IRequest, failure: Failure) -> bytes:
        ours = cast(Request, request)
        return respond.prepare(ours, failed(ours, failure, log))

    app.handle_errors(answer)
    resource: IResource = app.resource()
    return resource


def _mount(app: Klein, route: Route, log: Log) -> None:
    def answer(request: Request, **parts: str) -> Deferred[bytes]:
        if route.changes:
            check_changing_get(request)
        outcome = respond.detached(route.handler(request, **parts), log)
        return outcome.addCallback(lambda answer: respond.prepare(request, answer))

    app.route(route.path, methods=[route.method], endpoint=_endpoint(route))(answer)


def _endpoint(route: Route) -> str:
    return f"{route.method} {route.path}"
