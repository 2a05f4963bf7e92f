"""C{/api/v1/events}: server-sent events of connections and transfers (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from sftpgo.domain.connection import ConnectionInfo, ConnectionRegistry
from sftpgo.domain.events import Event, changes
from sftpgo.web.activity import Activity
from sftpgo.web.gate import check_origin
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content, Refused, Streamed, to_json
from sftpgo.web.routes import Route

_CONTENT_TYPE = "text/event-stream; charset=utf-8"

#: Streams that may be open at once, seconds between two looks, and looks after which a silent stream says something.
MAX_STREAMS = 32
INTERVAL = 1.0
_SILENCE = 15

#: Looks after which a stream ends that a session has let in: the browser asks anew, and the session may have ended.
SESSION_LOOKS = 120

#: Tells the browser to be back in half a second.
_SOON = b"retry: 500\n\n"


@implementer(IPushProducer)
@attrs.define(eq=False)
class _Stream:
    """One client.  While it does not take what it gets, it gets nothing; afterwards it gets the whole list anew.

    @ivar totals: the client wants the totals with every look.
    @ivar looks: how many there are to come; C{None} for no end.
    @ivar behind: the client has to be given the list.
    """

    request: Request
    totals: bool
    looks: int | None
    ended: Deferred[None] = attrs.field(factory=Deferred)
    paused: bool = False
    behind: bool = True
    gone: bool = False
    silent: int = 0

    def tell(self, now: Sequence[ConnectionInfo], events: Sequence[bytes], totals: bytes) -> None:
        """Send what has happened, or the list to one who has missed something."""
        if self.looks is not None:
            self.looks -= 1
            if self.looks < 0:
                self.end()
                return
        if self.paused:
            self.behind = True
            return
        content = b"".join(events)
        if self.behind:
            self.behind = False
            content = _message("connections", [attrs.asdict(connection) for connection in now])
        if self.totals:
            content += totals
        self.silent = 0 if content else self.silent + 1
        if self.silent >= _SILENCE:
            self.silent, content = 0, b":\n\n"
        if content:
            self.request.write(content)

    def lose(self) -> None:
        """The client has gone."""
        self.gone = True
        self.end()

    def end(self) -> None:
        """Let the request end."""
        if not self.ended.called:
            self.ended.callback(None)

    def pauseProducing(self) -> None:
        """The client is slow."""
        self.paused = True

    def resumeProducing(self) -> None:
        """The client has taken what there was."""
        self.paused = False

    def stopProducing(self) -> None:
        """The client has gone."""
        self.lose()


class Events:
    """Looks at the connections while somebody listens, and tells what has changed.

    @param clock: for the looks.
    """

    def __init__(self, registry: ConnectionRegistry, activity: Activity, clock: IReactorTime) -> None:
        self._registry = registry
        self._activity = activity
        self._streams: list[_Stream] = []
        self._last: tuple[ConnectionInfo, ...] = ()
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/events", self.get),)

    async def get(self, request: Request) -> Content | Streamed:
        """The list of connections, then every change of it, until the client goes; C{totals=1} adds the totals."""
        # A page of another site could not read it, but keep it open, and there are only so many.
        check_origin(request)
        totals = Query(request).integer("totals", 0) != 0
        if request.method == b"HEAD":
            return Content(b"", _CONTENT_TYPE)
        if len(self._streams) >= MAX_STREAMS:
            raise Refused(503, "too many streams of events are open")
        request.setHeader(b"Content-Type", _CONTENT_TYPE.encode("ascii"))
        request.setHeader(b"Cache-Control", b"no-store")
        # For proxies that would keep it until there is more of it.
        request.setHeader(b"X-Accel-Buffering", b"no")
        stream = _Stream(request, totals, None if request.session is None else SESSION_LOOKS)
        request.notifyFinish().addErrback(lambda _failure: stream.lose())
        request.registerProducer(stream, True)
        await self._serve(stream)
        if not stream.gone:
            request.unregisterProducer()
        return Streamed()

    def stop(self) -> None:
        """End all streams."""
        for stream in list(self._streams):
            stream.end()

    async def _serve(self, stream: _Stream) -> None:
        if not self._streams:
            self._last = self._registry.snapshot()
            self._looking.start(INTERVAL, now=False)
        self._streams.append(stream)
        if stream.looks is not None:
            stream.request.write(_SOON)
        stream.tell(self._last, (), self._totals())
        try:
            await stream.ended
        finally:
            self._streams.remove(stream)
            if not self._streams:
                self._looking.stop()

    def _look(self) -> None:
        before, self._last = self._last, self._registry.snapshot()
        events = [_shown(event) for event in changes(before, self._last)]
        totals = self._totals()
        for stream in list(self._streams):
            stream.tell(self._last, events, totals)

    def _totals(self) -> bytes:
        return _message("totals", attrs.asdict(self._activity.totals()))


def _shown(event: Event) -> bytes:
    connection = attrs.asdict(event.connection)
    if event.transfer is None:
        return _message(event.kind, connection)
    del connection["active_transfers"]
    return _message(event.kind, {"connection": connection, "transfer": attrs.asdict(event.transfer)})


def _message(kind: str, data: Any) -> bytes:
    # JSON text is one line.
    return b"event: %s\ndata: %s\n" % (kind.encode("ascii"), to_json(data))
