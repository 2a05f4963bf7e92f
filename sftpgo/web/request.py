"""One HTTP request: its bounded body, the headers every answer has, and its line in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.python.failure import Failure
from twisted.web import server

from sftpgo.web import respond

if TYPE_CHECKING:
    from sftpgo.web.sessions import Session
    from sftpgo.web.site import APISite

#: Bytes of a request's body.
MAX_BODY = 1024 * 1024

#: The status in the log of a request whose client did not wait for the answer.
CLIENT_GONE = 499

#: Nobody else's page takes what is answered for an image or a script, or frames it.
_ALWAYS = {
    b"Server": b"sftpgo",
    b"X-Content-Type-Options": b"nosniff",
    b"X-Frame-Options": b"DENY",
    b"Cross-Origin-Resource-Policy": b"same-origin",
}


class Request(server.Request):
    """Twisted's request, within limits.

    @ivar body_too_long: the body has, or is said to have, more than L{MAX_BODY} bytes; what came of it is not all.
    @ivar started: when the headers had come, in the clock's seconds.
    @ivar session: of who has logged in by the log-in page.
    """

    site: APISite | None
    channel: Any
    content: Any

    body_too_long = False
    started = 0.0
    session: Session | None = None

    def gotLength(self, length: int | None) -> None:
        """Begin: the headers are all there."""
        super().gotLength(length)
        self.started = self.channel.site.clock.seconds()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a part of the body, up to the limit."""
        if self.content.tell() + len(data) > MAX_BODY:
            self.body_too_long = True
        if not self.body_too_long:
            super().handleContentChunk(data)

    def getRequestHostname(self) -> bytes:
        """A constant: no route depends on the host, and what a client writes there need not be a name at all."""
        return b"localhost"

    def write(self, data: bytes) -> None:
        """Send a part of the answer; with the first one the headers go."""
        if not self.startedWriting:
            for name, value in _ALWAYS.items():
                self.responseHeaders.setRawHeaders(name, [value])
        super().write(data)

    def processingFailed(self, reason: Failure) -> Failure:
        """Answer for what failed outside of every handler."""
        answer = respond.answer_to_failure(self, reason, self.channel.site.log_face)
        if self.startedWriting:
            self.channel.loseConnection()
        else:
            respond.send(self, answer)
        return reason

    def connectionLost(self, reason: Failure) -> None:
        """Note that the client is gone before it was answered."""
        super().connectionLost(reason)
        if self.site is not None:
            self.site.tell(self, CLIENT_GONE)

    def peer(self) -> str:
        """C{ip:port} of the other end of the connection; the client's address alone, when a believed proxy tells it."""
        return self._client() or _address(self.client)

    def address(self) -> str:
        """The IP address of who asks, as far as that can be believed."""
        return self._client() or str(getattr(self.client, "host", ""))

    def _client(self) -> str | None:
        if self.site is None:
            return None
        forwarded = self.requestHeaders.getRawHeaders(b"X-Forwarded-For") or []
        peer = str(getattr(self.client, "host", ""))
        return self.site.proxies.client(peer, forwarded, self.getHeader(b"x-real-ip"))

    def over_https(self) -> bool:
        """Whether the client speaks TLS, to us or to a believed proxy."""
        if self.isSecure():
            return True
        return self._client() is not None and (self.getHeader(b"x-forwarded-proto") or b"").lower() == b"https"

    def absolute_uri(self) -> str:
        """The address as the client knows it."""
        host = self.getHeader(b"host") or b""
        return f"{'https' if self.isSecure() else 'http'}://{text(host)}{text(self.uri)}"


def text(octets: bytes) -> str:
    """Bytes off the wire as text for a log; what is not UTF-8 is shown as escapes."""
    return octets.decode("utf-8", "backslashreplace")


def _address(address: object) -> str:
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    return str(address)
