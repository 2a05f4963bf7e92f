"""A real server in a process of its own, for tests that talk to it with real clients.

Everything is on 127.0.0.1 with ports the kernel picks, in one temporary folder, and ends with the test.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import SkipTest

from sftpgo.ssh import hostkeys

ROOT = Path(__file__).resolve().parent.parent

#: How long anything may take before it is taken to hang; no test's outcome depends on being quicker.
PATIENCE = 120

_LISTENS = re.compile(r"(SFTP|HTTP) listens on ([^ ]+):(\d+)$")


def need(*programs: str) -> None:
    """Skip the test unless these programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise SkipTest(f"not installed: {', '.join(missing)}")


def host_keys_into(directory: Path) -> None:
    """Put host keys into C{directory}; they are made once and shared by all servers of this machine's tests."""
    store = Path(tempfile.gettempdir()) / f"sftpgo-test-host-keys-{os.getuid()}"
    store.mkdir(mode=0o700, exist_ok=True)
    if store.stat().st_uid != os.getuid():
        raise RuntimeError(f"{store} is somebody else's")
    hostkeys.load_or_generate(str(store))
    for name in hostkeys.DEFAULT_NAMES:
        shutil.copy2(store / name, directory / name)


class Server:
    """The server as C{sftpgo serve} starts it.

    @ivar directory: its configuration directory; homes are below C{homes}.
    @ivar sftp_port: where it listens, once started.
    """

    def __init__(
        self,
        config: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        files: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        command: Sequence[str] | None = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sftpgo-test-"))
        host_keys_into(self.directory)
        merged: dict[str, dict[str, Any]] = {
            "sftpd": {"bind_port": 0, "bind_address": "127.0.0.1"},
            "data_provider": {"driver": "sqlite", "name": "sftpgo.db"},
            "httpd": {"bind_port": _free_port(), "bind_address": "127.0.0.1"},
        }
        for section, keys in (config or {}).items():
            merged[section].update(keys)
        (self.directory / "sftpgo.json").write_text(json.dumps(merged))
        for name, text in (files or {}).items():
            (self.directory / name).write_text(text)
        self._foreign = command is not None
        self._command = list(command or [sys.executable, "-m", "sftpgo", "serve"])
        self._arguments = list(arguments)
        self.process: subprocess.Popen[str] | None = None
        self.sftp_port = 0
        self.http_port = 0
        self.said: list[str] = []
        self._reader: threading.Thread | None = None

    def configure(self, section: str, **keys: Any) -> None:
        """Change the configuration before the start."""
        path = self.directory / "sftpgo.json"
        config = json.loads(path.read_text())
        config[section].update(keys)
        path.write_text(json.dumps(config))

    def start(self) -> Server:
        """Start it and wait until it listens."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SFTPGO_")}
        environ["PYTHONUNBUFFERED"] = "1"
        # Should the tests be killed, the server goes with them.
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self.process = subprocess.Popen(
            [
                *leash,
                *self._command,
                "--config-dir",
                str(self.directory),
                "--log-file-path",
                str(self.directory / "sftpgo.log"),
                *self._arguments,
            ],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(ready,), daemon=True)
        self._reader.start()
        if not ready.wait(PATIENCE) or not self.sftp_port:
            self.stop()
            raise AssertionError("the server did not start:\n" + "".join(self.said))
        return self

    def _read(self, ready: threading.Event) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if found := _LISTENS.search(line.strip()):
                if found[1] == "SFTP":
                    self.sftp_port = int(found[3])
                else:
                    self.http_port = int(found[3])
            # Under twistd the log says where it listens, and there is no welcome.
            if line.startswith("Ctrl-C") or (self._foreign and self.sftp_port and self.http_port):
                ready.set()
        ready.set()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it with a signal; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self._reader is not None:
            self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def clean_up(self) -> None:
        """Stop it and remove what it left."""
        with contextlib.suppress(AssertionError):
            if self.process is not None:
                self.stop(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    # Accounts.

    def rest(self, method: str, path: str, body: object = None) -> Any:
        """Call the REST API; returns the decoded answer.  A refusal raises L{urllib.error.HTTPError}."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}/api/v1{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def add_user(self, username: str = "alice", **fields: Any) -> dict[str, Any]:
        """Add an account with all permissions and a home of its own; C{fields} override."""
        user: dict[str, Any] = {
            "username": username,
            "password": f"{username}-secret",
            "status": 1,
            "home_dir": str(self.home(username)),
            "permissions": {"/": ["*"]},
        }
        user.update(fields)
        added: dict[str, Any] = self.rest("POST", "/user", user)
        return added

    def home(self, username: str = "alice") -> Path:
        """The home L{add_user} gives."""
        return self.directory / "homes" / username

    def log_lines(self) -> list[dict[str, Any]]:
        """All log lines so far, decoded; each must be one JSON object."""
        return [json.loads(line) for line in (self.directory / "sftpgo.log").read_bytes().splitlines()]


class ClientKey:
    """A key of a client's, in files as OpenSSH wants them."""

    def __init__(self, directory: Path, kind: str = "ed25519", options: Sequence[str] = ()) -> None:
        need("ssh-keygen")
        self.path = directory / f"client_{kind}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", "a comment", "-f", self.path], check=True
        )
        self.public = self.path.with_suffix(".pub").read_text().strip()


_shared: dict[str, Server] = {}
_keys: list[ClientKey] = []


def shared_server(config: Mapping[str, Mapping[str, Any]], files: Mapping[str, str]) -> Server:
    """A running server of this configuration, which ends with this process of tests."""
    name = json.dumps([config, files], sort_keys=True)
    if name not in _shared:
        server = Server(config, files=files)
        atexit.register(server.clean_up)
        _shared[name] = server.start()
    return _shared[name]


def shared_client_key() -> ClientKey | None:
    """A client's key, where there is a program to make one."""
    if not _keys and shutil.which("ssh-keygen"):
        directory = tempfile.mkdtemp(prefix="sftpgo-test-keys-")
        atexit.register(shutil.rmtree, directory, True)
        _keys.append(ClientKey(Path(directory)))
    return _keys[0] if _keys else None


def ssh_options(server: Server, key: ClientKey | None) -> list[str]:
    """Options for OpenSSH's clients that keep them from asking or from reading the machine's own configuration."""
    options = ["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    options += ["-o", "LogLevel=ERROR", "-o", "IdentityAgent=none"]
    if key is not None:
        options += ["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", str(key.path)]
    else:
        options += ["-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1"]
    return options


def run(command: Sequence[str | Path], *, password: str | None = None, stdin: str = "", **options: Any) -> Any:
    """Run a client to its end; C{password} is what it gets when it asks for one through SSH_ASKPASS."""
    environ = dict(os.environ)
    environ.pop("SSH_AUTH_SOCK", None)
    with tempfile.TemporaryDirectory() as directory:
        if password is not None:
            asked = Path(directory) / "askpass"
            asked.write_text(f"#!/bin/sh\ncat <<'END'\n{password}\nEND\n")
            asked.chmod(0o700)
            environ |= {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        return subprocess.run(
            [str(word) for word in command],
            input=stdin,
            env=environ,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=PATIENCE,
            check=False,
            **options,
        )


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_digest(directory: Path) -> dict[str, str]:
    """What is in a tree: relative path to digest, link target, or C{directory}."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_dir():
            found[name] = "directory"
        else:
            found[name] = digest(path)
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
