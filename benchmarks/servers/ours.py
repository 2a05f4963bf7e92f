"""This server, as it is deployed: SQLite, a user with permissions and a quota, the log on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from benchmarks.servers.base import Server, free_port
from benchmarks.workspace import BenchmarkError
from sftpgo import __version__


class Ours(Server):
    """C{sftpgo serve}."""

    name = "sftpgo"
    is_rival = False
    program: Sequence[str | Path] = (sys.executable, "-m", "sftpgo")

    @classmethod
    def missing(cls) -> str:
        """It is here."""
        return ""

    @classmethod
    def version(cls) -> str:
        """Its version."""
        return f"sftpgo {__version__}"

    def start(self) -> None:
        """Start it, and add the user over REST."""
        self.port = free_port()
        http_port = free_port()
        config = {
            "sftpd": {"bind_port": self.port, "bind_address": "127.0.0.1", "enabled_ssh_commands": ["*"]},
            "data_provider": {"driver": "sqlite", "name": "sftpgo.db", "track_quota": 1},
            "httpd": {"bind_port": http_port, "bind_address": "127.0.0.1"},
        }
        (self.directory / "sftpgo.json").write_text(json.dumps(config))
        log = self.directory / "sftpgo.log"
        self._run([*self.program, "serve", "--config-dir", self.directory, "--log-file-path", log])
        self._add_user(http_port)

    def _add_user(self, http_port: int) -> None:
        user: dict[str, Any] = {
            "username": self.user,
            "public_keys": [self.place.public_key],
            "status": 1,
            "home_dir": str(self.home),
            "quota_size": 1 << 50,
            "quota_files": 1 << 30,
            "permissions": {"/": ["*"], "/elsewhere": ["list"], "/elsewhere/deep": ["list", "download"]},
        }
        request = Request(f"http://127.0.0.1:{http_port}/api/v1/user", json.dumps(user).encode(), method="POST")
        opener = build_opener(ProxyHandler({}))
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = opener.open(request, timeout=30)
            except HTTPError as error:
                raise BenchmarkError(f"the user was not added: {error.read()!r}") from error
            except URLError:
                # SFTP greets, HTTP may not listen yet.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                answer.close()
                return


class OursPublic(Ours):
    """The same over Twisted's public interfaces only, as with another reactor, TLS or a PROXY header in between."""

    name = "sftpgo-public"
    is_rival = True
    program = (sys.executable, "-m", "benchmarks.servers.public_only")

    @classmethod
    def version(cls) -> str:
        """Its version."""
        return f"sftpgo {__version__} over public interfaces only"
