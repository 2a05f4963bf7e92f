"""Who connections are, with proxies in between."""

from __future__ import annotations

import socket
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sftpgo.ssh.entrance import ALLOWED, HEADER_TIMEOUT, OFF, REQUIRED, Entrance, Proxies
from sftpgo.ssh.factory import ServerFactory
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.tcp import DirectServer, adopt

from .scripted import SERVER_KEY, VERSION, Wire
from .test_proxyheader import V2_SIGNATURE, v1, v2

PROXY = IPv4Address("TCP", "10.0.0.1", 4000)
ELSEWHERE = IPv4Address("TCP", "198.51.100.9", 4000)
HEADER = v1("192.0.2.7", 4711, "192.0.2.1", 22)


class Heard:
    """Who was told to be gone."""

    def __init__(self) -> None:
        self.gone: list[tuple[str, str]] = []

    def disconnected(self, transport: Any, authenticated: bool, reason: str) -> None:
        self.gone.append((transport.getPeer().address.host, reason))


class EntranceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.heard = Heard()
        self.server = self.make_server()

    def make_server(self, most: int = 100) -> ServerFactory:
        keys = {SERVER_KEY.sshType(): SERVER_KEY}
        return ServerFactory(
            None, keys, self.heard, self.clock, Settings(login_timeout=20), max_unauthenticated=most
        )  # fmt: skip

    def connect(self, mode: int, peer: Any = PROXY, networks: tuple[str, ...] = ("10.0.0.0/8",)) -> Wire | None:
        protocol = Entrance(self.server, mode, Proxies(networks)).buildProtocol(peer)
        if protocol is None:
            return None
        wire = Wire(peerAddress=peer)
        wire.protocol = protocol
        protocol.makeConnection(wire)
        return wire

    def peers(self) -> list[tuple[str, int]]:
        """Who the SSH server believes its clients to be."""
        return [(each.getPeer().address.host, each.getPeer().address.port) for each in self.server.transports]

    def assert_served(self, wire: Wire, peer: tuple[str, int]) -> None:
        self.assertTrue(wire.value().startswith(b"SSH-2.0-"), wire.value())
        self.assertEqual(self.peers(), [peer])
        self.assertFalse(wire.disconnecting)

    def assert_refused(self, wire: Wire, reason: str, host: str = "10.0.0.1") -> None:
        self.assertTrue(wire.aborted)
        self.assertEqual(wire.value(), b"")
        self.assertEqual((self.peers(), self.heard.gone), ([], [(host, reason)]))
        wire.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.heard.gone), 1)
        self.assertEqual((self.server.admission.strangers, self.clock.getDelayedCalls()), (0, []))

    def test_off(self) -> None:
        wire = self.connect(OFF)
        self.assert_served(wire, ("10.0.0.1", 4000))
        wire.protocol.dataReceived(HEADER)
        self.assertIn(b"Invalid SSH identification string", wire.value())

    def test_both_versions(self) -> None:
        for mode in (ALLOWED, REQUIRED):
            for header, peer in (
                (HEADER, ("192.0.2.7", 4711)),
                (v2("192.0.2.7", 4711, "192.0.2.1", 22, b"\x03\x00\x04abcd"), ("192.0.2.7", 4711)),
                (v2("2001:db8::7", 4711, "2001:db8::1", 22), ("2001:db8::7", 4711)),
                (b"PROXY UNKNOWN\r\n", ("10.0.0.1", 4000)),
                (v2("192.0.2.7", 4711, "192.0.2.1", 22, command=0x20), ("10.0.0.1", 4000)),
            ):
                wire = self.connect(mode)
                self.assertEqual(wire.value(), b"")
                wire.protocol.dataReceived(header)
                self.assert_served(wire, peer)
                wire.protocol.connectionLost(Failure(ConnectionDone()))
                self.assertEqual(self.heard.gone.pop()[0], peer[0])

    @settings(deadline=None, max_examples=50)
    @given(st.sampled_from((HEADER, v2("192.0.2.7", 4711, "192.0.2.1", 22, bytes(40)))), st.lists(st.integers(1, 40)))
    def test_in_any_pieces(self, header: bytes, sizes: list[int]) -> None:
        self.server = self.make_server()
        wire = self.connect(REQUIRED)
        data = header + VERSION + b"\r\n"
        for size in [*sizes, len(data)]:
            piece, data = data[:size], data[size:]
            if piece:
                wire.protocol.dataReceived(piece)
        self.assert_served(wire, ("192.0.2.7", 4711))
        (served,) = self.server.transports
        self.assertEqual(served.otherVersionString, VERSION)

    @settings(deadline=None, max_examples=100)
    @given(
        st.sampled_from((ALLOWED, REQUIRED)),
        st.sampled_from((b"", b"PROXY ", HEADER[:-2], V2_SIGNATURE, V2_SIGNATURE + b"\x21\x11", VERSION)),
        st.lists(st.binary(max_size=40), max_size=8),
    )
    def test_any_bytes(self, mode: int, start: bytes, pieces: list[bytes]) -> None:
        """Whatever comes, the connection waits, is served or is refused; and nothing is left when it is gone."""
        self.server = self.make_server()
        self.heard.gone.clear()
        wire = self.connect(mode)
        for piece in (start, *pieces):
            if not wire.disconnecting and piece:
                wire.protocol.dataReceived(piece)
        served, refused = bool(self.server.transports), bool(self.heard.gone)
        self.assertFalse(served and refused)
        self.assertEqual(wire.aborted, refused)
        self.assertEqual(self.server.admission.strangers, 0 if refused else 1)
        wire.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.heard.gone), 1)
        self.assertEqual((self.server.admission.strangers, self.clock.getDelayedCalls()), (0, []))

    def test_a_proxy_may_be_a_client_where_headers_are_allowed(self) -> None:
        wire = self.connect(ALLOWED)
        wire.protocol.dataReceived(VERSION + b"\r\n")
        self.assert_served(wire, ("10.0.0.1", 4000))
        (served,) = self.server.transports
        self.assertEqual(served.otherVersionString, VERSION)

    def test_no_header_where_one_is_required(self) -> None:
        wire = self.connect(REQUIRED)
        wire.protocol.dataReceived(VERSION + b"\r\n")
        self.assert_refused(wire, "there is no PROXY header")

    def test_malformed(self) -> None:
        for mode in (ALLOWED, REQUIRED):
            self.heard.gone.clear()
            wire = self.connect(mode)
            wire.protocol.dataReceived(b"PROXY TCP4 1.2.3.4\r\n")
            wire.protocol.dataReceived(HEADER)
            self.assert_refused(wire, "the PROXY header is of no known kind")

    def test_too_late(self) -> None:
        wire = self.connect(REQUIRED)
        wire.protocol.dataReceived(HEADER[:20])
        self.clock.advance(HEADER_TIMEOUT)
        self.assert_refused(wire, "the PROXY header did not come in time")

    def test_the_login_deadline_goes_on(self) -> None:
        wire = self.connect(REQUIRED)
        self.clock.advance(4)
        wire.protocol.dataReceived(HEADER)
        self.clock.advance(15.5)
        self.assertFalse(wire.disconnecting)
        self.clock.advance(1)
        self.assertTrue(wire.disconnecting)

    def test_gone_without_a_header(self) -> None:
        wire = self.connect(REQUIRED)
        wire.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.heard.gone, [("10.0.0.1", "no PROXY header came")])
        self.assertEqual((self.server.admission.strangers, self.clock.getDelayedCalls()), (0, []))

    def test_who_is_no_proxy(self) -> None:
        self.assertIsNone(self.connect(REQUIRED, ELSEWHERE))
        self.assertEqual(self.heard.gone, [("198.51.100.9", "not from a proxy of sftpd.proxy_allowed")])
        wire = self.connect(ALLOWED, ELSEWHERE)
        self.assert_served(wire, ("198.51.100.9", 4000))
        # It may say what it wants: it is not believed.
        wire.protocol.dataReceived(HEADER)
        self.assertIn(b"Invalid SSH identification string", wire.value())

    def test_ipv4_on_a_socket_of_both_families(self) -> None:
        wire = self.connect(OFF, IPv6Address("TCP", "::ffff:10.0.0.1", 4000))
        self.assert_served(wire, ("10.0.0.1", 4000))
        wire = self.connect(REQUIRED, IPv6Address("TCP", "::ffff:10.0.0.1", 4001))
        self.assertIsNotNone(wire)
        self.assertIsNotNone(self.connect(REQUIRED, IPv6Address("TCP", "fd00::5", 4001), ("fd00::/8",)))

    def test_more_clients_than_one_address_may_have(self) -> None:
        """The ten of one address are the client's; those who wait for a header share the total only."""
        self.server = self.make_server(most=30)
        wires = [self.connect(REQUIRED) for _ in range(30)]
        self.assertEqual(self.server.admission.strangers, 30)
        for number, wire in enumerate(wires):
            wire.protocol.dataReceived(v1(f"192.0.2.{number % 2}", number, "192.0.2.99", 22))
        self.assertEqual(len(self.server.transports), 20)
        self.assertEqual(self.server.admission.strangers, 20)
        # They have no address of their own yet: together they have the most, so one of them has to go for each.
        more = [self.connect(REQUIRED) for _ in range(15)]
        self.assertEqual(self.server.admission.strangers, 30)
        self.assertFalse(more[-1].aborted)

    def test_replace(self) -> None:
        entrance = Entrance(self.server)
        entrance.doStart()
        other = self.make_server()
        other.succeed(self.server)
        entrance.replace(other, REQUIRED, Proxies(["10.0.0.1"]))
        self.assertEqual((self.server.numPorts, other.numPorts), (0, 1))
        self.assertIsNone(entrance.buildProtocol(ELSEWHERE))
        self.assertIs(other.transports, self.server.transports)
        self.assertIs(other.admission, self.server.admission)
        entrance.doStop()
        self.assertEqual(other.numPorts, 0)

    def test_nobody_comes_in_after_the_end(self) -> None:
        """Who waits for a header when the port is closed is no connection yet that anybody else would end."""
        entrance = Entrance(self.server, REQUIRED, Proxies(["10.0.0.1"]))
        entrance.doStart()
        wire = Wire(peerAddress=PROXY)
        wire.protocol = entrance.buildProtocol(PROXY)
        wire.protocol.makeConnection(wire)
        wire.protocol.dataReceived(HEADER[:9])
        entrance.doStop()
        wire.protocol.dataReceived(HEADER[9:])
        self.assert_refused(wire, "the server stops")


class SocketTests(TestCase):
    """Over a real socket."""

    timeout = 60

    async def until(self, holds: Any) -> None:
        while not holds():
            await deferLater(reactor, 0.01, lambda: None)

    async def test_the_server_reads_the_socket_itself_afterwards(self) -> None:
        keys = {SERVER_KEY.sshType(): SERVER_KEY}
        server = ServerFactory(None, keys, Heard(), reactor, Settings())
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            port = adopt(reactor, listening, Entrance(server, REQUIRED, Proxies(["127.0.0.1"])))
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(client.close)
        client.sendall(HEADER)
        await self.until(lambda: server.transports)
        (transport,) = server.transports
        self.assertEqual(transport.getPeer().address.host, "192.0.2.7")
        client.sendall(VERSION + b"\r\n")
        await self.until(lambda: transport.gotVersion)
        self.assertIsInstance(transport.transport, DirectServer)
        self.assertIs(transport.transport._protocol, transport)
        transport.abort()
        await self.until(lambda: not server.transports)
