"""Connections that read into and send from their protocol's buffers, over real sockets."""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from sftpgo.ssh import lowwater
from sftpgo.ssh.buffers import BufferPool, Buffers, ByteQueue
from sftpgo.ssh.link import IDirectProtocol, IDirectTransport
from sftpgo.ssh.tcp import DirectServer, is_supported, listen


@implementer(IDirectProtocol)
class Echo(Protocol):
    """Sends back what comes, and then what else it was told to send, a piece each time there is room."""

    def __init__(self) -> None:
        buffers = Buffers()
        self.inbox = ByteQueue(buffers.inbox)
        self.outbox = ByteQueue(buffers.outbox)
        self.at_once = 1 << 20
        self.more: list[bytes] = []
        self.drains = 0
        self.lost: Deferred[Any] = Deferred()

    def received(self) -> None:
        self.outbox.append(self.inbox.view[self.inbox.head : self.inbox.tail])
        self.inbox.clear()
        self.transport.sendQueued()

    def drained(self) -> None:
        self.drains += 1
        if self.more:
            self.outbox.append(self.more.pop(0))

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(reason.type)


class Ordinary(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data.upper())


class TcpTests(TestCase):
    timeout = 60

    def connect(self, make: Any = Echo) -> socket.socket:
        factory = Factory()
        factory.noisy = False
        self.made: Deferred[Any] = Deferred()

        def build(address: Any) -> Any:
            self.protocol = make()
            reactor.callLater(0, self.made.callback, self.protocol)
            return self.protocol

        factory.buildProtocol = build
        port = listen(reactor, 0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = socket.create_connection(("127.0.0.1", port.getHost().port))
        client.setblocking(False)
        self.addCleanup(client.close)
        return client

    async def read(self, client: socket.socket, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                piece = client.recv(1 << 20)
                if not piece:
                    break
                data += piece
            except BlockingIOError:
                await deferLater(reactor, 0.001)
        return data

    async def close(self, client: socket.socket) -> None:
        client.close()
        await self.protocol.lost

    async def test_echo(self) -> None:
        client = self.connect()
        client.send(b"hello")
        self.assertEqual(await self.read(client, 5), b"hello")
        self.assertTrue(IDirectTransport.providedBy(self.protocol.transport))
        self.assertEqual((len(self.protocol.inbox.data), len(self.protocol.outbox.data)), (0, 0))
        await self.close(client)

    async def test_more_than_the_socket_takes(self) -> None:
        """What is put in when the rest has gone out goes out as well, with no other event."""
        client = self.connect()
        protocol = await self.made
        sent = [os.urandom(3_000_000) for _ in range(4)]
        protocol.more = sent[1:]
        protocol.outbox.append(sent[0])
        protocol.transport.sendSoon()
        self.assertTrue(await self.read(client, 12_000_000) == b"".join(sent))
        self.assertGreaterEqual(protocol.drains, 4)
        await self.close(client)

    async def test_last_bytes_are_sent_before_the_end(self) -> None:
        client = self.connect()
        protocol = await self.made
        data = os.urandom(5_000_000)
        protocol.transport.write(data[:10])
        protocol.transport.writeSequence([data[10:]])
        protocol.transport.loseConnection()
        self.assertTrue(await self.read(client, len(data) + 1) == data)
        await protocol.lost
        protocol.transport.write(b"too late")
        self.assertFalse(protocol.transport.sendQueued() and len(protocol.outbox))

    async def test_reset(self) -> None:
        client = self.connect()
        protocol = await self.made
        protocol.outbox.append(bytes(10_000_000))
        protocol.transport.sendSoon()
        await self.read(client, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await self.close(client)

    async def test_abort(self) -> None:
        client = self.connect()
        protocol = await self.made
        protocol.outbox.append(bytes(10_000_000))
        protocol.transport.sendSoon()
        protocol.transport.abortConnection()
        await protocol.lost
        client.close()

    async def test_more_while_the_inbox_is_filled(self) -> None:
        """What does not fit is received in the same turn, and nothing is waited for."""

        class Small(Echo):
            def __init__(self) -> None:
                super().__init__()
                self.inbox = ByteQueue(BufferPool(32 * 1024, 1))
                self.got = b""
                self.turns: list[int] = []

            def received(self) -> None:
                pieces = 1
                self.take()
                while self.transport.receiveMore():
                    pieces += 1
                    self.take()
                self.turns.append(pieces)

            def take(self) -> None:
                self.got += bytes(self.inbox.view[self.inbox.head : self.inbox.tail])
                self.inbox.clear()

        client = self.connect(Small)
        data = os.urandom(90_000)
        self.assertEqual(client.send(data), len(data))
        protocol = await self.made
        while len(protocol.got) < len(data):
            await deferLater(reactor, 0.001)
        self.assertEqual(protocol.got, data)
        self.assertGreater(max(protocol.turns), 1)
        client.shutdown(socket.SHUT_WR)
        self.assertIs(await protocol.lost, ConnectionDone)
        self.assertFalse(protocol.transport.receiveMore())

    async def test_gathering(self) -> None:
        """Of a fast client so much is waited for as is of use; something short is heard all the same."""

        class Long(Echo):
            def __init__(self) -> None:
                super().__init__()
                self.got: list[int] = []

            def received(self) -> None:
                self.got.append(len(self.inbox))
                self.inbox.clear()
                self.transport.expect(100_000)

        client = self.connect(Long)
        protocol = await self.made
        mark = (socket.SOL_SOCKET, socket.SO_RCVLOWAT)
        client.send(b"short")
        while sum(protocol.got) < 5:
            await deferLater(reactor, 0.001)
        self.assertEqual(protocol.transport.socket.getsockopt(*mark), 1)
        while protocol.transport.socket.getsockopt(*mark) == 1:
            client.send(bytes(90_000))
            await deferLater(reactor, 0.001)
        self.assertGreaterEqual(max(protocol.got), lowwater.FAST)
        self.assertEqual(protocol.transport.socket.getsockopt(*mark), 100_000)
        pieces = len(protocol.got)
        client.send(b"something else")
        while len(protocol.got) == pieces:
            await deferLater(reactor, 0.001)
        # The mark is there again when the next large piece comes, and goes with the connection.
        while protocol.transport.socket.getsockopt(*mark) == 1:
            client.send(bytes(90_000))
            await deferLater(reactor, 0.001)
        await self.close(client)

    if not lowwater.SUPPORTED:
        test_gathering.skip = "sockets here have no such mark"

    async def test_ordinary_protocols(self) -> None:
        client = self.connect(Ordinary)
        client.send(b"hello")
        self.assertEqual(await self.read(client, 5), b"HELLO")
        client.close()
        await deferLater(reactor, 0.01)


class SupportTests(TestCase):
    def test_other_reactors_get_ordinary_ports(self) -> None:
        memory = MemoryReactor()
        self.assertFalse(is_supported(memory))
        listen(memory, 22, Factory(), 7, "127.0.0.1")
        self.assertEqual([(server[0], *server[2:]) for server in memory.tcpServers], [(22, 7, "127.0.0.1")])

    def test_private_names_are_there(self) -> None:
        """What DirectServer overrides and calls is what Twisted has, and calls."""
        self.assertTrue(is_supported(reactor))
        for name in (
            "doRead",
            "doWrite",
            "write",
            "writeSequence",
            "_postLoseConnection",
            "startWriting",
            "stopWriting",
        ):
            self.assertTrue(callable(getattr(tcp.Server, name)), name)
        for name in ("connected", "disconnecting", "_writeDisconnected"):
            self.assertTrue(hasattr(tcp.Server, name), name)
        self.assertIs(tcp.Port.transport, tcp.Server)
        self.assertTrue(issubclass(DirectServer, tcp.Server))
