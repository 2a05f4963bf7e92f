"""Calling a hook's URL: no redirects, no proxies, a bound on time and size, and another try where it may help."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from sftpgo import __version__
from sftpgo.actions.address import Address, Pairs
from sftpgo.actions.connecting import BoundedConnections, connector
from sftpgo.actions.limits import HookFailed, Limits

USER_AGENT = f"sftpgo/{__version__}"


class Request:
    """One URL, called again for each event.

    Only the status of an answer counts: 2xx is success.  Its body is read, so that the other side can finish, and
    thrown away.

    @param reactor: makes the connections.
    @param clock: measures the time limits.
    @param trust_root: see L{connector}.
    """

    def __init__(
        self, address: Address, reactor: Any, clock: IReactorTime, limits: Limits, trust_root: Any = None
    ) -> None:
        self._address = address
        self._reactor = reactor
        self._clock = clock
        self._limits = limits
        self._endpoint = connector(reactor, address, trust_root)

    def __str__(self) -> str:
        return f"request to {self._address}"

    async def run(self, query: Pairs, body: bytes | None) -> str:
        """Send it by GET, or by POST if there is a body (which is JSON); returns how it ended.

        A connection that fails and a 5xx answer get the next try; running into the time limit does not, because the
        other side may be at work on it.

        @raise HookFailed: the last try failed.
        """
        try:
            url = self._address.with_query(query)
        except UnicodeEncodeError as error:
            raise HookFailed(f"its query cannot be encoded: {error.reason}") from error
        delays = iter(self._limits.retry_delays)
        tries = 1
        while True:
            try:
                status = await self._try(url, body)
            except HookFailed as failed:
                delay = next(delays, None) if failed.again else None
                if delay is None:
                    raise HookFailed(f"{failed}, {_times(tries)}") from failed
                await deferLater(self._clock, delay)
                tries += 1
            else:
                return f"status {status}, {_times(tries)}"

    async def _try(self, url: bytes, body: bytes | None) -> int:
        connections = BoundedConnections(self._endpoint(), self._limits.answer)
        exchange = Deferred.fromCoroutine(self._exchange(connections, url, body))
        # A Deferred of its own: what an exchange says of its cancellation depends on how far it had come.
        finished: Deferred[int] = Deferred()
        exchange.addBoth(_hand_on, finished)
        limit = self._clock.callLater(self._limits.seconds, _hand_on, Failure(_TimeIsUp()), finished)
        try:
            status = await finished
        except CancelledError:
            raise
        except _TimeIsUp:
            raise HookFailed(f"no whole answer within {self._limits.seconds:g} s") from None
        except Exception as error:
            if connections.exceeded:
                raise HookFailed(f"the head of the answer is over {self._limits.answer} bytes") from error
            raise HookFailed(_reason(error), again=True) from error
        finally:
            if limit.active():
                limit.cancel()
            exchange.cancel()
            connections.abort()
        if not 200 <= status < 300:
            raise HookFailed(f"status {status}", again=status >= 500)
        return status

    async def _exchange(self, connections: BoundedConnections, url: bytes, body: bytes | None) -> int:
        pool = HTTPConnectionPool(self._reactor, persistent=False)
        agent = Agent.usingEndpointFactory(self._reactor, connections, pool)
        headers = Headers({"User-Agent": [USER_AGENT]})
        if self._address.authorization:
            headers.addRawHeader("Authorization", self._address.authorization)
        if body is None:
            response: IResponse = await agent.request(b"GET", url, headers)
        else:
            headers.addRawHeader("Content-Type", "application/json")
            response = await agent.request(b"POST", url, headers, _Body(body))
        await _end_of(response)
        return int(response.code)


class _TimeIsUp(Exception):
    """A try has used up its time."""


def _hand_on(result: int | Failure, finished: Deferred[int]) -> None:
    if not finished.called:
        finished.callback(result)


def _end_of(response: IResponse) -> Deferred[None]:
    discard = _Discard()
    response.deliverBody(discard)
    return discard.ended


class _Discard(Protocol):
    """Reads a body to its end, however that comes: the status is known already."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self.ended.called:
            self.ended.callback(None)


@implementer(IBodyProducer)
class _Body:
    """A short body that is at hand."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Write it all."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


def _times(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


def _reason(error: Exception) -> str:
    """The text of a failed connection; Twisted's client wraps what happened into lists of failures."""
    for failure in getattr(error, "reasons", ()):
        if isinstance(failure.value, Exception):
            return _reason(failure.value)
    if isinstance(error, ConnectError) and error.osError:
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
