"""OpenSSH's sshd with C{internal-sftp}: what all others are compared with."""

from __future__ import annotations

import getpass
import os
import shutil
from pathlib import Path

from benchmarks.servers.base import Server, first_line, free_port


class OpenSSH(Server):
    """sshd on a port, with a configuration of its own."""

    name = "openssh"
    is_rival = False
    user = getpass.getuser()

    @classmethod
    def _program(cls) -> str:
        # sshd wants to be called by an absolute path, and /usr/sbin is not in everybody's PATH.
        return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin") or ""

    @classmethod
    def missing(cls) -> str:
        """It is needed for the ratios."""
        return "" if cls._program() else "no sshd (Debian: openssh-server)"

    @classmethod
    def version(cls) -> str:
        """What the client of the same package says, since the server's own answer differs from release to release."""
        return first_line("ssh", "-V")

    def start(self) -> None:
        """Start it for the user who runs this."""
        self.port = free_port()
        if not os.getuid():
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        keys = self.directory / "authorized_keys"
        keys.write_text(self.place.public_key + "\n")
        config = self.directory / "sshd_config"
        lines = (
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.place.host_key}",
            f"PidFile {self.directory / 'pid'}",
            f"AuthorizedKeysFile {keys}",
            "PubkeyAuthentication yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "UsePAM no",
            "StrictModes no",
            "UseDNS no",
            "PrintMotd no",
            "MaxStartups 1000",
            "MaxSessions 1000",
            f"Subsystem sftp internal-sftp -d {self.home}",
        )
        config.write_text("\n".join(lines) + "\n")
        self._run([self._program(), "-D", "-e", "-f", config])
