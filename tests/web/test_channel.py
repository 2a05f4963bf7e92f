from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from sftpgo.web.channel import Channel
from tests.web.talk import HASH, Received, Reply, Server, Wire, head, user

PATH = "/api/v1/user"
MIB = 1024 * 1024
TOO_LARGE = {"error": "Request body too large", "message": "", "status": 413}
CHUNKED = {"Transfer-Encoding": "chunked"}


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def padded(size: int) -> bytes:
    """The body of an acceptable POST, of this many bytes."""
    body = json.dumps(user()).encode()
    return body + b" " * (size - len(body))


class Bodies(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.wire = Wire(self.server.site)

    def reply(self) -> Reply:
        stream = Received(self.wire.value())
        reply = stream.reply()
        self.assertEqual(stream.read(), b"")
        return reply

    def assertTooLarge(self) -> None:
        reply = self.reply()
        self.assertEqual((reply.status, reply.json, reply.headers["Connection"]), (413, TOO_LARGE, "close"))
        self.assertTrue(self.wire.disconnecting)
        self.assertEqual([line["resp_status"] for line in self.server.lines], [413])

    def test_largest(self) -> None:
        self.wire.send(head("POST", PATH, {"Content-Length": str(MIB)}) + padded(MIB))
        self.assertEqual(self.reply().status, 200)
        self.assertFalse(self.wire.disconnecting)

    def test_largest_in_chunks(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + chunk(padded(MIB - 3)) + chunk(b"   ") + b"0\r\n\r\n")
        self.assertEqual(self.reply().status, 200)
        self.assertFalse(self.wire.disconnecting)

    def test_too_large_is_refused_by_its_length_alone(self) -> None:
        for length in (MIB + 1, 10**15, 10**4000):
            with self.subTest(length=length):
                self.setUp()
                self.wire.send(head("POST", PATH, {"Content-Length": str(length)}))
                self.assertTooLarge()

    def test_no_continue_for_what_is_too_large(self) -> None:
        self.wire.send(head("POST", PATH, {"Content-Length": str(MIB + 1), "Expect": "100-continue"}))
        self.assertTrue(self.wire.value().startswith(b"HTTP/1.1 413 "))
        self.assertTooLarge()

    def test_continue(self) -> None:
        self.wire.send(head("POST", PATH, {"Content-Length": "2", "Expect": "100-continue"}))
        self.assertEqual(self.wire.value(), b"HTTP/1.1 100 Continue\r\n\r\n")

    def test_too_large_in_chunks(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + chunk(padded(MIB)))
        self.assertEqual(self.wire.value(), b"")
        self.wire.send(chunk(b" "))
        self.assertTooLarge()
        self.wire.send(chunk(b" ") * 3 + b"0\r\n\r\n")
        self.assertTooLarge()

    def test_one_endless_chunk(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + b"7fffffff\r\n")
        for _ in range(16):
            self.assertEqual(self.wire.send(b" " * (MIB // 16)), b"")
        self.wire.send(b" ")
        self.assertTooLarge()

    def test_too_large_and_all_there(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + chunk(padded(2 * MIB)) + b"0\r\n\r\n" + head("GET", "/x"))
        stream = Received(self.wire.value())
        self.assertEqual([stream.reply().status, stream.reply().status], [413, 404])

    def test_too_large_and_then_broken(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + chunk(padded(MIB)))
        self.wire.send(chunk(b"  ")[:-2] + b"broken")
        self.assertEqual(self.wire.value().count(b"HTTP/1.1"), 1)
        self.assertTrue(self.wire.disconnecting)

    def test_nothing_too_large_is_stored(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED) + chunk(padded(MIB)) + chunk(b" " * MIB) + b"0\r\n\r\n")
        self.assertEqual(self.successResultOf(self.server.provider.users(1, 0)), [])

    def test_lying_length(self) -> None:
        self.wire.send(head("POST", PATH, {"Content-Length": "5"}) + b'{"a":1}')
        self.assertEqual(self.wire.value().count(b"unexpected EOF"), 1)

    @given(st.lists(st.integers(1, 60), max_size=30), st.sampled_from([300, 400]))
    @settings(deadline=None, max_examples=60)
    def test_wherever_the_bytes_are_cut(self, cuts: list[int], size: int) -> None:
        body = padded(size)
        for request in (
            head("POST", PATH, {"Content-Length": str(size)}) + body,
            head("POST", PATH, CHUNKED) + chunk(body[:7]) + chunk(body[7:]) + b"0\r\n\r\n",
        ):
            self.setUp()
            rest = request
            for cut in cuts:
                self.wire.send(rest[:cut])
                rest = rest[cut:]
            self.wire.send(rest)
            self.assertEqual(self.reply().status, 200)


class Malformed(SynchronousTestCase):
    def test_refused_without_a_trace(self) -> None:
        for request in (
            b"GET\r\n\r\n",
            b"GET /\r\n\r\n",
            b"G\x00T / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/2.0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000,
            b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: %s\r\n" % (i, b"x" * 1000) for i in range(70)) + b"\r\n",
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 501 + b"\r\n",
            head("POST", PATH, CHUNKED) + b"zz\r\n",
        ):
            server = Server()
            wire = Wire(server.site)
            wire.send(request)
            self.assertEqual((request[:60], wire.value()[:13]), (request[:60], b"HTTP/1.1 400 "))
            self.assertTrue(wire.disconnecting)
            self.assertNotIn(b"Twisted", wire.value())
            wire.hang_up()
            self.assertEqual(server.clock.getDelayedCalls(), [])

    def test_large_headers(self) -> None:
        wire = Wire(Server().site)
        wire.send(head("GET", PATH, {"X": "x" * 60_000}))
        self.assertEqual(Received(wire.value()).reply().status, 200)


class Patience(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.wire = Wire(self.server.site)

    def wait(self, seconds: int, drip: bytes = b"") -> None:
        for _ in range(seconds):
            if drip and not self.wire.disconnecting:
                self.wire.send(drip)
            self.server.clock.advance(1)

    def assertClosedAfter(self, seconds: int, drip: bytes = b"") -> None:
        self.wait(seconds - 1, drip)
        self.assertFalse(self.wire.disconnecting)
        self.wait(1, drip)
        self.assertTrue(self.wire.disconnecting)

    def test_silence_from_the_start(self) -> None:
        self.assertClosedAfter(30)

    def test_headers_that_drip(self) -> None:
        self.wire.send(b"GET / HTTP/1.1\r\n")
        self.assertClosedAfter(30, b"X: y\r\n")

    def test_one_line_that_drips(self) -> None:
        self.assertClosedAfter(30, b"G")

    def test_a_body_that_drips(self) -> None:
        self.wire.send(head("POST", PATH, {"Content-Length": "5000"}))
        self.assertClosedAfter(300, b" ")

    def test_chunks_that_drip(self) -> None:
        self.wire.send(head("POST", PATH, CHUNKED))
        self.assertClosedAfter(300, chunk(b" "))

    def test_silence_between_requests(self) -> None:
        self.wire.send(head("GET", PATH))
        self.assertClosedAfter(300)

    def test_a_second_request_that_drips(self) -> None:
        self.wire.send(head("GET", PATH))
        self.wait(200)
        self.assertClosedAfter(30, b"G")

    def test_a_slow_answer_is_waited_for(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.server.provider.check = lambda: waiting
        self.wire.send(head("GET", "/api/v1/providerstatus"))
        self.wait(1000)
        self.assertFalse(self.wire.disconnecting)
        waiting.callback(None)
        self.assertEqual(Received(self.wire.value()).reply().status, 200)

    def test_a_client_that_does_not_take_its_answer(self) -> None:
        self.wire.send(head("GET", PATH, {"Connection": "close"}))
        self.wait(299)
        self.assertFalse(self.wire.aborted)
        self.wait(1)
        self.assertTrue(self.wire.aborted)

    def test_a_client_that_does_not_go_away(self) -> None:
        self.assertClosedAfter(30)
        self.wait(15)
        self.assertTrue(self.wire.aborted)

    def test_nothing_is_left_behind(self) -> None:
        for request in (b"", b"GET", head("GET", PATH), head("POST", PATH, {"Content-Length": "9"}), b"bad\r\n"):
            server = Server()
            wire = Wire(server.site)
            if request:
                wire.send(request)
            wire.hang_up()
            self.assertEqual((request, server.clock.getDelayedCalls()), (request, []))


class Client(Protocol):
    """Collects what the server sends until it closes."""

    def __init__(self) -> None:
        self.received = b""
        self.closed: Deferred[Failure] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed.callback(reason.value)


@implementer(IHalfCloseableProtocol)
class Stubborn(Client):
    """Sends all it has to send, whatever the server has said in the meantime."""

    def readConnectionLost(self) -> None:
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Not asked for."""


class OverSockets(TestCase):
    """What memory cannot show: how a real connection ends."""

    def setUp(self) -> None:
        self.server = Server(clock=reactor)
        self.gone: Deferred[None] = Deferred()
        gone = self.gone

        class Watched(Channel):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                super().connectionLost(reason)
                gone.callback(None)

        site: Any = self.server.site
        site.protocol = Watched
        clock: Any = reactor
        self.port = clock.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    async def connect(self, kind: type[Client] = Client) -> Client:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        return await connectProtocol(endpoint, kind())

    async def exchange(self, *parts: bytes) -> Client:
        client = await self.connect()
        for part in parts:
            client.transport.write(part)
        self.assertIsInstance(await client.closed, ConnectionDone)
        await self.gone
        return client

    async def test_a_user_from_end_to_end(self) -> None:
        body = padded(300)
        client = await self.exchange(
            head("POST", PATH, {"Content-Length": "300"}) + body, head("GET", PATH, {"Connection": "close"})
        )
        stream = Received(client.received)
        added, listed = stream.reply(), stream.reply()
        self.assertEqual((added.status, listed.json), (200, [added.json]))
        self.assertNotIn(HASH.encode(), client.received)

    async def test_head_and_options(self) -> None:
        client = await self.exchange(
            head("HEAD", PATH), head("OPTIONS", PATH), head("GET", "/nothing", {"Connection": "close"})
        )
        stream = Received(client.received)
        replies = [stream.reply(method) for method in ("HEAD", "OPTIONS", "GET")]
        self.assertEqual([reply.status for reply in replies], [200, 204, 404])

    async def test_foreign_host(self) -> None:
        client = await self.exchange(head("GET", PATH, {"Host": "evil.example", "Connection": "close"}))
        self.assertEqual(Received(client.received).reply().status, 403)

    async def test_huge_body_sent_in_one_go_still_gets_its_answer(self) -> None:
        # Closing at once would reset the connection, and many a client then does not look at the answer.
        size = 32 * MIB
        client = await self.connect(Stubborn)
        client.transport.write(head("POST", PATH, {"Content-Length": str(size)}))
        client.transport.write(b" " * size)
        self.assertIsInstance(await client.closed, ConnectionDone)
        await self.gone
        reply = Received(client.received).reply()
        self.assertEqual((reply.status, reply.json), (413, TOO_LARGE))

    async def test_endless_body_is_cut_off(self) -> None:
        client = await self.connect()
        client.transport.write(head("POST", PATH, CHUNKED))
        sent = 0

        def more() -> None:
            nonlocal sent
            client.transport.write(chunk(b" " * 65536))
            sent += 65536

        sending = LoopingCall(more)
        ended = sending.start(0)
        await client.closed
        sending.stop()
        await ended
        await self.gone
        self.assertEqual(Received(client.received).reply().json, TOO_LARGE)
        self.assertGreater(sent, MIB)
