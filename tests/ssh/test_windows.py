"""Windows as scripts of messages: what is granted, to whom, and what becomes of those who take more."""

from __future__ import annotations

from sftpgo.ssh.connection import LEAST_WINDOW
from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.settings import SMALL_WINDOW, WINDOW

from .channels import ADJUST, CLOSE, EXTENDED, Answers, ChannelCase


class WindowTests(ChannelCase):
    def test_small_until_served(self) -> None:
        """K16: what comes before anybody serves the channel is bounded, and served first."""
        channel = self.open()
        self.data(channel, uint32(3) * (SMALL_WINDOW // 4))
        self.assertNotIn(ADJUST, self.client.kinds())
        self.request(channel, b"stream")
        granted = Fields(self.client.take(ADJUST)[4:]).uint32()
        self.assertEqual(granted, WINDOW)
        self.client.clock.advance(0)
        self.assertEqual(channel.handler.served, SMALL_WINDOW // 4)
        self.assertEqual(len(self.sent()), 3 * SMALL_WINDOW // 4)

    def test_nothing_is_kept_of_empty_data(self) -> None:
        channel = self.open()
        for _ in range(3):
            self.data(channel, b"")
        self.data(channel, b"x")
        self.assertEqual(channel._early, [b"x"])

    def test_more_than_was_granted(self) -> None:
        channel = self.open()
        self.data(channel, bytes(SMALL_WINDOW))
        self.data(channel, b"x")
        self.assertTrue(self.client.closed)

    def test_more_than_was_granted_to_a_stream(self) -> None:
        channel = self.stream()
        channel.handler.blocked = True
        for _ in range(WINDOW // 32768):
            self.data(channel, bytes(32768))
        self.assertFalse(self.client.closed)
        self.data(channel, b"x")
        self.assertTrue(self.client.closed)

    def test_only_what_was_consumed_is_granted(self) -> None:
        channel = self.stream()
        channel.handler.blocked = True
        for _ in range(WINDOW // 32768):
            self.data(channel, bytes(32768))
        self.assertNotIn(ADJUST, self.client.kinds())
        channel.handler.blocked = False
        channel.stream.wake()
        self.client.clock.advance(0)
        self.assertEqual(Fields(self.client.take(ADJUST)[4:]).uint32(), WINDOW)
        self.assertEqual(len(channel.stream.incoming.data), 0)

    def test_windows_of_a_connection_together(self) -> None:
        for _ in range(10):
            self.stream()
        windows = [channel.stream.window for channel in self.connection.channels.values()]
        self.assertLess(sum(windows), 10 * 1024 * 1024)
        self.assertGreaterEqual(min(windows), 257 * 1024)
        first = self.connection.channels[0]
        self.client.send(CLOSE, uint32(first.id))
        self.assertGreaterEqual(self.stream().stream.window, WINDOW)

    def test_a_share_is_given_back_once(self) -> None:
        """However often channels come and go, their windows together are what they were at first."""
        channels = [self.stream() for _ in range(10)]
        windows = sum(channel.stream.window for channel in channels)
        for _ in range(10):
            self.client.send(CLOSE, uint32(channels.pop(0).id))
            channels.append(self.stream())
        self.assertLessEqual(sum(channel.stream.window for channel in channels), windows)

    def test_a_small_window_holds_any_request(self) -> None:
        """What was consumed is granted, little as it is, to a client that cannot end its next request without it."""
        for _ in range(3):
            channel = self.stream()
        self.assertEqual(channel.stream.window, LEAST_WINDOW)

        class Long(Answers):
            def serve(self) -> bool:
                incoming = self.stream.incoming
                while len(incoming) >= (self.stream.wanted or 150_000):
                    self.stream.consume(self.stream.wanted or 150_000)
                    self.stream.wanted = 260_000
                return False

        channel.stream._handler = Long(channel.stream)
        self.client.kinds()
        self.data(channel, bytes(150_000))
        self.assertEqual(self.client.kinds(), [ADJUST])
        self.assertEqual(channel.stream.window, LEAST_WINDOW)
        self.data(channel, bytes(200_000))
        self.assertEqual((self.client.kinds(), channel.stream.window), ([], LEAST_WINDOW - 200_000))
        self.data(channel, bytes(60_000))
        self.assertEqual((self.client.kinds(), channel.stream.window), ([ADJUST], LEAST_WINDOW))

    def test_nothing_is_granted_after_our_close(self) -> None:
        class Drain(Answers):
            def serve(self) -> bool:
                self.stream.consume(len(self.stream.incoming))
                return False

        channel = self.stream()
        channel.stream._handler = Drain(channel.stream)
        channel.stream.finish(0)
        self.assertIn(CLOSE, self.client.kinds())
        for _ in range(6):
            self.data(channel, bytes(WINDOW // 10))
        self.assertEqual(self.client.kinds(), [])

    def test_window_overflow(self) -> None:
        channel = self.open(window=1 << 31)
        self.adjust(channel, 1 << 31)
        self.assertTrue(self.client.closed)

    def test_extended_data(self) -> None:
        channel = self.open()
        self.client.send(EXTENDED, uint32(channel.id) + uint32(1) + string(bytes(1000)))
        self.assertFalse(self.client.closed)
        self.client.send(EXTENDED, uint32(channel.id) + uint32(1) + string(bytes(SMALL_WINDOW)))
        self.assertTrue(self.client.closed)
