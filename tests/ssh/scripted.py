"""A client that says exactly what a test wants, without sockets and with a clock that the test turns."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from twisted.conch.ssh import keys
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from sftpgo.ssh.fields import Fields, mpint, name_list, string, uint32
from sftpgo.ssh.kex import key_cutter
from sftpgo.ssh.packets import LIMIT, PacketReader, PacketWriter
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.suites import Keys, packet_cipher
from sftpgo.ssh.transport import ServerTransport

VERSION = b"SSH-2.0-scripted"
CIPHER = b"aes128-gcm@openssh.com"


class Wire(StringTransport):
    """The server's end: remembers how it was closed, and can refuse to take more."""

    aborted = False
    full = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.full and self.producer is not None:
            self.producer.pauseProducing()


class Service:
    """A service that remembers what it was given."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.got: list[tuple[int, bytes]] = []
        self.stopped = 0
        self.transport: Any = None

    def serviceStarted(self) -> None:
        pass

    def serviceStopped(self) -> None:
        self.stopped += 1

    def packetReceived(self, number: int, payload: bytes) -> None:
        self.got.append((number, payload))


class Services:
    """In the place of Conch's factory."""

    def __init__(self, host_key: keys.Key, connection: Callable[[], Any]) -> None:
        self.privateKeys = {host_key.sshType(): host_key}
        self.publicKeys = {host_key.sshType(): host_key.public()}
        self.connection = connection

    def getService(self, transport: Any, name: bytes) -> Any:
        return lambda: Service(name)


SERVER_KEY = keys.Key(Ed25519PrivateKey.from_private_bytes(bytes(32)))


def kexinit(strict: bool = True, **lists: Iterable[bytes]) -> bytes:
    """A client's offer, from the message number on."""
    kex = lists.get("kex", (b"curve25519-sha256", b"ext-info-c"))
    kex = (*kex, b"kex-strict-c-v00@openssh.com") if strict else tuple(kex)
    ciphers = lists.get("ciphers", (CIPHER,))
    macs = lists.get("macs", (b"hmac-sha2-256",))
    compressions = lists.get("compressions", (b"none",))
    fields = (kex, lists.get("host_keys", (b"ssh-ed25519",)), ciphers, ciphers, macs, macs, compressions, compressions)
    guess = b"\1" if lists.get("guess") else b"\0"
    return b"\x14" + bytes(16) + b"".join(map(name_list, fields)) + name_list(()) * 2 + guess + uint32(0)


