"""What a person at the terminal is told once the server is up."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Mapping, Sequence

from twisted.conch.ssh.keys import Key

from sftpgo.listening import bracketed, written
from sftpgo.ssh.hostkeys import fingerprint

_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 -- looked for, not bound to


def welcome_text(
    sftp: Sequence[tuple[str, int]],
    http: Sequence[tuple[str, int]],
    keys: Mapping[bytes, Key],
    config_dir: str,
    *,
    newcomer: bool,
) -> str:
    """A few plain lines; for a newcomer also the two commands that make and use a first account.

    @param sftp: each host and port that the SSH server listens on; the same for C{http}, empty when there is none.
    """
    lines = [f"SFTP listens on {written(where)}" for where in sftp]
    lines += [f"HTTP listens on {written(where)}" for where in http]
    kind = b"ssh-ed25519" if b"ssh-ed25519" in keys else next(iter(keys))
    lines.append(f"Host key ({kind.decode('ascii')}): {fingerprint(keys[kind])}")
    if newcomer and http:
        lines += ["", "Add a first account:", "  " + _add(http[0], config_dir), "and use it, with that password:"]
        lines.append(f"  sftp -P {sftp[0][1]} alice@{bracketed(_reachable(sftp[0][0]))}")
        lines += ["or manage accounts in a browser:", f"  {_site(http[0])}/"]
    lines += ["", "Ctrl-C stops the server.", ""]
    return "\n".join(lines)


def _add(http: tuple[str, int], config_dir: str) -> str:
    account = {
        "username": "alice",
        "password": secrets.token_urlsafe(9),
        "status": 1,
        "home_dir": os.path.join(os.path.abspath(config_dir), "homes", "alice"),
        "permissions": {"/": ["*"]},
    }
    return f"curl -d {shlex.quote(json.dumps(account))} {_site(http)}/api/v1/user"


def _site(http: tuple[str, int]) -> str:
    return f"http://{written((_reachable(http[0]), http[1]))}"


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in _ANY else host
