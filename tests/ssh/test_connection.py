"""Channels and streams as scripts of messages: bounds, windows, back-pressure both ways, and their ends."""

from __future__ import annotations

import os
import struct

from sftpgo.ssh.compression import Compressor
from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.settings import WINDOW
from sftpgo.ssh.stream import DUE

from .channels import (
    ADJUST,
    CLOSE,
    CONFIRMED,
    DATA,
    EOF,
    EXTENDED,
    FAILURE,
    OPEN,
    REFUSED,
    REQUEST,
    SUCCESS,
    Answers,
    ChannelCase,
    Producer,
)
from .scripted import kexinit


class OpenTests(ChannelCase):
    def test_at_most_so_many(self) -> None:
        """K9."""
        for _ in range(10):
            self.open()
        for _ in range(100):
            self.client.send(OPEN, string(b"session") + uint32(7) + uint32(1) + uint32(32768))
            fields = Fields(self.client.take(REFUSED))
            self.assertEqual((fields.uint32(), fields.uint32()), (7, 4))
        self.assertEqual(len(self.connection.channels), 10)
        self.assertFalse(self.client.closed)

    def test_packets_that_hold_nothing(self) -> None:
        """K8."""
        for largest in (0, 1, 255):
            self.client.send(OPEN, string(b"session") + uint32(7) + uint32(1 << 20) + uint32(largest))
            self.client.take(REFUSED)
        self.assertEqual(self.connection.channels, {})

    def test_other_kinds(self) -> None:
        for kind in (b"direct-tcpip", b"x11", b""):
            self.client.send(OPEN, string(kind) + uint32(7) + uint32(1 << 20) + uint32(32768))
            fields = Fields(self.client.take(REFUSED))
            self.assertEqual((fields.uint32(), fields.uint32()), (7, 3))

    def test_messages_for_no_channel(self) -> None:
        for kind in (ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST):
            self.setUp()
            self.client.send(kind, uint32(5) + bytes(20))
            self.assertTrue(self.client.closed, kind)

    def test_nothing_is_granted_to_the_whole_connection(self) -> None:
        for name in (b"tcpip-forward", b"x\xff", b"keepalive@openssh.com"):
            self.client.send(80, string(name) + b"\1" + bytes(10))
            self.assertEqual(self.client.kinds(), [82])
            self.client.send(80, string(name) + b"\0")
            self.assertEqual(self.client.kinds(), [])

    def test_answers_to_nothing(self) -> None:
        for kind in (81, 82, CONFIRMED, REFUSED, SUCCESS, FAILURE):
            self.setUp()
            self.client.send(kind, uint32(0) + bytes(20))
            self.assertTrue(self.client.closed, kind)

    def test_requests_that_fail(self) -> None:
        channel = self.open()
        self.request(channel, b"fail")
        self.client.take(FAILURE)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        for name in (b"shell", b"x\xff", b"", b"\0"):
            self.request(channel, name)
            self.client.take(FAILURE)


