"""What stands in the address of a request: parameters of the query, and ids in the path."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from twisted.web.server import Request

from sftpgo.web.respond import Refused

_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_INT64 = range(-(2**63), 2**63)


class Query:
    """The parameters of a request; of one that is given more than once the first counts."""

    def __init__(self, request: Request) -> None:
        query = request.uri.decode("ascii", "surrogateescape").partition("?")[2]
        self._values: dict[str, str] = {}
        for name, value in parse_qsl(query, keep_blank_values=True, errors="surrogateescape"):
            self._values.setdefault(name, value)

    def text(self, name: str, default: str = "") -> str:
        """The value, or C{default} when the parameter is absent.

        @raise Refused: when it is not UTF-8.
        """
        value = self._values.get(name, default)
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise _invalid(name) from error
        return value

    def integer(self, name: str, default: int) -> int:
        """The value as an integer of 64 bits, or C{default} when the parameter is absent.

        @raise Refused: for anything else; also when it is there and empty.
        """
        if name not in self._values:
            return default
        return integer(self._values[name], name)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """The value, which must be one of C{choices}; the first of them when the parameter is absent.

        @raise Refused: for anything else.
        """
        value = self._values.get(name, choices[0])
        if value not in choices:
            raise _invalid(name)
        return value


def user_id(text: str) -> int:
    """An id out of the path; raises L{Refused} for what is no integer of 64 bits."""
    return integer(text, "userID")


def integer(text: str, name: str) -> int:
    """An integer of 64 bits; raises L{Refused} naming the parameter."""
    if not _INTEGER.fullmatch(text) or int(text) not in _INT64:
        raise _invalid(name)
    return int(text)


def _invalid(name: str) -> Refused:
    return Refused(400, f"Invalid {name}")
