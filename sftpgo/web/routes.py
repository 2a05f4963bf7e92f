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
from twisted.web.server import Request

from sftpgo.log import Log
from sftpgo.web import respond
from sftpgo.web.respond import Answer

#: Called with the request and the parts of the path that the route names.
Handler = Callable[..., Coroutine[Any, Any, Answer]]


@attrs.frozen
class Route:
    """One method of one path.

    @ivar path: as werkzeug writes it, with C{<name>} for a part that varies.
    """

    method: str
    path: str
    handler: Handler


def tree(routes: Iterable[Route], log: Log) -> IResource:
    """The resource that answers all of them, and everything else with 404 or 405."""
    app = Klein()
    # /api//v1 is another path than /api/v1, not one to redirect to it.
    app.url_map.merge_slashes = False
    for route in routes:
        _mount(app, route, log)
    for rule in app.url_map.iter_rules():
        if rule.methods is not None:
            # werkzeug adds HEAD wherever GET is; the API answers it with 405 like any other method.
            rule.methods.discard("HEAD")

    def failed(request: IRequest, failure: Failure) -> bytes:
        ours = cast(Request, request)
        return respond.prepare(ours, respond.answer_to_failure(ours, failure, log))

    app.handle_errors(failed)
    resource: IResource = app.resource()
    return resource


def _mount(app: Klein, route: Route, log: Log) -> None:
    def answer(request: Request, **parts: str) -> Deferred[bytes]:
        outcome = respond.detached(route.handler(request, **parts), log)
        return outcome.addCallback(lambda answer: respond.prepare(request, answer))

    app.route(route.path, methods=[route.method], endpoint=f"{route.method} {route.path}")(answer)
