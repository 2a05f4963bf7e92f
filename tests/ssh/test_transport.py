"""The transport as scripts of messages: what a client may say when, and what becomes of the others."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.fields import string, uint32
from sftpgo.ssh.link import AT_A_TIME, OVERFULL
from sftpgo.ssh.packets import LIMIT, LIMIT_BEFORE_LOGIN
from sftpgo.ssh.states import Kex, Phase
from sftpgo.ssh.turns import IN_A_ROW, MUCH, SHARE, Turns

from .scripted import VERSION, Client, Service, kexinit

STEPS: dict[str, tuple[Callable[[Client], object], Phase, Kex, set[int]]] = {
    "before KEXINIT": (Client.greet, Phase.UNSECURED, Kex.REQUESTED, {1, 2, 3, 4, 20}),
    "first exchange": (Client.begin, Phase.UNSECURED, Kex.EXCHANGING, {1, 30}),
    "first exchange, not strict": (lambda c: c.begin(False), Phase.UNSECURED, Kex.EXCHANGING, {1, 2, 3, 4, 30}),
    "answered": (lambda c: (c.begin(), c.agree()), Phase.UNSECURED, Kex.KEYED, {1, 21}),
    "secured": (Client.secure, Phase.SECURED, Kex.NONE, {1, 2, 3, 4, 5, 7, 20}),
    "login": (Client.request_login, Phase.LOGIN, Kex.NONE, {1, 2, 3, 4, 5, 20, 50, 61}),
    "logged in": (
        Client.log_in,
        Phase.OPEN,
        Kex.NONE,
        {1, 2, 3, 4, 20, 50, 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100},
    ),
    "another exchange": (
        lambda c: (c.log_in(), c.offer(kexinit())),
        Phase.OPEN,
        Kex.EXCHANGING,
        {1, 2, 3, 4, 30},
    ),
}


class StateTests(SynchronousTestCase):
    def test_every_message_in_every_state(self) -> None:
        """What is not in the table ends the connection, and nobody else hears of it (K3)."""
        for name, (step, phase, kex, allowed) in STEPS.items():
            for number in range(256):
                if number in allowed:
                    continue
                client = Client()
                step(client)
                client.kinds()
                server = client.server
                self.assertEqual((server.phase, server.handshake.state), (phase, kex), name)
                service = server.service
                client.send(number, b"x" * 10)
                self.assertTrue(client.closed, f"{number} in {name}")
                reason, text = client.reason()
                self.assertEqual(reason, 2)
                self.assertIn(b"not allowed", text)
                self.assertIs(server.service, service)
                if service is not None:
                    self.assertEqual(service.got, [])
                client.lose()
                self.assertEqual(client.clock.getDelayedCalls(), [], name)

    def test_what_is_allowed_goes_through(self) -> None:
        client = Client()
        client.begin(False)
        for number in (2, 3, 4):
            client.send(number, string(b"x"))
        client.agree()
        client.newkeys()
        client.send(7, uint32(1) + string(b"name") + string(b"value"))
        self.assertEqual(client.server.peerExtensions, {b"name": b"value"})
        client.send(5, string(b"ssh-userauth"))
        client.send(50, b"request")
        client.send(61, b"response")
        self.assertEqual(client.server.service.got, [(50, b"request"), (61, b"response")])
        service = Service(b"ssh-connection")
        client.server.setService(service)
        for number in (80, 94, 100):
            client.send(number, b"x")
        self.assertEqual(service.got, [(80, b"x"), (94, b"x"), (100, b"x")])
        # A login behind the one that succeeded is ignored (RFC 4252 section 5.3).
        client.send(50, b"request")
        self.assertEqual(len(service.got), 3)
        self.assertFalse(client.closed)

    def test_login_is_not_asked_for_again(self) -> None:
        """K4: after the login there is no other; before it, some clients ask before each attempt."""
        client = Client()
        client.request_login()
        client.send(5, string(b"ssh-userauth"))
        self.assertFalse(client.closed)
        client.server.setService(Service(b"ssh-connection"))
        client.send(5, string(b"ssh-userauth"))
        self.assertTrue(client.closed)

    def test_only_login_can_be_asked_for(self) -> None:
        for name in (b"ssh-connection", b"", b"other"):
            client = Client()
            client.secure()
            client.send(5, string(name))
            self.assertEqual(client.reason(), (7, b"no such service"))

    def test_malformed_messages(self) -> None:
        for step, number, payload in (
            (Client.greet, 20, b""),
            (Client.greet, 20, kexinit()[1:-1]),
            (Client.greet, 20, kexinit()[1:] + b"x"),
            (Client.greet, 20, bytes(16) + uint32(2**32 - 1)),
            (Client.greet, 1, b"\0"),
            (Client.secure, 5, b"\0\0\0\x0cssh-user"),
            (Client.secure, 7, uint32(1)),
            (lambda c: (c.begin(), c.agree()), 21, b"x"),
        ):
            client = Client()
            step(client)
            client.kinds()
            client.send(number, payload)
            self.assertTrue(client.closed, (number, payload))
            self.assertEqual(client.reason()[0], 2)

    def test_a_fault_in_a_service_ends_one_connection(self) -> None:
        client = Client()
        client.request_login()
        client.server.service.packetReceived = lambda number, payload: {}[payload]
        client.send(50, b"x")
        self.assertEqual(client.reason(), (2, b"internal error"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class VersionTests(SynchronousTestCase):
    def test_accepted(self) -> None:
        for line in (
            VERSION + b"\r\n",
            b"SSH-2.0-x\n",
            b"SSH-1.99-OpenSSH comment\r\n",
            b"SSH-2.0-" + b"x" * 245 + b"\r\n",
        ):
            client = Client()
            for byte in line:
                client.send_bytes(bytes((byte,)))
            self.assertEqual(client.server.otherVersionString, line.rstrip())
            self.assertFalse(client.closed)

    def test_refused(self) -> None:
        for line in (
            b"SSH-1.5-old\n",
            b"GET / HTTP/1.1\r\n",
            b"G",
            b"\n",
            b"SSH-2.0-nul\0\r\n",
            b"SSH-2.0-" + b"x" * 300,
            b"SSH-2.0-" + b"x" * 246 + b"\r\n",
            b"\x16\x03\x01",
        ):
            client = Client()
            client.send_bytes(line)
            self.assertTrue(client.closed, line)
            self.assertEqual(client.wire.value(), b"Invalid SSH identification string.\r\n")

    def test_packets_behind_the_version(self) -> None:
        client = Client()
        client.theirs = b"\x14" + client.take(20)
        client.offered = kexinit()
        client.strict = True
        client.send_bytes(VERSION + b"\r\n" + client.packet(20, client.offered[1:]))
        client.agree()
        client.newkeys()
        self.assertIs(client.server.phase, Phase.SECURED)


class LimitTests(SynchronousTestCase):
    def test_login_has_a_deadline_from_accept(self) -> None:
        client = Client()
        client.clock.advance(20)
        client.request_login()
        client.clock.advance(99)
        self.assertFalse(client.closed)
        client.clock.advance(2)
        self.assertIn(b"login took too long", client.reason()[1])

    def test_silent_clients_are_sent_away(self) -> None:
        client = Client()
        client.clock.advance(31)
        self.assertTrue(client.closed)

    def test_login_in_time_lifts_it(self) -> None:
        client = Client()
        client.log_in()
        client.clock.advance(1000)
        self.assertFalse(client.closed)

    def test_who_does_not_take_the_last_bytes_is_cut_off(self) -> None:
        client = Client()
        client.send_bytes(b"GET /")
        self.assertFalse(client.wire.aborted)
        client.clock.advance(11)
        self.assertTrue(client.wire.aborted)

    def test_packets_before_and_after_login(self) -> None:
        """K13: no more than 64 KiB is held for somebody who has not logged in."""
        client = Client()
        client.request_login()
        client.send_bytes(uint32(LIMIT_BEFORE_LOGIN - LIMIT_BEFORE_LOGIN % 16) + bytes(34_000))
        self.assertFalse(client.closed)
        self.assertLessEqual(len(client.server.link.inbox.data), 64 * 1024)
        client = Client()
        client.request_login()
        client.send_bytes(uint32(LIMIT_BEFORE_LOGIN + 8))
        self.assertEqual(client.reason(), (2, b"bad packet length"))
        client = Client()
        service = client.log_in()
        client.send(94, bytes(LIMIT - 1024))
        self.assertEqual(len(service.got), 1)
        client.send_bytes(uint32(LIMIT + 16))
        self.assertTrue(client.closed)

    def test_transports_with_buffers_of_their_own(self) -> None:
        """They receive in small pieces before login; then in large ones, the largest while nobody else uploads."""
        client = Client()
        client.wire.bufferSize = 65_536
        client.request_login()
        self.assertEqual(client.wire.bufferSize, 65_536)
        turns = Turns()
        client, other = Client(turns=turns), Client(turns=turns)
        client.wire.bufferSize = 65_536
        client.log_in()
        other.log_in()
        client.send(94, b"short")
        self.assertEqual(client.wire.bufferSize, SHARE)
        for _ in range(IN_A_ROW + 2):
            client.send(94, bytes(MUCH))
        self.assertEqual(client.wire.bufferSize, AT_A_TIME)
        other.send(94, bytes(MUCH))
        client.send(94, bytes(MUCH))
        self.assertEqual(client.wire.bufferSize, SHARE)

    def test_byte_by_byte_is_not_copied_each_time(self) -> None:
        """K14: bytes stay where they were put until the packet is complete."""
        client = Client()
        service = client.log_in()
        before, packet = client.packet(80), client.packet(94, bytes(200_000))
        inbox = client.server.link.inbox
        client.send_bytes(before + packet[:1])
        buffer, head = inbox.data, inbox.head
        for start in range(1, len(packet) - 1):
            client.send_bytes(packet[start : start + 1])
            self.assertIs(inbox.data, buffer)
        self.assertEqual((inbox.head, head), (len(before), len(before)))
        client.send_bytes(packet[-1:])
        self.assertEqual(len(service.got), 2)
        self.assertEqual(len(inbox.data), 0)

    def test_answers_that_nobody_reads(self) -> None:
        """The client is not heard until it reads; nothing is lost meanwhile."""

        class Echo(Service):
            def packetReceived(self, number: int, payload: bytes) -> None:
                self.got.append((number, b""))
                self.transport.sendPacket(94, payload)

        client = Client(lambda: Echo(b"ssh-connection"))
        service = client.log_in()
        client.wire.full = True
        for _ in range(200):
            if client.wire.producerState != "producing":
                break
            client.send(94, bytes(30_000))
        self.assertEqual(client.wire.producerState, "paused")
        self.assertLess(len(client.server.link.outbox), OVERFULL + 100_000)
        done = len(service.got)
        # What had been received already waits too.
        client.send(94, bytes(30_000))
        self.assertEqual(len(service.got), done)
        client.wire.full = False
        client.wire.producer.resumeProducing()
        self.assertEqual(client.wire.producerState, "producing")
        self.assertEqual(len(service.got), done + 1)

    def test_buffers_are_given_back(self) -> None:
        client = Client()
        client.log_in()
        link = client.server.link
        client.send(94, b"x")
        self.assertEqual((len(link.inbox.data), len(link.outbox.data)), (0, 0))


class CompressionTests(SynchronousTestCase):
    def log_in(self) -> tuple[Client, Service]:
        client = Client()
        service = client.log_in(compressions=(b"zlib@openssh.com",))
        return client, service

    def test_starts_after_login(self) -> None:
        client, service = self.log_in()
        self.assertCompressed(client, service)

    def test_key_exchange_while_the_login_is_checked(self) -> None:
        """The success waits for the keys; it is not compressed itself, and neither is the client's NEWKEYS."""
        client = Client()
        compressions = (b"zlib@openssh.com",)
        client.request_login(compressions=compressions)
        client.offer(kexinit(compressions=compressions))
        client.server.sendPacket(52, b"")
        service = client.connection()
        client.server.setService(service)
        client.rekey_again()
        self.assertEqual(client.take(52), b"")
        self.assertCompressed(client, service)

    def assertCompressed(self, client: Client, service: Service) -> None:
        """Both ways, from here on."""
        stream = zlib.compressobj()
        packed = stream.compress(b"\x5e" + bytes(1000)) + stream.flush(zlib.Z_PARTIAL_FLUSH)
        client.send(packed[0], packed[1:])
        self.assertEqual(service.got, [(94, bytes(1000))])
        client.server.sendPacket(94, b"a" * 1000)
        client.listen()
        kind, payload = client.heard.pop()
        self.assertEqual(zlib.decompressobj().decompress(bytes((kind,)) + payload), b"\x5e" + b"a" * 1000)

    def test_bomb(self) -> None:
        """K2."""
        client, service = self.log_in()
        bomb = zlib.compress(bytes(200_000_000), 9)
        client.send(bomb[0], bomb[1:])
        self.assertTrue(client.closed)
        self.assertEqual(service.got, [])

    def test_rubbish(self) -> None:
        client, _ = self.log_in()
        client.send(94, b"rubbish")
        self.assertTrue(client.closed)