class StreamTests(ChannelCase):
    def test_answers_that_are_not_granted(self) -> None:
        """K5: requests stay unread while their answers have nowhere to go; then all are answered."""
        channel = self.stream(window=0)
        for _ in range(300):
            self.data(channel, uint32(255 * 1024))
        self.assertLess(channel.handler.served, 4)
        self.assertEqual(self.sent(), b"")
        held = len(channel.stream.incoming.data) + len(channel.stream.outgoing.data)
        self.assertLess(held + len(self.client.server.link.outbox.data), 4 * 1024 * 1024)
        received = 0
        for _ in range(1000):
            self.adjust(channel, 1024 * 1024)
            received += len(self.sent())
            if received == 300 * 255 * 1024:
                break
        self.assertEqual((channel.handler.served, received), (300, 300 * 255 * 1024))

    def test_one_grant_is_enough(self) -> None:
        """A stream that was stuck goes on with the requests that wait, with no other event than the window's."""
        channel = self.stream(window=0)
        self.data(channel, uint32(200_000) * 20)
        self.assertLess(channel.handler.served, 20)
        self.adjust(channel, 1 << 30)
        for _ in range(30):
            self.client.clock.advance(0)
        self.assertEqual((channel.handler.served, len(self.sent())), (20, 4_000_000))

    def test_one_drain_is_enough(self) -> None:
        """Likewise when it was the transport that had enough."""
        channel = self.stream()
        self.client.wire.full = True
        self.data(channel, uint32(200_000) * 20)
        for _ in range(10):
            channel.stream.run()
        self.assertLess(channel.handler.served, 20)
        self.client.wire.full = False
        self.client.wire.producer.resumeProducing()
        for _ in range(30):
            self.client.clock.advance(0)
        self.assertEqual((channel.handler.served, len(self.sent())), (20, 4_000_000))

    def test_more_than_is_sent_at_once_compressed(self) -> None:
        """Several channels together have more to say in a turn than is to wait, and nothing keeps it from going."""
        channels = [self.stream() for _ in range(4)]
        self.client.server.link.compressor = Compressor()
        for channel in channels:
            channel.handler.content = os.urandom(200_000)
            self.data(channel, uint32(200_000) * 20)
        for _ in range(100):
            self.client.clock.advance(0)
        self.assertEqual([channel.handler.served for channel in channels], [20] * 4)
        self.assertEqual([len(channel.stream.outgoing) for channel in channels], [0] * 4)

    def test_data_is_not_mixed_up(self) -> None:
        """Windows, packets and requests of odd sizes: the answers are the bytes that were asked for, in order."""
        channel = self.stream(window=1000, largest=700)

        class Counter(Answers):
            count = 0

            def serve(self) -> bool:
                incoming, outgoing = self.stream.incoming, self.stream.outgoing
                while len(incoming) >= 2:
                    (size,) = struct.unpack_from(">H", incoming.data, incoming.head)
                    if not outgoing.reserve(size):
                        return True
                    for position in range(outgoing.tail, outgoing.tail + size):
                        outgoing.data[position] = self.count & 255
                        self.count += 1
                    outgoing.tail += size
                    self.stream.consume(2)
                return False

        channel.stream._handler = Counter(channel.stream)
        sizes = [1, 699, 700, 701, 0, 3, 2000, 13, 5000]
        requests = b"".join(struct.pack(">H", size) for size in sizes)
        got = b""
        for start in range(0, len(requests), 3):
            self.data(channel, requests[start : start + 3])
            got += self.sent()
        while len(got) < sum(sizes):
            self.adjust(channel, 333)
            more = self.sent()
            self.assertTrue(more)
            got += more
        self.assertEqual(got, bytes(index & 255 for index in range(sum(sizes))))

    def test_short_answers_travel_together(self) -> None:
        """What comes at once is answered in one packet, be it more than is decrypted before it is served."""

        class Uploads(Answers):
            def serve(self) -> bool:
                incoming, outgoing = self.stream.incoming, self.stream.outgoing
                while len(incoming) >= DUE:
                    outgoing.append(b"ok")
                    self.served += 1
                    self.stream.consume(DUE)
                return False

        channel = self.stream()
        handler = channel.stream._handler = Uploads(channel.stream)
        piece = uint32(channel.id) + string(bytes(32 * 1024))
        packets = b"".join(self.client.packet(DATA, piece) for _ in range(18))
        self.client.send_bytes(packets[:-1])
        self.assertEqual((handler.served, self.client.take(DATA)[4:]), (2, string(b"okok")))
        self.client.send_bytes(packets[-1:])
        self.assertEqual(self.sent(), b"ok")

    def test_other_channels_messages_in_between(self) -> None:
        """A packet that is decrypted into the wrong stream's buffer does not harm what waits there."""
        first, second = self.stream(), self.stream(remote=8)
        third = self.open(remote=9)
        self.request(third, b"read")
        first.handler.blocked = True
        self.data(first, b"\0\0\0")
        self.data(second, uint32(5))
        self.data(third, b"plain")
        self.client.send(80, string(b"unknown@x") + b"\1")
        self.data(first, b"\4\0\0")
        self.data(second, uint32(6))
        first.handler.blocked = False
        self.data(first, b"\0\1")
        self.assertEqual((first.handler.served, second.handler.served, third.read), (2, 2, [b"plain"]))
        self.assertEqual(len(self.sent()), 4 + 5 + 6 + 1)

    def test_data_with_padding_to_spare(self) -> None:
        """A packet whose padding is more than needed is as good as any; one whose string is short is not."""
        channel = self.stream()
        self.client.send(DATA, uint32(channel.id) + string(uint32(1)))
        for payload, closed in ((string(uint32(1)), False), (string(uint32(1)) + b"x", True)):
            plain = b"\x5e" + uint32(channel.id) + payload
            padding = -(1 + len(plain)) % 16 + 48
            plain = bytes((padding,)) + plain + bytes(padding)
            packet = bytearray(4 + len(plain) + 16)
            self.client.writer.seal(memoryview(bytearray(plain)), memoryview(packet))
            self.client.send_bytes(bytes(packet))
            self.assertEqual(self.client.closed, closed)
        self.assertEqual(channel.handler.served, 2)

    def test_sending_waits_for_an_exchange(self) -> None:
        channel = self.stream()
        self.client.server.sendKexInit()
        self.data(channel, uint32(100_000))
        self.assertEqual(channel.handler.served, 1)
        self.client.theirs = b"\x14" + self.client.take(20)
        self.assertEqual(self.sent(), b"")
        self.client.offer(kexinit())
        self.client.agree()
        self.assertEqual(len(self.sent()), 100_000)
        self.client.newkeys()
        self.data(channel, uint32(5))
        self.assertEqual(len(self.sent()), 5)

    def test_end_has_an_exit_status(self) -> None:
        channel = self.stream(window=5)
        self.data(channel, uint32(8))
        self.client.send(EOF, uint32(channel.id))
        self.assertNotIn(CLOSE, self.client.kinds())
        self.adjust(channel, 100)
        self.client.listen()
        kinds = [kind for kind, _ in self.client.heard]
        self.assertEqual(kinds, [DATA, REQUEST, EOF, CLOSE])
        request = Fields(self.client.take(REQUEST)[4:])
        self.assertEqual((request.string(), request.boolean(), request.uint32()), (b"exit-status", False, 0))
        self.assertEqual(channel.handler.gone, 0)
        self.client.send(CLOSE, uint32(channel.id))
        self.assertEqual((channel.handler.gone, self.connection.channels), (1, {}))

    def test_close_by_the_client(self) -> None:
        channel = self.stream(window=5)
        self.data(channel, uint32(1000))
        self.client.send(CLOSE, uint32(channel.id))
        self.assertIn(CLOSE, self.client.kinds())
        self.assertEqual((channel.handler.gone, self.connection.channels), (1, {}))
        self.assertEqual(len(channel.stream.incoming.data) + len(channel.stream.outgoing.data), 0)

    def test_lost_connection(self) -> None:
        channels = [self.stream(), self.stream()]
        channels[0].handler.closed = lambda: {}["closed"]
        self.client.lose()
        self.assertEqual(channels[1].handler.gone, 1)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_one_greedy_channel_does_not_starve_another(self) -> None:
        greedy, modest = self.stream(), self.stream(remote=8)
        for _ in range(20):
            self.data(greedy, uint32(250_000) * 20)
        before = greedy.handler.served
        self.data(modest, uint32(10))
        self.assertEqual(modest.handler.served, 1)
        self.assertLess(greedy.handler.served - before, 10)
        while greedy.handler.served < 400:
            served = greedy.handler.served
            self.client.clock.advance(0)
            self.assertGreater(greedy.handler.served, served)


