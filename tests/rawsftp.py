"""An SFTP client that sends what it is told, well formed or not, and returns packets as they come."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import paramiko

from sftpgo.ssh import codec
from tests.harness import PATIENCE


class RawSFTP:
    """One SSH connection with one C{sftp} channel of raw packets."""

    def __init__(self, port: int, username: str, password: str) -> None:
        self.ssh = connect(port, username, password)
        self._next_id = 0
        self.open()

    def open(self) -> None:
        """A fresh channel on the same connection."""
        self.channel = self.ssh.open_session(timeout=PATIENCE)
        self.channel.settimeout(PATIENCE)
        self.channel.invoke_subsystem("sftp")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.ssh.close()

    def send(self, data: bytes) -> None:
        self.channel.sendall(data)

    def packet(self, kind: int, body: bytes, request_id: int | None = None) -> int:
        """Send one request; its id."""
        if request_id is None:
            self._next_id += 1
            request_id = self._next_id
        self.send(codec.reply(kind, request_id, body))
        return request_id

    def receive(self) -> tuple[int, int, bytes]:
        """The next reply: type, request id, rest."""
        (length,) = struct.unpack(">L", self._exactly(4))
        kind, request_id = struct.unpack(">BL", self._exactly(5))
        return kind, request_id, self._exactly(length - 5)

    def ask(self, kind: int, *fields: bytes | int) -> tuple[int, bytes]:
        """Send a request of strings and uint32s and wait for its reply: type and rest."""
        body = b"".join(codec.string(f) if isinstance(f, bytes) else struct.pack(">L", f) for f in fields)
        request_id = self.packet(kind, body)
        answer, replied_to, rest = self.receive()
        assert replied_to == request_id, (replied_to, request_id)
        return answer, rest

    def status(self, kind: int, *fields: bytes | int) -> int:
        """The same where the reply must be a STATUS: its code."""
        answer, rest = self.ask(kind, *fields)
        assert answer == codec.STATUS, (answer, rest)
        code: int = struct.unpack_from(">L", rest)[0]
        return code

    def names(self, path: bytes) -> list[bytes]:
        """A whole listing."""
        answer, rest = self.ask(codec.OPENDIR, path)
        assert answer == codec.HANDLE, (answer, rest)
        handle = codec.Reader(rest).string()
        found = []
        while True:
            answer, rest = self.ask(codec.READDIR, handle)
            if answer == codec.STATUS:
                break
            reader = codec.Reader(rest)
            for _ in range(reader.uint32()):
                found.append(reader.string())
                reader.string()
                reader.attributes()
        assert self.status(codec.CLOSE, handle) == codec.OK
        return found

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.channel.recv(count - len(data))
            if not piece:
                raise EOFError(f"the channel ended after {len(data)} of {count} bytes")
            data += piece
        return data


def connect(port: int, username: str, password: str = "", key: Any = None) -> paramiko.Transport:
    """A logged-in paramiko transport.  A refusal raises L{paramiko.SSHException}."""
    transport = paramiko.Transport(("127.0.0.1", port))
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = PATIENCE
    try:
        transport.start_client(timeout=PATIENCE)
        if key is not None:
            transport.auth_publickey(username, key)
        else:
            transport.auth_password(username, password)
    except BaseException:
        transport.close()
        raise
    return transport