class EndTests(SynchronousTestCase):
    def test_one_failure_does_not_skip_the_next(self) -> None:
        client = Client()
        service = client.log_in()
        logouts: list[bool] = []

        def fail() -> None:
            logouts.append(True)
            raise RuntimeError("logout")

        client.server.avatar = object()
        client.server.logoutFunction = fail
        service.serviceStopped = lambda: {}["stop"]
        client.lose()
        self.assertEqual(logouts, [True])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(client.clock.getDelayedCalls(), [])

    def test_nothing_is_served_after_a_disconnect(self) -> None:
        client = Client()
        service = client.log_in()
        client.send_bytes(
            client.packet(80, b"1") + client.packet(1, uint32(11) + string(b"bye")) + client.packet(80, b"2")
        )
        self.assertEqual(service.got, [(80, b"1")])
        self.assertTrue(client.closed)
        client.server.sendPacket(94, b"x")
        self.assertEqual(client.kinds(), [])


class AnythingTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=150)
    @given(
        st.sampled_from(sorted(STEPS)),
        st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=64)), max_size=6),
    )
    def test_any_messages(self, name: str, messages: list[tuple[int, bytes]]) -> None:
        """Whatever comes, in whatever state: served or disconnected, never an error of ours."""
        client = Client()
        STEPS[name][0](client)
        for kind, payload in messages:
            client.send(kind, payload)
        client.lose()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(client.clock.getDelayedCalls(), [])

    @settings(deadline=None, max_examples=150)
    @given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.booleans())
    def test_any_bytes(self, pieces: list[bytes], greet: bool) -> None:
        client = Client()
        if greet:
            client.greet()
        for piece in pieces:
            client.send_bytes(piece)
        client.lose()
        self.assertEqual(self.flushLoggedErrors(), [])
