"""A client over a real socket that says exactly what a test wants, at whatever layer it wants."""

from __future__ import annotations

import errno
import select
import socket
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.ssh.keys import Key

from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.packets import LIMIT, PacketReader, PacketWriter
from tests.harness import PATIENCE
from tests.ssh.scripted import Client


def readable(connection: socket.socket, seconds: float) -> bool:
    """Whether something has come, within so long; unlike select(2), also for a descriptor beyond 1023."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class SocketWire:
    """What L{Client} asks of the server's end, over a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.ended = False

    def value(self) -> bytes:
        """What has come since the last time."""
        data = b""
        while not self.ended and readable(self._connection, 0):
            try:
                piece = self._connection.recv(1 << 18)
            except OSError as error:
                if error.errno not in (errno.ECONNRESET, errno.EPIPE):
                    raise
                piece = b""
            self.ended = not piece
            data += piece
        return data

    def clear(self) -> None:
        """Nothing to do: what was taken is gone."""


class RemoteClient(Client):
    """One connection to a server in another process.

    @param source: the address it comes from: strangers are counted by address.
    """

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire: Any = SocketWire(self.socket)
        self.writer, self.reader = PacketWriter(), PacketReader(LIMIT)
        self.reader.limit = 10 * LIMIT
        self.received = bytearray()
        self.heard = []
        self.strict = False
        self.session = b""
        self._wait(lambda: b"\n" in self.received, parse=False)
        line, _, rest = bytes(self.received).partition(b"\r\n")
        self.server_version, self.received = line, bytearray(rest)
        self.listen()

    def send_bytes(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()

    def _wait(self, there: Any, parse: bool = True) -> None:
        """Receive until a condition holds; L{EOFError} when the server ends the connection before."""
        while not there():
            if self.wire.ended:
                raise EOFError("the server has closed the connection")
            if not readable(self.socket, PATIENCE):
                raise AssertionError("the server is silent")
            if parse:
                self.listen()
            else:
                self.received += self.wire.value()

    def take(self, kind: int) -> bytes:
        """The payload of the next message of a number, waiting for it; all before it are dropped."""
        self.listen()
        self._wait(lambda: any(number == kind for number, _ in self.heard))
        while True:
            number, payload = self.heard.pop(0)
            if number == kind:
                return payload

    def agree(self) -> None:
        """Send our public value and learn the keys (the reply is read before the NEWKEYS, which needs them)."""
        public = self.public()
        self.send(30, public)

        def complete() -> int:
            return self.reader.complete(memoryview(bytes(self.received)), 0, len(self.received))

        self._wait(complete, parse=False)
        size = complete()
        payload = self.reader.payload(memoryview(bytes(self.received)), 0)
        self.received = self.received[size:]
        assert payload[0] == 31, payload[0]
        self.learn(public, Fields(payload[1:]))
        self.listen()

    def drain(self) -> None:
        """Read until the server ends the connection."""
        while not self.wire.ended:
            readable(self.socket, PATIENCE)
            self.listen()

    # --- beyond the transport

    def log_in_by_key(self, username: str, key: Key, **lists: Any) -> None:
        """Until the connection service runs."""
        self.request_login(**lists)
        self.take(6)
        head = string(username.encode()) + string(b"ssh-connection") + string(b"publickey") + b"\1"
        head += string(b"ssh-ed25519") + string(key.public().blob())
        signature = key.sign(string(self.session) + b"\x32" + head)
        self.send(50, head + string(signature))
        self.take(52)

    def open_channel(self, window: int = 1 << 30, largest: int = 32768) -> int:
        """A session channel; its number at the server."""
        self.send(90, string(b"session") + uint32(7) + uint32(window) + uint32(largest))
        fields = Fields(self.take(91))
        fields.uint32()
        return fields.uint32()

    def open_sftp(self, window: int = 1 << 30) -> int:
        """A channel that speaks SFTP."""
        number = self.open_channel(window)
        self.send(98, uint32(number) + string(b"subsystem") + b"\1" + string(b"sftp"))
        self.take(99)
        return number

    def data(self, channel: int, data: bytes) -> None:
        """Channel data, in packets of 30,000 bytes."""
        for start in range(0, len(data), 30_000):
            self.send(94, uint32(channel) + string(data[start : start + 30_000]))


def make_key() -> tuple[Key, str]:
    """A client's key, and its line for an account."""
    key = Key(Ed25519PrivateKey.generate())
    return key, key.public().toString("openssh").decode()
