"""Channels of a scripted client, and who serves them there."""

from __future__ import annotations

import struct
from typing import Any

from twisted.conch.avatar import ConchUser
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.channel import Channel
from sftpgo.ssh.connection import Connection
from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.settings import LARGEST_DATA, SMALL_WINDOW
from sftpgo.ssh.stream import ByteStream

from .scripted import Client

OPEN, CONFIRMED, REFUSED, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = range(90, 101)


class Answers:
    """A handler whose requests are four bytes: the size of the answer.

    @ivar content: of each answer; nothing for zeroes.
    """

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream
        self.served = 0
        self.gone = 0
        self.blocked = False
        self.content = b""

    def serve(self) -> bool:
        incoming, outgoing = self.stream.incoming, self.stream.outgoing
        while not self.blocked and len(incoming) >= 4:
            (size,) = struct.unpack_from(">L", incoming.data, incoming.head)
            if size > self.stream.allowance or not outgoing.reserve(size):
                return True
            self.stream.allowance -= size
            outgoing.view[outgoing.tail : outgoing.tail + size] = self.content or bytes(size)
            outgoing.tail += size
            self.served += 1
            self.stream.consume(4)
        if self.stream.ended:
            self.stream.finish(0)
        return False

    def closed(self) -> None:
        self.gone += 1


class Session(Channel):
    """Streams on "stream", plain reading on "read"."""

    name = b"session"

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.read: list[bytes] = []

    def request_stream(self, data: bytes) -> bool:
        self.start_stream(self.make)
        return True

    def make(self, stream: ByteStream) -> Answers:
        self.handler = Answers(stream)
        return self.handler

    def request_read(self, data: bytes) -> bool:
        self.start_reading()
        return True

    def request_fail(self, data: bytes) -> bool:
        raise KeyError("request")

    def dataReceived(self, data: bytes) -> None:
        self.read.append(data)


class Producer:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


class ChannelCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client(Connection)
        avatar = ConchUser()
        avatar.channelLookup[b"session"] = Session
        self.client.server.avatar = avatar
        self.client.server.logoutFunction = lambda: None
        self.connection = self.client.log_in()
        self.addCleanup(self.client.lose)

    def open(self, window: int = 1 << 30, largest: int = 32768, remote: int = 7) -> Any:
        self.client.send(OPEN, string(b"session") + uint32(remote) + uint32(window) + uint32(largest))
        fields = Fields(self.client.take(CONFIRMED))
        self.assertEqual(fields.uint32(), remote)
        number = fields.uint32()
        self.assertEqual((fields.uint32(), fields.uint32()), (SMALL_WINDOW, LARGEST_DATA))
        return self.connection.channels[number]

    def request(self, channel: Any, name: bytes) -> None:
        self.client.send(REQUEST, uint32(channel.id) + string(name) + b"\1")

    def stream(self, **sizes: int) -> Any:
        channel = self.open(**sizes)
        self.request(channel, b"stream")
        self.client.take(SUCCESS)
        # The turn that starting a stream asks for is over: what goes on from here does so for its own reasons.
        self.client.clock.advance(0)
        return channel

    def data(self, channel: Any, data: bytes) -> None:
        self.client.send(DATA, uint32(channel.id) + string(data))

    def sent(self) -> bytes:
        """All data the server has sent on channels, until it is the next one's turn."""
        self.client.clock.advance(0)
        self.client.listen()
        parts = [Fields(payload[4:]).string() for kind, payload in self.client.heard if kind == DATA]
        self.client.heard = [message for message in self.client.heard if message[0] != DATA]
        return b"".join(parts)

    def adjust(self, channel: Any, size: int) -> None:
        self.client.send(ADJUST, uint32(channel.id) + uint32(size))