class PlainTests(ChannelCase):
    def test_reading(self) -> None:
        channel = self.open()
        self.data(channel, b"early")
        self.request(channel, b"read")
        self.data(channel, b"later")
        self.assertEqual(channel.read, [b"early", b"later"])

    def test_paused_reading_is_not_granted(self) -> None:
        channel = self.open()
        self.request(channel, b"read")
        self.client.kinds()
        channel.pauseProducing()
        for _ in range(WINDOW // 32768):
            self.data(channel, bytes(32768))
        self.assertNotIn(ADJUST, self.client.kinds())
        channel.resumeProducing()
        self.client.take(ADJUST)

    def test_writing_waits_for_the_window(self) -> None:
        channel = self.open(window=10, largest=4096)
        producer = Producer()
        channel.registerProducer(producer, True)
        channel.write(bytes(100_000))
        channel.writeExtended(1, b"error")
        channel.loseConnection()
        self.assertEqual((len(self.sent()), producer.calls), (10, ["pause"]))
        self.adjust(channel, 99_990)
        self.assertEqual(len(self.sent()), 99_990)
        self.assertNotIn(EXTENDED, self.client.kinds())
        self.adjust(channel, 100)
        self.assertEqual(self.client.kinds(), [EXTENDED, CLOSE])
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_the_end_comes_after_what_waits(self) -> None:
        channel = self.open(window=10)
        channel.write(bytes(100))
        channel.finish(3)
        channel.write(b"too late")
        channel.finish(4)
        self.assertEqual(self.client.kinds(), [DATA])
        self.adjust(channel, 1000)
        self.client.listen()
        self.assertEqual([kind for kind, _ in self.client.heard], [DATA, REQUEST, EOF, CLOSE])
        request = Fields(self.client.take(REQUEST)[4:])
        self.assertEqual((request.string(), request.boolean(), request.uint32()), (b"exit-status", False, 3))

    def test_producer_is_stopped(self) -> None:
        channel = self.open(window=0)
        producer = Producer()
        channel.registerProducer(producer, True)
        channel.write(b"x")
        self.client.lose()
        self.assertEqual(producer.calls, ["stop"])

    def test_nothing_is_read_after_our_close(self) -> None:
        channel = self.open()
        self.request(channel, b"read")
        channel.loseConnection()
        self.data(channel, b"late")
        self.request(channel, b"read")
        self.assertEqual(channel.read, [])
        self.assertFalse(self.client.closed)
        self.client.send(CLOSE, uint32(channel.id))
        self.assertEqual(self.connection.channels, {})


class KeepaliveTests(ChannelCase):
    def test_silence_ends_the_connection(self) -> None:
        for _ in range(10):
            self.client.clock.advance(60)
        self.assertTrue(self.client.wire.aborted)

    def test_any_answer_will_do(self) -> None:
        asked = 0
        for _ in range(50):
            self.client.clock.advance(60)
            for kind, payload in self.heard():
                if kind == 80:
                    asked += 1
                    self.assertEqual(payload, string(b"keepalive@openssh.com") + b"\xff")
                    self.client.send(82)
        self.assertGreater(asked, 10)
        self.assertFalse(self.client.closed)

    def heard(self) -> list[tuple[int, bytes]]:
        self.client.listen()
        heard, self.client.heard = self.client.heard, []
        return heard

    def test_busy_clients_are_not_asked(self) -> None:
        for _ in range(10):
            self.client.send(2, string(b""))
            self.client.clock.advance(60)
        self.assertNotIn(80, self.client.kinds())
