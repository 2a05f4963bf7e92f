"""The servers that are measured, one class each."""

from __future__ import annotations

from typing import Final

from benchmarks.servers.base import Server
from benchmarks.servers.openssh import OpenSSH
from benchmarks.servers.ours import Ours, OursPublic
from benchmarks.servers.rivals import AsyncSSH, Conch, ProFTPD, Rclone

#: In the order of the tables' columns.
SERVERS: Final[tuple[type[Server], ...]] = (Ours, OpenSSH, OursPublic, AsyncSSH, Conch, Rclone, ProFTPD)
