"""The other servers, where they are installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import sys
from pathlib import Path

from benchmarks.servers.base import Server, first_line, free_port

_SCRIPTS = Path(__file__).resolve().parent


def _authorized_keys(server: Server) -> Path:
    keys = server.directory / "authorized_keys"
    keys.write_text(server.place.public_key + "\n")
    return keys


class Rclone(Server):
    """C{rclone serve sftp}."""

    name = "rclone"

    @classmethod
    def missing(cls) -> str:
        """Debian has it."""
        return "" if shutil.which("rclone") else "no rclone"

    @classmethod
    def version(cls) -> str:
        """As it says."""
        return first_line("rclone", "--version")

    def start(self) -> None:
        """Serve the home."""
        self.port = free_port()
        command = ["rclone", "serve", "sftp", str(self.home), "--addr", f"127.0.0.1:{self.port}"]
        command += ["--authorized-keys", str(_authorized_keys(self)), "--key", str(self.place.host_key)]
        self._run([*command, "--config", str(self.directory / "rclone.conf")])


class ProFTPD(Server):
    """ProFTPD with mod_sftp; C{PROFTPD_MODULES} is where its modules are, if not where Debian has them."""

    name = "proftpd"
    user = pwd.getpwuid(os.getuid()).pw_name
    # Its mod_sftp has no chacha20-poly1305, and the client's default is that.
    ciphers = frozenset({"aes128-gcm", "aes256-ctr"})

    @classmethod
    def _program(cls) -> str:
        return shutil.which("proftpd", path=os.environ.get("PATH", "") + ":/usr/sbin") or ""

    @classmethod
    def _modules(cls) -> Path:
        return Path(os.environ.get("PROFTPD_MODULES", "/usr/lib/proftpd"))

    @classmethod
    def missing(cls) -> str:
        """Debian has mod_sftp in a package of its own."""
        if os.getuid():
            return "proftpd wants to be run by root"
        if not cls._program():
            return "no proftpd"
        return "" if (cls._modules() / "mod_sftp.so").exists() else "no mod_sftp (Debian: proftpd-mod-crypto)"

    @classmethod
    def version(cls) -> str:
        """As it says."""
        return first_line(cls._program(), "-v")

    def start(self) -> None:
        """Serve the home."""
        self.port = free_port()
        public = self.directory / "authorized_keys"
        # It wants public keys in the form of RFC 4716.
        kind, data, *_comment = self.place.public_key.split()
        body = "\n".join(data[at : at + 70] for at in range(0, len(data), 70))
        public.write_text(f"---- BEGIN SSH2 PUBLIC KEY ----\n{body}\n---- END SSH2 PUBLIC KEY ----\n")
        account = pwd.getpwuid(os.getuid())
        passwd = self.directory / "passwd"
        passwd.write_text(f"{account.pw_name}:*:{account.pw_uid}:{account.pw_gid}::{self.home}:/bin/sh\n")
        passwd.chmod(0o600)
        lines = (
            f"ModulePath {self._modules()}",
            "LoadModule mod_sftp.c",
            "ServerType standalone",
            f"Port {self.port}",
            "DefaultAddress 127.0.0.1",
            "UseIPv6 off",
            "UseReverseDNS off",
            "RequireValidShell off",
            "RootLogin on",
            "AuthOrder mod_auth_file.c",
            f"AuthUserFile {passwd}",
            "User root",
            "Group root",
            "MaxInstances 1000",
            "WtmpLog off",
            "TransferLog none",
            f"PidFile {self.directory / 'pid'}",
            f"ScoreboardFile {self.directory / 'scoreboard'}",
            "AllowOverwrite on",
            "SFTPEngine on",
            f"SFTPLog {self.directory / 'log'}",
            f"SFTPHostKey {self.place.host_key}",
            f"SFTPAuthorizedUserKeys file:{public}",
            "SFTPAuthMethods publickey",
            "SFTPMaxChannels 10",
            f"# {kind}",
        )
        config = self.directory / "proftpd.conf"
        config.write_text("\n".join(lines) + "\n")
        self._run([self._program(), "-n", "-q", "-c", config])


class _Script(Server):
    """A script of this package, on a library."""

    library: str
    script: str

    @classmethod
    def missing(cls) -> str:
        """The library is needed."""
        return "" if importlib.util.find_spec(cls.library) else f"no {cls.library}"

    @classmethod
    def version(cls) -> str:
        """The library's version."""
        return f"{cls.library} {importlib.metadata.version(cls.library)}"

    def start(self) -> None:
        """Run the script."""
        self.port = free_port()
        words = [str(self.port), str(self.home), str(self.place.host_key), str(_authorized_keys(self))]
        self._run([sys.executable, str(_SCRIPTS / self.script), *words])


class AsyncSSH(_Script):
    """asyncssh's own SFTP server."""

    name = "asyncssh"
    library = "asyncssh"
    script = "asyncssh_server.py"


class Conch(_Script):
    """Twisted's own SFTP server, as it comes."""

    name = "conch"
    library = "twisted"
    script = "conch_server.py"
    user = pwd.getpwuid(os.getuid()).pw_name
    ciphers = frozenset({"aes256-ctr"})
    cipher = "aes256-ctr"

    @classmethod
    def missing(cls) -> str:
        """It changes to the user's id for every call."""
        return "Conch's UNIX server wants to be run by root" if os.getuid() else super().missing()