class Client:
    """One connection, from before the version line on."""

    def __init__(self, connection: Callable[[], Any] | None = None, **changes: Any) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.server = ServerTransport(Settings(**changes), self.clock)
        self.connection = connection or (lambda: Service(b"ssh-connection"))
        self.server.factory = Services(SERVER_KEY, self.connection)
        self.server.supportedPublicKeys = [b"ssh-ed25519"]
        self.writer, self.reader = PacketWriter(), PacketReader(LIMIT)
        self.reader.limit = 10 * LIMIT
        self.received = bytearray()
        self.heard: list[tuple[int, bytes]] = []
        self.strict = False
        self.session = b""
        self.server.makeConnection(self.wire)
        self.listen()
        line, _, rest = bytes(self.received).partition(b"\r\n")
        self.server_version = line
        self.received = bytearray(rest)
        self.listen()

    # --- bytes and packets

    def send_bytes(self, data: bytes) -> None:
        self.server.dataReceived(data)

    def packet(self, kind: int, payload: bytes = b"") -> bytes:
        packet = bytearray(self.writer.size(1 + len(payload)))
        self.writer.write(kind, payload, memoryview(packet))
        return bytes(packet)

    def send(self, kind: int, payload: bytes = b"") -> None:
        self.send_bytes(self.packet(kind, payload))

    def listen(self) -> None:
        """Take what the server has sent."""
        self.received += self.wire.value()
        self.wire.clear()
        if self.received.startswith(b"SSH-"):
            return
        view, head = memoryview(bytes(self.received)), 0
        while size := self.reader.complete(view, head, len(view)):
            payload = self.reader.payload(view, head)
            head += size
            self.heard.append((payload[0], payload[1:]))
            if payload[0] == 21:
                self.reader.rekey(self.cipher_in, self.strict)
        self.received = self.received[head:]

    def take(self, kind: int) -> bytes:
        """The payload of the next message of a number; all before it are dropped."""
        self.listen()
        while self.heard:
            number, payload = self.heard.pop(0)
            if number == kind:
                return payload
        raise AssertionError(f"no message {kind}")

    def kinds(self) -> list[int]:
        self.listen()
        kinds = [kind for kind, _ in self.heard]
        self.heard.clear()
        return kinds

    # --- steps

    def greet(self) -> None:
        self.send_bytes(VERSION + b"\r\n")

    def offer(self, payload: bytes) -> None:
        self.offered = payload
        self.strict = self.strict or b"kex-strict-c" in payload
        self.send(20, payload[1:])

    def begin(self, strict: bool = True, **lists: Any) -> None:
        """Both offers; then our public value is to come."""
        self.greet()
        self.theirs = b"\x14" + self.take(20)
        self.offer(kexinit(strict, **lists))

    def public(self) -> bytes:
        self.key = X25519PrivateKey.generate()
        return string(self.key.public_key().public_bytes_raw())

    def agree(self) -> None:
        """Send our public value and learn the keys; NEWKEYS is to come."""
        public = self.public()
        self.send(30, public)
        self.received += self.wire.value()
        self.wire.clear()
        # The reply is read before the NEWKEYS behind it, which needs the keys.
        view = memoryview(bytes(self.received))
        size = self.reader.complete(view, 0, len(view))
        assert size, "no reply"
        payload = self.reader.payload(view, 0)
        self.received = self.received[size:]
        assert payload[0] == 31, payload[0]
        self.learn(public, Fields(payload[1:]))
        self.listen()

    def learn(self, public: bytes, fields: Fields) -> None:
        host_key, server_public, signature = fields.string(), fields.string(), fields.string()
        shared = self.key.exchange(X25519PublicKey.from_public_bytes(server_public))
        secret = mpint(int.from_bytes(shared, "big"))
        said = (VERSION, self.server_version, self.offered, self.theirs, host_key)
        digest = hashlib.sha256(b"".join(map(string, said)) + public + string(server_public) + secret).digest()
        assert keys.Key.fromString(host_key).verify(signature, digest), "bad signature"
        self.session = self.session or digest
        cut = key_cutter("sha256", secret, digest, self.session)
        out = Keys(lambda n: cut(b"A", n), lambda n: cut(b"C", n), lambda n: cut(b"E", n))
        back = Keys(lambda n: cut(b"B", n), lambda n: cut(b"D", n), lambda n: cut(b"F", n))
        self.cipher_out = packet_cipher(CIPHER, b"", out, True)
        self.cipher_in = packet_cipher(CIPHER, b"", back, False)

    def newkeys(self) -> None:
        self.send(21)
        self.writer.rekey(self.cipher_out, self.strict)

    def secure(self, strict: bool = True, **lists: Any) -> None:
        """The whole first key exchange."""
        self.begin(strict, **lists)
        self.agree()
        self.newkeys()

    def request_login(self, **lists: Any) -> None:
        self.secure(**lists)
        self.send(5, string(b"ssh-userauth"))

    def log_in(self, **lists: Any) -> Any:
        """Until the connection service runs; the service."""
        self.request_login(**lists)
        self.server.sendPacket(52, b"")
        service = self.connection()
        self.server.setService(service)
        self.kinds()
        return service

    def rekey(self) -> None:
        """A key exchange that the server has asked for."""
        self.theirs = b"\x14" + self.take(20)
        self.offer(kexinit(self.strict))
        self.agree()
        self.newkeys()

    def rekey_again(self) -> None:
        """The rest of a key exchange that we have asked for."""
        self.theirs = b"\x14" + self.take(20)
        self.agree()
        self.newkeys()

    def lose(self) -> None:
        self.server.connectionLost(Failure(ConnectionDone()))

    # --- what became of it

    @property
    def closed(self) -> bool:
        return bool(self.wire.disconnecting)

    def reason(self) -> tuple[int, bytes]:
        """Why the server has disconnected."""
        fields = Fields(self.take(1))
        return fields.uint32(), fields.string()
