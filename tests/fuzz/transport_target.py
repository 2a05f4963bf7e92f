"""The transport with all that is above it, before keys and after, from the version line to a session's files."""

from __future__ import annotations

from random import Random

from sftpgo.ssh.fields import string
from sftpgo.ssh.settings import SMALL_WINDOW
from sftpgo.ssh.states import Kex, Phase
from sftpgo.ssh.states import allowed as allowed_now
from sftpgo.ssh.transport import MOST_KEPT, MOST_KEPT_OCTETS
from tests.doubles import HeldThreads

from .messages import Message, channel_message, kex_message, login_message, transport_message
from .mutations import choose, maybe, mutated, pieces
from .oracle import Counts, require
from .sftp_target import World
from .transport_client import EARLY, STAGES, FuzzClient
from .userauth_target import TRIES

INBOX_BEFORE_LOGIN = 192 * 1024
INBOX = 1 << 20
OUTBOX = 4 << 20
STREAM = 8 << 20
"""Bytes that the queues may hold: what they should, and what the largest piece of the fuzzer's adds at once."""


class TransportTarget:
    """Connections brought to some stage honestly, then messages mutated at one of four layers."""

    name = "transport"

    def __init__(self) -> None:
        self.counts = Counts()
        self._world: World | None = None
        self._threads = HeldThreads()
        self._left = 0

    def close(self) -> None:
        if self._world is not None:
            self._world.close()

    def run(self, random: Random, fresh: bool = False) -> None:
        """One connection; C{fresh}: on a home of its own."""
        if fresh or not self._left or self._world is None:
            self.close()
            self._world = World(self._threads)
            self._left = 300
        self._left -= 1
        client = FuzzClient(self._world)
        stage = random.choice(list(STAGES))
        STAGES[stage](client)
        require(not client.closed, f"an honest client was sent away at {stage!r}")
        keys = client.server.link.reader.cipher
        self.counts[f"at {stage!r}"] += 1
        for _ in range(random.randint(1, 15)):
            if client.closed:
                break
            self._say(random, client, stage)
            self._settle(client)
            self._check_bounds(client)
        # An exchange that has come to its end has left us with other keys than the server's.
        client.in_step = client.in_step and client.server.link.reader.cipher is keys
        self._judge(client)
        self._end(client)
        self._world.check()

    def _settle(self, client: FuzzClient) -> None:
        """Let threads and turns end."""
        for _ in range(20):
            self._threads.release()
            client.clock.advance(0)
        client.listen()

    # --- what is said

    def _say(self, random: Random, client: FuzzClient, stage: str) -> None:
        kind, payload = self._fitting(random, client, stage)
        layer = choose(random, (30, "none"), (6, "payload"), (2, "plain"), (1, "sealed"), (1, "raw"))
        self.counts[f"mutated: {layer}"] += 1
        if layer == "raw":
            data = random.randbytes(random.randint(1, 200))
            client.in_step = False
        elif layer == "plain":
            data = self._mutated_plain(random, client, kind, payload)
        else:
            if layer == "payload":
                kind, *rest = mutated(random, bytes((kind,)) + payload) or b"\0"
                payload = bytes(rest)
            data = client.packet(kind, payload)
            client.said_bye = client.said_bye or kind == 1
            if layer == "sealed":
                data = mutated(random, data, 1)
                client.in_step = False
        for piece in pieces(random, data):
            client.send_bytes(piece)
        self.counts["packets"] += 1

    def _mutated_plain(self, random: Random, client: FuzzClient, kind: int, payload: bytes) -> bytes:
        """A packet whose padding is not what it should be, sealed with the right keys."""
        writer = client.writer
        plain = bytes((writer.padding(1 + len(payload)), kind)) + payload
        plain = maybe(random, plain + bytes(plain[0]), 0.9) or b"\0"
        packet = bytearray(4 + len(plain) + writer.cipher.tag)
        writer.seal(memoryview(bytearray(plain)), memoryview(packet))
        client.said_bye = client.said_bye or plain[1:2] == b"\1"
        return bytes(packet)

    def _fitting(self, random: Random, client: FuzzClient, stage: str) -> Message:
        """A message that may come now, mostly: others end the connection before anything else can happen."""
        server = client.server
        handshake = server.handshake
        message = self._message(random, stage)
        if random.random() < 0.05:
            return message
        allowed = allowed_now(server.phase, handshake.state, handshake.strict, handshake.expects) - {1}
        for _ in range(50):
            if message[0] in allowed and _channel_is_there(client, message):
                break
            message = self._message(random, stage)
        return message

    def _message(self, random: Random, stage: str) -> Message:
        if stage in EARLY:
            choices = ((3, transport_message), (4, kex_message), (2, login_message), (1, channel_message))
        elif stage == "login":
            choices = ((2, transport_message), (1, kex_message), (6, login_message), (3, channel_message))
        else:
            choices = ((1, transport_message), (1, kex_message), (1, login_message), (12, channel_message))
        message: Message = choose(random, *choices)(random)
        return message

    # --- what must hold

    def _check_bounds(self, client: FuzzClient) -> None:
        server = client.server
        link = server.link
        inbox = INBOX if server.phase is Phase.OPEN else INBOX_BEFORE_LOGIN
        require(len(link.inbox.data) <= inbox, f"{len(link.inbox.data)} bytes of inbox {server.phase.value}")
        require(len(link.outbox.data) <= OUTBOX, f"{len(link.outbox.data)} bytes of outbox")
        require(server._kept_octets <= MOST_KEPT_OCTETS and len(server._kept) <= MOST_KEPT, "too much is kept")
        if server.phase is not Phase.OPEN or server.service is None:
            return
        channels = server.service.channels.values()
        require(len(channels) <= server.settings.max_channels, f"{len(channels)} channels")
        for channel in channels:
            require(sum(map(len, channel._early)) <= SMALL_WINDOW, "too much came before a channel was served")
            if channel.stream is not None:
                held = len(channel.stream.incoming.data) + len(channel.stream.outgoing.data)
                require(held <= STREAM, f"a stream holds {held} bytes")

    def _judge(self, client: FuzzClient) -> None:
        """The connection goes on, or it has ended as the protocol wants it."""
        if client.closed:
            told = any(kind == 1 for kind, _ in client.heard) or client.received[:7] == b"Invalid"
            require(
                told or not client.readable or client.said_bye or client.wire.aborted,
                "the connection was closed without a word",
            )
            self.counts["ended with a disconnect" if told else "ended otherwise"] += 1
            return
        self.counts["went on"] += 1
        server = client.server
        if client.in_step and client.readable and server.phase is Phase.OPEN and server.handshake.state is Kex.NONE:
            client.heard.clear()
            client.send(80, string(b"are you there") + b"\1")
            self._settle(client)
            require(client.closed or any(kind == 82 for kind, _ in client.heard), "no answer any more")
            self.counts["answered at the end"] += not client.closed

    def _end(self, client: FuzzClient) -> None:
        """Lose the connection: nothing of it is left."""
        client.lose()
        self._settle(client)
        services, server = client.services, client.server
        require(services.asked <= 2 * TRIES, f"the checker was asked {services.asked} times")
        require(services.logins == services.logouts, f"{services.logins} logins, {services.logouts} logouts")
        require(not client.clock.getDelayedCalls(), f"timers are left: {client.clock.getDelayedCalls()}")
        require(not server.link.inbox.data and not server.link.outbox.data, "buffers are left")
        self.counts["logins"] += services.logins


def _channel_is_there(client: FuzzClient, message: Message) -> bool:
    """Whether a message for a channel is for one that is open; others are for none."""
    kind, payload = message
    if not 93 <= kind <= 98 or client.server.phase is not Phase.OPEN:
        return kind not in (81, 82, 91, 92, 99, 100)
    return int.from_bytes(payload[:4], "big") in client.server.service.channels
