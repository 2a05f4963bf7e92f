from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import directlyProvides, providedBy

from sftpgo import __version__
from sftpgo.actions.address import Address
from sftpgo.actions.connecting import _SharedLookup
from sftpgo.actions.limits import HookFailed, Limits
from sftpgo.actions.request import Request
from tests.certificates import self_signed


class Hook(Resource):
    """Answers each request by the next of the given functions, and keeps what it was asked."""

    isLeaf = True

    def __init__(self, *answers: Callable[[Any], Any]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.seen: list[Any] = []

    def render(self, request: Any) -> Any:
        request.body = request.content.read()
        self.seen.append(request)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])(request)


def status(code: int, **headers: str) -> Callable[[Any], bytes]:
    def answer(request: Any) -> bytes:
        request.setResponseCode(code)
        for name, value in headers.items():
            request.setHeader(name, value)
        return b"body"

    return answer


def hang(request: Any) -> int:
    return NOT_DONE_YET


class Raw(Protocol):
    """Says something that is no proper HTTP answer, as soon as it is asked."""

    def __init__(self, talk: Callable[[Any], None]) -> None:
        self.talk = talk
        self.lost = False

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True

    def dataReceived(self, data: bytes) -> None:
        self.talk(self.transport)


class RequestCase(TestCase):
    timeout = 120

    def setUp(self) -> None:
        self.clock = Clock()

    def serve(self, factory: Any, context: Any = None, interface: str = "127.0.0.1") -> int:
        """Listen; returns the port."""
        if context is None:
            port = reactor.listenTCP(0, factory, interface=interface)
        else:
            port = reactor.listenSSL(0, factory, context, interface=interface)
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def hook(self, *answers: Callable[[Any], Any], **options: Any) -> tuple[Hook, int]:
        resource = Hook(*answers)
        return resource, self.serve(Site(resource), **options)

    def raw(self, talk: Callable[[Any], None]) -> tuple[list[Any], int]:
        connections: list[Any] = []

        class RawFactory(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Raw:
                connections.append(Raw(talk))
                return connections[-1]

        return connections, self.serve(RawFactory())

    def request(self, url: str, **options: Any) -> Request:
        return Request(Address.parse(url), reactor, self.clock, Limits(), **options)

    def run_request(self, port: int, body: bytes | None = None, **options: Any) -> Deferred[str]:
        request = self.request(f"http://127.0.0.1:{port}/x", **options)
        return Deferred.fromCoroutine(request.run([("action", "upload")], body))

    async def failing(self, running: Deferred[str]) -> str:
        try:
            outcome = await running
        except HookFailed as failed:
            return str(failed)
        return self.fail(f"it did not fail: {outcome}")

    async def waits_for_retry(self) -> float:
        """Let things happen until a try is put off; returns for how long."""
        while True:
            calls = [call for call in self.clock.getDelayedCalls() if call.getTime() - self.clock.seconds() < 15]
            if calls:
                return float(calls[0].getTime() - self.clock.seconds())
            await deferLater(reactor, 0.005)

    async def until(self, done: Callable[[], Any]) -> None:
        while not done():
            await deferLater(reactor, 0.005)


class Asking(RequestCase):
    async def test_get(self) -> None:
        hook, port = self.hook(status(200))
        self.assertEqual(await self.run_request(port), "status 200, 1 try")
        request = hook.seen[0]
        self.assertEqual((request.method, request.uri, request.body), (b"GET", b"/x?action=upload", b""))
        headers = dict(request.requestHeaders.getAllRawHeaders())
        self.assertEqual(
            headers,
            {
                b"Host": [b"127.0.0.1:%d" % port],
                b"User-Agent": [f"sftpgo/{__version__}".encode()],
                b"Connection": [b"close"],
            },
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_post(self) -> None:
        hook, port = self.hook(status(204))
        self.assertEqual(await self.run_request(port, b'{"a":1}'), "status 204, 1 try")
        request = hook.seen[0]
        self.assertEqual((request.method, request.uri, request.body), (b"POST", b"/x?action=upload", b'{"a":1}'))
        self.assertEqual(request.getHeader("Content-Type"), "application/json")

    async def test_user_in_the_url(self) -> None:
        hook, port = self.hook(status(200))
        await self.request(f"http://us%40er:p@127.0.0.1:{port}/").run([], None)
        self.assertEqual((hook.seen[0].getUser(), hook.seen[0].getPassword()), (b"us@er", b"p"))

    async def test_by_name_and_by_ipv6(self) -> None:
        _, port = self.hook(status(200))
        await self.request(f"http://localhost:{port}/").run([], None)
        if socket.has_ipv6:
            _, port = self.hook(status(200), interface="::1")
            self.assertEqual(await self.request(f"http://[::1]:{port}/").run([], None), "status 200, 1 try")

    async def test_no_proxy(self) -> None:
        proxy, proxy_port = self.hook(status(200))
        hook, port = self.hook(status(200))
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            self.addCleanup(os.environ.pop, name)
            os.environ[name] = f"http://127.0.0.1:{proxy_port}"
        await self.run_request(port)
        self.assertEqual((len(hook.seen), proxy.seen), (1, []))

    async def test_redirects_are_not_followed(self) -> None:
        other, other_port = self.hook(status(200))
        for code in (301, 302, 303, 307, 308):
            hook, port = self.hook(status(code, Location=f"http://127.0.0.1:{other_port}/"))
            self.assertEqual(await self.failing(self.run_request(port)), f"status {code}, 1 try")
            self.assertEqual((len(hook.seen), other.seen), (1, []))


class Again(RequestCase):
    async def test_500_then_200(self) -> None:
        hook, port = self.hook(status(500), status(503), status(200))
        running = self.run_request(port)
        for delay in (1.0, 4.0):
            self.assertEqual(await self.waits_for_retry(), delay)
            self.clock.advance(delay)
        self.assertEqual(await running, "status 200, 3 tries")
        self.assertEqual(len(hook.seen), 3)

    async def test_gives_up(self) -> None:
        hook, port = self.hook(status(500))
        running = self.run_request(port)
        for _ in range(2):
            self.clock.advance(await self.waits_for_retry())
        self.assertEqual(await self.failing(running), "status 500, 3 tries")
        self.assertEqual((len(hook.seen), self.clock.getDelayedCalls()), (3, []))

    async def test_400_is_not_tried_again(self) -> None:
        for code in (400, 404, 429):
            hook, port = self.hook(status(code))
            self.assertEqual(await self.failing(self.run_request(port)), f"status {code}, 1 try")
            self.assertEqual(len(hook.seen), 1)

    async def test_nobody_listens(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            running = self.run_request(taken.getsockname()[1])
            for delay in (1.0, 4.0):
                self.assertEqual(await self.waits_for_retry(), delay)
                self.clock.advance(delay)
            text = await self.failing(running)
        self.assertIn("refused", text)
        self.assertIn("3 tries", text)

    async def test_the_connection_breaks(self) -> None:
        connections, port = self.raw(lambda transport: transport.abortConnection())
        running = self.run_request(port)
        for _ in range(2):
            self.clock.advance(await self.waits_for_retry())
        self.assertIn("Connection", await self.failing(running))
        self.assertEqual(len(connections), 3)

    async def test_no_http_at_all(self) -> None:
        _, port = self.raw(lambda transport: transport.write(b"SSH-2.0-x\r\n\r\n"))
        running = self.run_request(port)
        for _ in range(2):
            self.clock.advance(await self.waits_for_retry())
        self.assertIn("3 tries", await self.failing(running))

    async def test_cancelled_between_tries(self) -> None:
        _, port = self.hook(status(500))
        running = self.run_request(port)
        await self.waits_for_retry()
        running.cancel()
        await self.assertFailure(running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Bounds(RequestCase):
    async def test_no_answer(self) -> None:
        hook, port = self.hook(hang)
        running = self.run_request(port)
        await self.until(lambda: hook.seen)
        gone = hook.seen[0].notifyFinish()
        self.clock.advance(14.9)
        await deferLater(reactor, 0.02)
        self.assertFalse(running.called)
        self.clock.advance(0.2)
        self.assertEqual(await self.failing(running), "no whole answer within 15 s, 1 try")
        await self.assertFailure(gone, Exception)  # the connection is closed
        self.assertEqual(len(hook.seen), 1)

    async def test_a_body_that_never_ends(self) -> None:
        hook, port = self.hook(lambda request: request.write(b"x") or NOT_DONE_YET)
        running = self.run_request(port)
        await self.until(lambda: hook.seen)
        gone = hook.seen[0].notifyFinish()
        await deferLater(reactor, 0.05)
        self.assertFalse(running.called)
        self.clock.advance(15)
        self.assertEqual(await self.failing(running), "no whole answer within 15 s, 1 try")
        await self.assertFailure(gone, Exception)

    def full(self) -> int:
        """A port that takes no more connections and refuses none."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listening.close)
        for _ in range(4):
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        return int(listening.getsockname()[1])

    def nowhere(self) -> Request:
        """A request to a host whose name is looked up for ever."""

        class Resolver:
            def resolveHostName(self, *arguments: Any) -> None:
                lookups.append(arguments)

        class Reactor:
            nameResolver = Resolver()

            def __init__(self) -> None:
                directlyProvides(self, providedBy(reactor))

            def __getattr__(self, name: str) -> Any:
                return getattr(reactor, name)

        lookups: list[Any] = []
        request = Request(Address.parse("http://my_hook/"), Reactor(), self.clock, Limits())
        self.addCleanup(lambda: self.assertEqual([name for _, name, *_ in lookups], ["my_hook"]))
        return request

    async def test_no_connection(self) -> None:
        running = self.run_request(self.full())
        await deferLater(reactor, 0.02)
        self.clock.advance(14.9)
        self.assertFalse(running.called)
        self.clock.advance(0.2)
        self.assertEqual(await self.failing(running), "no whole answer within 15 s, 1 try")

    async def test_cancelled_without_connection(self) -> None:
        running = self.run_request(self.full())
        await deferLater(reactor, 0.02)
        running.cancel()
        await self.assertFailure(running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_no_address(self) -> None:
        request = self.nowhere()
        running = [Deferred.fromCoroutine(request.run([], None)) for _ in range(2)]
        self.clock.advance(15)
        for each in running:
            self.assertEqual(await self.failing(each), "no whole answer within 15 s, 1 try")

    async def test_cancelled_without_address(self) -> None:
        running = Deferred.fromCoroutine(self.nowhere().run([], None))
        running.cancel()
        await self.assertFailure(running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_cancelled(self) -> None:
        hook, port = self.hook(hang)
        running = self.run_request(port)
        await self.until(lambda: hook.seen)
        gone = hook.seen[0].notifyFinish()
        running.cancel()
        await self.assertFailure(running, CancelledError)
        await self.assertFailure(gone, Exception)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_huge_body(self) -> None:
        sent = []

        def flood(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")

            def more() -> None:
                if not connections[0].lost and len(sent) < 2000:
                    sent.append(transport.write(b"x" * 65536))
                    reactor.callLater(0, more)

            more()

        connections, port = self.raw(flood)
        self.assertEqual(await self.run_request(port), "status 200, 1 try")
        await self.until(lambda: connections[0].lost)
        self.assertLess(len(sent), 2000)

    async def test_huge_body_with_a_bad_status_in_one_piece(self) -> None:
        head = b"HTTP/1.1 404 No\r\nContent-Length: 9999999\r\n\r\n"
        _, port = self.raw(lambda transport: transport.write(head + b"x" * 500_000))
        self.assertEqual(await self.failing(self.run_request(port)), "status 404, 1 try")

    async def test_exactly_the_bound(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        size = 65536 - len(head % 65000)
        _, port = self.raw(lambda transport: transport.write(head % size + b"x" * size))
        self.assertEqual(await self.run_request(port), "status 200, 1 try")

    async def test_huge_head(self) -> None:
        head = b"HTTP/1.1 200 OK\r\n" + b"X-Header: value\r\n" * 10_000
        connections, port = self.raw(lambda transport: transport.write(head))
        text = await self.failing(self.run_request(port))
        self.assertEqual(text, "the head of the answer is over 65536 bytes, 1 try")
        await self.until(lambda: connections[0].lost)

    async def test_compressed_answers_are_not_unpacked(self) -> None:
        hook, port = self.hook(status(200, **{"Content-Encoding": "gzip"}))
        self.assertEqual(await self.run_request(port), "status 200, 1 try")
        self.assertIsNone(hook.seen[0].getHeader("Accept-Encoding"))


class TLS(RequestCase):
    def https(self, name: str) -> tuple[Hook, int, x509.Certificate]:
        directory = Path(self.mktemp())
        directory.mkdir()
        key, certificate, loaded = self_signed(directory, name)
        hook, port = self.hook(status(200), context=ssl.DefaultOpenSSLContextFactory(str(key), str(certificate)))
        return hook, port, loaded

    def trust(self, certificate: x509.Certificate) -> Any:
        return ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(certificate.public_bytes(Encoding.PEM))])

    async def outcome(self, url: str, trust_root: Any) -> str:
        running = Deferred.fromCoroutine(self.request(url, trust_root=trust_root).run([], None))
        for _ in range(2):
            self.clock.advance(await self.waits_for_retry())
        return await self.failing(running)

    async def test_trusted(self) -> None:
        _, port, certificate = self.https("localhost")
        request = self.request(f"https://localhost:{port}/", trust_root=self.trust(certificate))
        self.assertEqual(await request.run([], None), "status 200, 1 try")
        self.assertEqual(await request.run([], None), "status 200, 1 try")

    async def test_somebody_elses_certificate(self) -> None:
        hook, port, _ = self.https("localhost")
        text = await self.outcome(f"https://localhost:{port}/", None)
        self.assertIn("certificate verify failed", text)
        self.assertEqual(hook.seen, [])

    async def test_wrong_name(self) -> None:
        hook, port, certificate = self.https("other.example")
        text = await self.outcome(f"https://localhost:{port}/", self.trust(certificate))
        self.assertIn("VerificationError", text)
        self.assertEqual(hook.seen, [])


class Lookups(SynchronousTestCase):
    def test_one_at_a_time(self) -> None:
        asked: list[Any] = []

        class Resolver:
            def resolveHostName(self, receiver: Any, *arguments: Any) -> None:
                asked.append((receiver, arguments))

        class Receiver:
            def __init__(self) -> None:
                self.told: list[Any] = []

            def resolutionBegan(self, resolution: Any) -> None:
                self.told.append(resolution.name)
                resolution.cancel()

            def addressResolved(self, address: Any) -> None:
                self.told.append(address)

            def resolutionComplete(self) -> None:
                self.told.append("end")

        lookup = _SharedLookup(Resolver(), "my_host")  # type: ignore[arg-type]
        receivers = [Receiver() for _ in range(3)]
        for receiver in receivers:
            lookup.resolveHostName(receiver, "h", 80)
        self.assertEqual([arguments for _, arguments in asked], [("my_host", 80, None)])
        address = IPv4Address("TCP", "127.0.0.1", 80)
        asked[0][0].addressResolved(address)
        asked[0][0].resolutionComplete()
        self.assertEqual([receiver.told for receiver in receivers], [["h", address, "end"]] * 3)
        lookup.resolveHostName(Receiver(), "h", 80)
        self.assertEqual(len(asked), 2)
