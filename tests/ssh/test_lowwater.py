"""The mark below which a socket wakes nobody, on real sockets."""

from __future__ import annotations

import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.lowwater import FAST, MOST, PATIENCE, SUPPORTED, LowWater
from tests.harness import PATIENCE as LONG
from tests.rawssh import readable


class LowWaterTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not SUPPORTED:
            self.skipTest("sockets here have no such mark")
        with socket.create_server(("127.0.0.1", 0)) as port:
            self.client = socket.create_connection(port.getsockname())
            self.server, _ = port.accept()
        self.addCleanup(self.client.close)
        self.addCleanup(self.server.close)
        self.clock = Clock()
        self.mark = LowWater(self.server, self.clock)
        self.addCleanup(self.mark.close)

    def told(self) -> int:
        """What the system knows of it."""
        return self.server.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)

    def put(self, size: int) -> None:
        """Have so many bytes arrive."""
        self.client.sendall(bytes(size))
        room = bytearray(size)
        while self.server.recv_into(room, size, socket.MSG_PEEK) < size:
            pass

    def test_what_is_set(self) -> None:
        for missing, told in ((FAST - 1, 1), (FAST, FAST), (100_000, 100_000), (MOST + 1, MOST), (0, 1), (-5, 1)):
            self.mark.expect(missing)
            self.assertEqual((self.told(), self.mark.size), (told, told), missing)

    def test_woken_by_all_of_it(self) -> None:
        self.mark.expect(100_000)
        self.put(60_000)
        self.assertFalse(readable(self.server, 0))
        self.client.sendall(bytes(40_000))
        self.assertTrue(readable(self.server, LONG))

    def test_less_after_a_while(self) -> None:
        """What is there is looked at when nothing more was served for one to two periods."""
        self.mark.expect(100_000)
        self.put(60_000)
        self.clock.advance(PATIENCE)
        self.assertTrue(readable(self.server, LONG))
        self.assertEqual((self.told(), self.clock.getDelayedCalls()), (1, []))

    def test_busy_sockets_keep_their_mark(self) -> None:
        self.mark.expect(100_000)
        for _ in range(5):
            self.mark.expect(100_000)
            self.clock.advance(PATIENCE)
            self.assertEqual(self.told(), 100_000)
        self.clock.advance(PATIENCE)
        self.assertEqual((self.told(), self.clock.getDelayedCalls()), (1, []))

    def test_one_timer(self) -> None:
        for missing in (100_000, 0, 100_000, 200_000):
            self.mark.expect(missing)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.mark.expect(0)
        self.clock.advance(PATIENCE)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_end_is_heard(self) -> None:
        self.mark.expect(100_000)
        self.put(10)
        self.client.close()
        self.assertTrue(readable(self.server, LONG))

    def test_closed(self) -> None:
        self.mark.expect(100_000)
        self.mark.close()
        self.mark.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
