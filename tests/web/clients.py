"""SFTP clients that stay connected while a browser looks on."""

from __future__ import annotations

from typing import Any

import paramiko

from tests.harness import PATIENCE, Server


class Client:
    """A connection of one user's, with an SFTP session on it.

    @ivar sftp: the session.
    """

    def __init__(self, server: Server, username: str = "alice", *, version: str = "SSH-2.0-client_1.0") -> None:
        self.transport = paramiko.Transport(("127.0.0.1", server.sftp_port))
        self.transport.local_version = version
        self.transport.auth_timeout = self.transport.banner_timeout = PATIENCE
        self.transport.start_client(timeout=PATIENCE)
        self.transport.auth_password(username, f"{username}-secret")
        sftp = paramiko.SFTPClient.from_transport(self.transport)
        assert sftp is not None
        self.sftp = sftp
        # One that nobody holds would be closed.
        self._files: list[Any] = []

    def upload(self, name: str, octets: int) -> Any:
        """Write so many bytes to a new file, which stays open; each one has arrived."""
        file = self.sftp.open(name, "wb")
        self._files.append(file)
        file.write(bytes(octets))
        return file

    def close(self) -> None:
        """Hang up."""
        self.transport.close()


def refused(server: Server, username: str) -> None:
    """Somebody tries a wrong password."""
    transport = paramiko.Transport(("127.0.0.1", server.sftp_port))
    try:
        transport.start_client(timeout=PATIENCE)
        transport.auth_password(username, "wrong")
    except paramiko.AuthenticationException:
        return
    finally:
        transport.close()
    raise AssertionError("a wrong password was accepted")
