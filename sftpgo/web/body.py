"""Request bodies as JSON values, read leniently where clients are used to it and strictly where it matters."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from twisted.web.server import Request

from sftpgo.web.respond import Refused

_SPACE = re.compile(r"[ \t\n\r]*")

#: Where the decoder stops in front of one of these, the text may be whole but for its end.
_BEGUN_VALUE = re.compile(r"(?:-|t|tr|tru|f|fa|fal|fals|n|nu|nul)?\Z")
_BEGUN_NUMBER = re.compile(r"(?:\.|(?:[eE][+-]?))?\Z")
_BEGUN_ESCAPE = re.compile(r'[^"]{0,5}\Z')


def read(request: Request) -> bytes:
    """The bytes of the body.

    To be called before a handler first waits: the bytes are gone when the client is.
    """
    return request.content.read() if request.content is not None else b""


def decode(body: bytes) -> object:
    """The first JSON value (RFC 8259) of the body; what stands behind it is ignored.

    @raise Refused: with 400; C{EOF} when there is no value, C{unexpected EOF} when it has no end.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(400, f"the body is not valid UTF-8 at byte {error.start}") from error
    start = _end_of_space(text, 0)
    if start == len(text):
        raise Refused(400, "EOF")
    try:
        value, _end = _DECODER.raw_decode(text, start)
        _check_unicode(text, value)
    except json.JSONDecodeError as error:
        raise Refused(400, "unexpected EOF" if _cut_off(error) else str(error)) from error
    except RecursionError as error:
        raise Refused(400, "the JSON value is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise Refused(400, "a string holds half of a surrogate pair") from error
    except ValueError as error:
        # Python does not read numbers of thousands of digits, and JSON knows neither NaN nor Infinity.
        raise Refused(400, str(error)) from error
    return value


def _end_of_space(text: str, start: int) -> int:
    found = _SPACE.match(text, start)
    return found.end() if found else start


def _cut_off(error: json.JSONDecodeError) -> bool:
    rest = error.doc[error.pos :].rstrip(" \t\n\r")
    if error.msg.startswith("Unterminated string"):
        return True
    if error.msg.startswith("Invalid \\uXXXX escape"):
        return _BEGUN_ESCAPE.match(rest) is not None
    return _BEGUN_VALUE.match(rest) is not None or _BEGUN_NUMBER.match(rest) is not None


def _check_unicode(text: str, value: object) -> None:
    """Raise L{UnicodeEncodeError} for a lone surrogate: no database could store it."""
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)
