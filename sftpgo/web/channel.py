"""One HTTP connection, with limits on what a client may send and on how long it may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from sftpgo.web.request import MAX_BODY, Request

#: Bytes of the request line and all headers; of each of them too.
MAX_HEADERS = 64 * 1024

#: Seconds until a request's headers must have come, from the first byte of it or from the connection's start.
HEADERS_TIMEOUT = 30.0

#: Seconds until the body must have come, until an answer must have been taken, and of silence between requests.
BODY_TIMEOUT = ANSWER_TIMEOUT = IDLE_TIMEOUT = 300.0

#: Seconds in which a client may notice that its body was refused.
_DISCARD_TIMEOUT = 5.0


class Channel(HTTPChannel):
    """Twisted's HTTP/1.1 server connection, which knows an idle limit only, made safe against slow and endless clients.

    A body that is too long is answered as soon as that is known: the rest of it is not waited for.  It is still taken
    off the wire for a moment, because closing a connection with unread bytes would destroy the answer on its way.
    """

    MAX_LENGTH = MAX_HEADERS
    totalHeadersSize = MAX_HEADERS

    transport: Any
    _networkProducer: Any

    def __init__(self) -> None:
        super().__init__()
        self._deadline: IDelayedCall | None = None
        self._refusing = False
        self._discarding = False

    def connectionMade(self) -> None:
        """Begin to wait for a request."""
        super().connectionMade()
        self._within(HEADERS_TIMEOUT, self.timeoutConnection)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes off the wire."""
        if self._deadline is None and not self._handlingRequest:
            self._within(HEADERS_TIMEOUT, self.timeoutConnection)
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a header that has no end."""
        self._respondToBadRequestAndDisconnect()

    def headerReceived(self, line: bytes) -> bool:
        """Take one header."""
        try:
            good: bool = super().headerReceived(line)
        except ValueError:
            # A Content-Length of more digits than Python reads.
            self._respondToBadRequestAndDisconnect()
            return False
        return good

    def allHeadersReceived(self) -> None:
        """Go on to the body, or refuse it by the length it is said to have."""
        request = self.requests[-1]
        too_long = self.length is not None and self.length > MAX_BODY
        if too_long:
            # No "100 Continue" for what is not wanted.
            request.requestHeaders.removeHeader(b"Expect")
        super().allHeadersReceived()
        if too_long:
            self._refuse(request)
            self.length = 0  # nothing more is waited for: the caller goes on with allContentReceived
        else:
            self._within(BODY_TIMEOUT, self.timeoutConnection)

    def rawDataReceived(self, data: bytes) -> None:
        """Take a part of a body, or refuse a chunked one that has become too long."""
        if self._discarding:
            return
        super().rawDataReceived(data)
        if self._handlingRequest or not self.requests or self.transport.disconnecting:
            return
        request = self.requests[-1]
        if request.body_too_long:
            self._refuse(request)
            self.allContentReceived()

    def allContentReceived(self) -> None:
        """Have the request answered."""
        self._cancel_deadline()
        super().allContentReceived()

    def loseConnection(self) -> None:
        """Close once the answer is out; a client that does not take it is cut off."""
        if self._discarding:
            return
        plain_tcp: bool = ITCPTransport.providedBy(self.transport) and not self.isSecure()
        if self._refusing and plain_tcp:
            self._discarding = True
            self._within(_DISCARD_TIMEOUT, self.transport.abortConnection)
            self._networkProducer.unregisterProducer()
            self.transport.loseWriteConnection()
        else:
            self._within(ANSWER_TIMEOUT, self.transport.abortConnection)
            super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget everything."""
        super().connectionLost(reason)
        self._cancel_deadline()

    def _refuse(self, request: Request) -> None:
        self._refusing = True
        self.persistent = False
        request.body_too_long = True
        request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def _within(self, seconds: float, then: Callable[[], object]) -> None:
        self._cancel_deadline()

        def late() -> None:
            self._deadline = None
            then()

        self._deadline = self.callLater(seconds, late)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
