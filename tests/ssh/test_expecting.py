"""What a transport is told to gather before it tells of it, as scripts of messages."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from sftpgo.ssh.compression import Compressor, Decompressor
from sftpgo.ssh.fields import string, uint32
from sftpgo.ssh.link import IDirectTransport

from .channels import CLOSE, DATA, ChannelCase
from .scripted import kexinit


@implementer(IDirectTransport)
class Direct:
    """A transport that is told what is of use."""

    def __init__(self, client: Any) -> None:
        self._wire = client.wire
        self._outbox = client.server.link.outbox
        self.told: list[int] = []

    def expect(self, missing: int) -> None:
        self.told.append(missing)

    def receiveMore(self) -> bool:
        return False

    def sendQueued(self) -> bool:
        self._wire.write(bytes(self._outbox.view[self._outbox.head : self._outbox.tail]))
        self._outbox.clear()
        return True

    def sendSoon(self) -> None:
        self.sendQueued()

    def loseConnection(self) -> None:
        self._wire.loseConnection()


class ExpectTests(ChannelCase):
    """What the transport is told to gather: only where nothing else can be of use."""

    def setUp(self) -> None:
        super().setUp()
        link = self.client.server.link
        self.direct = link._transport = Direct(self.client)
        link._direct = True

    def long(self) -> Any:
        """A channel that has 5 of the 300,000 bytes which it needs."""
        channel = self.stream()
        channel.handler.blocked = True
        channel.stream.wanted = 300_000
        self.data(channel, bytes(5))
        return channel

    def last(self) -> int:
        told = self.direct.told[-1]
        self.direct.told.clear()
        return told

    def test_the_rest_of_a_request(self) -> None:
        channel = self.long()
        self.assertEqual(self.last(), 299_995)
        packet = self.client.packet(DATA, uint32(channel.id) + string(bytes(1000)))
        # A part of a packet is a part of the rest.
        self.client.send_bytes(packet[:400])
        self.assertEqual(self.last(), 299_595)
        self.client.send_bytes(packet[400:])
        self.assertEqual(self.last(), 298_995)
        channel.stream.wanted = 0
        self.data(channel, b"")
        self.assertEqual(self.last(), 0)

    def test_an_exchange(self) -> None:
        """A client that asks for new keys sends no data until it has them."""
        self.long()
        self.client.offer(kexinit())
        self.assertEqual(self.last(), 0)
        self.client.rekey_again()
        self.client.send(80, string(b"unknown@x") + b"\1")
        self.assertEqual(self.last(), 299_995)

    def test_compressed(self) -> None:
        """Nobody knows how few bytes bring the rest."""
        self.long()
        self.client.server.link.decompressor = Decompressor(1 << 20)
        packed = Compressor().compress(b"P" + string(b"unknown@x") + b"\1")
        self.client.send(packed[0], packed[1:])
        self.assertEqual(self.last(), 0)

    def test_no_channel(self) -> None:
        channel = self.long()
        self.client.send(CLOSE, uint32(channel.id))
        self.assertEqual(self.last(), 0)
