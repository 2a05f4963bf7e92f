"""What a person at the terminal is told once the server is up."""

from __future__ import annotations

import json
import os
import secrets
import shlex
from collections.abc import Mapping

from twisted.conch.ssh.keys import Key

from sftpgo.ssh.hostkeys import fingerprint

_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 -- looked for, not bound to


def welcome_text(
    sftp: tuple[str, int],
    http: tuple[str, int] | None,
    keys: Mapping[bytes, Key],
    config_dir: str,
    *,
    newcomer: bool,
) -> str:
    """A few plain lines; for a newcomer also the two commands that make and use a first account.

    @param sftp: host and port the SSH server listens on; the same for C{http}, None when there is none.
    """
    lines = [f"SFTP listens on {_where(sftp)}"]
    if http is not None:
        lines.append(f"HTTP listens on {_where(http)}")
    kind = b"ssh-ed25519" if b"ssh-ed25519" in keys else next(iter(keys))
    lines.append(f"Host key ({kind.decode('ascii')}): {fingerprint(keys[kind])}")
    if newcomer and http is not None:
        lines += ["", "Add a first account:", "  " + _add(http, config_dir), "and use it, with that password:"]
        lines.append(f"  sftp -P {sftp[1]} alice@{_reachable(sftp[0])}")
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
    url = f"http://{_bracketed(_reachable(http[0]))}:{http[1]}/api/v1/user"
    return f"curl -d {shlex.quote(json.dumps(account))} {url}"


def _where(address: tuple[str, int]) -> str:
    return f"{_bracketed(address[0])}:{address[1]}" if address[0] else f"*:{address[1]}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in _ANY else host
