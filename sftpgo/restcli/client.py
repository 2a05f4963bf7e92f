"""One connection to the REST API."""

from __future__ import annotations

import http.client
import json
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit


class Unreachable(Exception):
    """There is no answer, or none that the API could have given."""


class RefusedByServer(Exception):
    """The API has answered with an error.

    @ivar status: the HTTP status.
    @ivar answer: what was answered.
    """

    def __init__(self, status: int, answer: Any) -> None:
        text = ""
        if isinstance(answer, dict):
            text = str(answer.get("error") or answer.get("message") or "")
        super().__init__(f"{status} {text or http.client.responses.get(status, '')}".strip())
        self.status = status
        self.answer = answer


class Client:
    """Calls the API; every call may block for C{timeout} seconds and more.

    @param base_url: where the server is, as C{http://127.0.0.1:8080}.
    @param context: for HTTPS; the system's own rules when not given.
    @param told: called with a line for each request and answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        username: str = "",
        password: str = "",
        timeout: float = 60.0,
        context: ssl.SSLContext | None = None,
        told: Callable[[str], None] | None = None,
    ) -> None:
        try:
            url = urlsplit(base_url)
            self._port = url.port
        except ValueError as error:
            raise Unreachable(f"{base_url!r} is no URL: {error}") from error
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise Unreachable(f"{base_url!r} is no http or https URL")
        self._base_url = base_url
        self._host = url.hostname
        self._secure = url.scheme == "https"
        self._prefix = url.path.rstrip("/")
        self._timeout = timeout
        self._context = context
        self._told = told or (lambda _line: None)
        self._headers = {"Accept": "*/*", "User-Agent": "sftpgo-rest"}
        if username:
            token = b64encode(f"{username}:{password}".encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {token}"

    def call(self, method: str, path: str, *, query: Mapping[str, object] | None = None, body: object = None) -> Any:
        """The decoded answer.

        @raise RefusedByServer: for a status of 400 and more.
        @raise Unreachable: for no answer, or none in JSON.
        """
        with _Exchange(self._connect(), self._base_url) as exchange:
            answer = exchange.ask(method, *self._request(method, path, query, body))
            content = exchange.read(answer)
        self._told(f"< {answer.status} {len(content)} bytes")
        value = self._decoded(answer.status, content)
        if answer.status >= 400:
            raise RefusedByServer(answer.status, value)
        return value

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """The server-sent events of a stream, each as kind and data, until the server ends it."""
        with _Exchange(self._connect(timeout=None), self._base_url) as exchange:
            answer = exchange.ask("GET", *self._request("GET", path, None, None))
            if answer.status >= 400:
                raise RefusedByServer(answer.status, self._decoded(answer.status, exchange.read(answer)))
            kind = ""
            while line := exchange.line(answer):
                name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, self._decoded(answer.status, value)

    def _decoded(self, status: int, content: bytes | str) -> Any:
        try:
            return json.loads(content)
        except ValueError as error:
            raise Unreachable(f"{self._base_url} answered {status}, but not in JSON: not this API") from error

    def _request(
        self, method: str, path: str, query: Mapping[str, object] | None, body: object
    ) -> tuple[str, bytes | None, dict[str, str]]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._prefix + path + (f"?{urlencode(given)}" if given else "")
        headers = dict(self._headers)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        self._told(f"> {method} {target}")
        return target, content, headers

    def _connect(self, timeout: float | None = -1.0) -> http.client.HTTPConnection:
        limit = self._timeout if timeout == -1.0 else timeout
        if self._secure:
            return http.client.HTTPSConnection(self._host, self._port, timeout=limit, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=limit)


class _Exchange:
    """A connection whose troubles are all told in one way."""

    def __init__(self, connection: http.client.HTTPConnection, base_url: str) -> None:
        self._connection = connection
        self._base_url = base_url

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def ask(self, method: str, target: str, content: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        try:
            self._connection.request(method, target, body=content, headers=headers)
            return self._connection.getresponse()
        except (OSError, http.client.HTTPException, UnicodeError) as error:  # the last for a host that can have no name
            raise self._unreachable(error) from error

    def read(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def line(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.readline()
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        # Of what was no HTTP the text holds what was sent, line ends and all.
        reason = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
        return Unreachable(f"{self._base_url} cannot be reached: {reason}")
