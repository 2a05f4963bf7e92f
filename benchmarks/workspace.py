"""What all servers share for one run: a directory on tmpfs, the data, the client's key, the sizes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from attrs import frozen

MIB: Final = 1024 * 1024
#: How many clients download at once.
CROWDS: Final = (1, 2, 8, 32)
TMPFS: Final = Path("/dev/shm")


class BenchmarkError(Exception):
    """A measurement that cannot be made."""


@frozen
class Scale:
    """How much of everything.

    @ivar size: bytes of the large file.
    @ivar files: small files.
    @ivar entries: of the large directory.
    @ivar stats: requests that are pipelined.
    @ivar logins: one after the other in each of four lines.
    @ivar connections: that idle.
    @ivar probes: requests whose latency is taken.
    """

    size: int = 1024 * MIB
    files: int = 2000
    entries: int = 20_000
    stats: int = 60_000
    logins: int = 15
    connections: int = 200
    probes: int = 500


QUICK: Final = Scale(size=256 * MIB, files=1000, stats=20_000, logins=5, probes=200)


class Workspace:
    """The directory; everything is below it, and goes with it.

    @ivar big: a file of random bytes, C{scale.size} long.
    @ivar key: the client's private key; C{public_key} is its line for authorized_keys.
    """

    def __init__(self, scale: Scale) -> None:
        if not TMPFS.is_dir() or shutil.disk_usage(TMPFS).free < 3 * scale.size:
            raise BenchmarkError(f"{TMPFS} must be a tmpfs with {3 * scale.size // MIB} MiB free")
        self.scale = scale
        self.directory = Path(tempfile.mkdtemp(prefix="sftpgo-bench-", dir=TMPFS))
        try:
            self._fill()
        except BaseException:
            self.remove()
            raise

    def _fill(self) -> None:
        self.key = self.make_key("client")
        self.public_key = self.key.with_suffix(".pub").read_text().strip()
        self.host_key = self.make_key("host")
        self.big = self.file(self.scale.size)
        self.small = self.directory / "small"
        self.small.mkdir()
        for number in range(self.scale.files):
            (self.small / f"file-{number:05}").write_bytes(os.urandom(4096))

    def make_key(self, name: str) -> Path:
        """An Ed25519 key without a passphrase."""
        path = self.directory / f"{name}_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    def file(self, size: int) -> Path:
        """A file of so many random bytes; the same one for the same size."""
        path = self.directory / f"random-{size}"
        if not path.exists():
            with path.open("wb") as file:
                while size:
                    size -= file.write(os.urandom(min(size, MIB)))
        return path

    def share(self, clients: int) -> Path:
        """What each of so many clients downloads: a file of that name is in every home."""
        return self.file(self.scale.size // min(clients, 8))

    def home(self, name: str) -> Path:
        """A home for one server with all it may be asked for, as links to the same bytes."""
        home = self.directory / f"home-{name}"
        home.mkdir()
        os.link(self.big, home / "big")
        for share in {self.share(clients) for clients in CROWDS}:
            os.link(share, home / share.name)
        (home / "small").mkdir()
        for path in self.small.iterdir():
            os.link(path, home / "small" / path.name)
        (home / "entries").mkdir()
        for number in range(self.scale.entries):
            (home / "entries" / f"entry-{number:06}.dat").touch()
        return home

    def back_memory(self, size: int) -> None:
        """Have the kernel hold so many bytes of free memory that the machine below it has backed.

        A virtual machine gives its host what it does not use.  Whoever uploads right after a pause would pay for
        getting it back, in the server's CPU time, and twice what the upload itself costs.
        """
        path = self.directory / "backing"
        zeros = bytes(MIB)
        try:
            with path.open("wb") as file:
                while size > 0:
                    size -= file.write(zeros)
        finally:
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.directory, ignore_errors=True)
