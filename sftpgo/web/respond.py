"""Answers of the API, and the one place where an error becomes one."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Mapping
from typing import Any, TypeAlias

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.http import NO_CONTENT, NOT_MODIFIED, RESPONSES
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from sftpgo.domain.backups import BackupRefused
from sftpgo.errors import MethodDisabled, NotFound, ProviderError, SFTPGoError, ValidationError
from sftpgo.log import Log

CONTENT_TYPE = b"application/json; charset=utf-8"

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

#: In JSON text these stand inside strings only.  Escaped, no browser takes the answer for markup or for a script.
_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})

_STATUSES: tuple[tuple[type[SFTPGoError], int], ...] = (
    (ValidationError, 400),
    (MethodDisabled, 403),
    (NotFound, 404),
    (ProviderError, 500),
)


@attrs.frozen
class Answer:
    """What a handler answers: a value that L{json} can write, and the HTTP status."""

    value: object
    status: int = 200


@attrs.frozen
class Content:
    """An answer that is not JSON, or has headers of its own.

    @ivar headers: besides those that every answer has; they go before them.
    """

    body: bytes
    content_type: str
    headers: Mapping[str, str] = attrs.field(factory=dict)
    status: int = 200


class Streamed:
    """What a handler answers that has sent everything itself, but for the end."""


#: All that a handler may answer.
Result: TypeAlias = Answer | Content | Streamed


class Instead(Exception):
    """A request that is answered in another way than by its handler.

    @ivar answer: that answer.
    """

    def __init__(self, answer: Result) -> None:
        super().__init__("answered otherwise")
        self.answer = answer


class Refused(Exception):
    """A request that is refused by its form, before anybody is asked.

    @ivar status: the HTTP status.
    @ivar answer: the status object to send.
    """

    def __init__(self, status: int, error: str = "", message: str = "") -> None:
        super().__init__(error or message)
        self.status = status
        self.answer = status_answer(status, error=error, message=message)


def status_answer(status: int, *, error: str = "", message: str = "") -> Answer:
    """The object that tells how it went: always these three keys in this order."""
    return Answer({"error": error, "message": message, "status": status}, status)


def to_json(value: object) -> bytes:
    """JSON text in UTF-8 with a final newline."""
    # A lone surrogate has no UTF-8; what is put in its place is JSON's own escape for it.
    return (_encode(value).translate(_ESCAPES) + "\n").encode("utf-8", "backslashreplace")


def prepare(request: Request, answer: Result) -> bytes:
    """Set status and headers; returns the body, which the caller writes."""
    if isinstance(answer, Streamed):
        return b""
    request.setResponseCode(answer.status, RESPONSES.get(answer.status, b""))
    if answer.status == NO_CONTENT:
        return b""
    request.setHeader(b"Cache-Control", b"no-store")
    if isinstance(answer, Content):
        body = answer.body
        request.setHeader(b"Content-Type", answer.content_type.encode("ascii"))
        for name, value in answer.headers.items():
            request.setHeader(name.encode("ascii"), value.encode("ascii"))
    else:
        body = to_json(answer.value)
        request.setHeader(b"Content-Type", CONTENT_TYPE)
    if answer.status != NOT_MODIFIED:
        request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def send(request: Request, answer: Result) -> None:
    """Answer and finish."""
    request.write(prepare(request, answer))
    request.finish()


def answer_to_failure(request: Request, failure: Failure, log: Log) -> Result:
    """What the client is told of an error; one that nobody expected goes to the log, and only there."""
    error = failure.value
    if isinstance(error, Refused | Instead):
        return error.answer
    if isinstance(error, MethodNotAllowed):
        return _other_method(request, error)
    if isinstance(error, HTTPException):
        # The router's other answers: there is no such path.
        return status_answer(404, message="Not Found")
    if isinstance(error, BackupRefused):
        return status_answer(400, error=error.error, message=error.message)
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status_answer(status, error=str(error))
    log.failure(f"{_text(request.method)} {_text(request.path)} failed", failure)
    return status_answer(500, message="Internal Server Error")


def _other_method(request: Request, error: MethodNotAllowed) -> Answer:
    """RFC 9110, section 9.3.7: every path tells what it can be asked."""
    allowed = sorted({*(error.valid_methods or ()), "OPTIONS"})
    request.setHeader(b"Allow", ", ".join(allowed).encode("ascii"))
    if request.method == b"OPTIONS":
        return Answer(None, NO_CONTENT)
    return status_answer(405, message="Method not allowed")


def detached(coroutine: Coroutine[Any, Any, Result], log: Log) -> Deferred[Result]:
    """Run a handler to its end, even when its client goes away in the middle and the Deferred is cancelled.

    Else a change of a user could stop between two steps, with nobody to tell.
    """
    outcome: Deferred[Result] = Deferred()

    def done(result: Any) -> None:
        if not outcome.called:
            outcome.callback(result)
        elif isinstance(result, Failure) and not result.check(Refused, Instead, SFTPGoError):
            log.failure("a request failed after its client had gone", result)

    Deferred.fromCoroutine(coroutine).addBoth(done)
    return outcome


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "backslashreplace")
