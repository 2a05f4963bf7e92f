"""The URL of a hook, taken apart once, and the query that each event adds to it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

import attrs

_PORTS = {"http": 80, "https": 443}
#: RFC 3986, section 3.3, and the percent signs of what is encoded already.
_PATH_SAFE = "/%:@!$&'()*+,;="
#: Also names with underscores, which are no host names by RFC 952 but are common among containers.
_HOST = re.compile(r"[0-9A-Za-z._-]+|[0-9A-Fa-f.:]+")

Pairs = Sequence[tuple[str, str]]


@attrs.frozen
class Address:
    """Where requests go.

    @ivar host: a name or an address, without brackets, in ASCII.
    @ivar path: percent-encoded.
    @ivar query: the keys and values that stand in the URL already.
    @ivar authorization: the value of the header for the user and password in the URL, or empty.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    authorization: str = attrs.field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take a URL apart.

        @raise ValueError: it is no http or https URL with a host.
        """
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("expected an http or https URL with a host")
        host = parts.hostname.encode("idna").decode("ascii")
        if not _HOST.fullmatch(host):
            raise ValueError("the host of the URL is malformed")
        authorization = ""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + b64encode(pair.encode()).decode("ascii")
        return cls(
            scheme=parts.scheme,
            host=host,
            port=_PORTS[parts.scheme] if parts.port is None else parts.port,
            path=quote(parts.path or "/", safe=_PATH_SAFE),
            query=tuple(parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")),
            authorization=authorization,
        )

    def __str__(self) -> str:
        """The URL as logs may show it: the rest may hold a password or a token."""
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}{self.path}"

    def with_query(self, pairs: Pairs) -> bytes:
        """The URL to ask for: its own keys and C{pairs}, sorted by key and form-encoded.

        A key that is there twice stays twice, the URL's own first.

        @raise UnicodeEncodeError: a value that is neither text nor bytes in disguise.
        """
        encoded = [(_bytes(key), _bytes(value)) for key, value in (*self.query, *pairs)]
        encoded.sort(key=lambda pair: pair[0])
        query = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in encoded)
        return f"{self}?{query}".encode("ascii")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
