"""OpenSSH's clients, told to ask nothing, to read nobody's configuration, and to use the algorithms they are given."""

from __future__ import annotations

import subprocess
import tempfile
from typing import IO, Final

from benchmarks.servers.base import Server
from benchmarks.workspace import BenchmarkError, Workspace

#: What the names of ciphers in this package mean, as options of ssh.
CIPHERS: Final = {
    "aes128-gcm": ("Ciphers=aes128-gcm@openssh.com",),
    "aes256-ctr": ("Ciphers=aes256-ctr", "MACs=hmac-sha2-256"),
    "chacha20": ("Ciphers=chacha20-poly1305@openssh.com",),
    "default": (),
}
#: How long a client may take before it is taken to hang, in seconds.
PATIENCE: Final = 300


def options(place: Workspace, cipher: str, line: int = 0) -> list[str]:
    """Options for ssh and sftp.

    @param line: clients that run at once come from addresses of their own, since a server may bound those of one.
    """
    values = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        f"IdentityFile={place.key}",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
        "Compression=no",
        "KexAlgorithms=curve25519-sha256",
        "HostKeyAlgorithms=ssh-ed25519",
        f"BindAddress=127.0.1.{line + 1}",
        *CIPHERS[cipher],
    ]
    return ["-F", "none", *(word for value in values for word in ("-o", value))]


class Client:
    """One running client; its errors are kept for the message."""

    def __init__(self, command: list[str], script: str = "") -> None:
        self._errors: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the client
        self._name = command[0]
        with tempfile.TemporaryFile("w+") as stdin:
            stdin.write(script)
            stdin.seek(0)
            self._process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=self._errors, text=True
            )

    @property
    def is_running(self) -> bool:
        """Whether it is still at it."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait for its end.

        @raise BenchmarkError: when it failed or hangs.
        """
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.end()
            raise BenchmarkError(f"{self._name} hangs") from None
        self._errors.seek(0)
        said = self._errors.read()[-500:].strip()
        self._errors.close()
        if status:
            raise BenchmarkError(f"{self._name} ended with {status}: {said}")

    def end(self) -> None:
        """End it now.  Its ssh ends when its pipes close."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def sftp(place: Workspace, server: Server, script: str, cipher: str, line: int = 0) -> Client:
    """Start sftp on a batch of commands."""
    command = ["sftp", "-q", "-b", "-", *options(place, cipher, line), "-P", str(server.port)]
    return Client([*command, f"{server.user}@127.0.0.1"], script)


def ssh_subsystem(place: Workspace, server: Server, cipher: str, line: int = 0) -> list[str]:
    """The command that leads bytes from stdin to the server's SFTP and back."""
    target = ["-p", str(server.port), "-l", server.user, "127.0.0.1", "sftp"]
    return ["ssh", "-T", "-s", *options(place, cipher, line), *target]


def run_together(clients: list[Client]) -> None:
    """Wait for all; none is left when one fails."""
    try:
        for client in clients:
            client.wait()
    finally:
        for client in clients:
            client.end()
