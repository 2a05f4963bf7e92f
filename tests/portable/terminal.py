"""C{sftpgo portable} in a process of its own, on a terminal or on a pipe, and what it writes there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import paramiko

from tests.harness import PATIENCE, ROOT, host_keys_into

_READY = re.compile(r'SFTP port: (\d+), user: "([^"]*)", password: "([^"]*)"')


def kept_keys(state: Path) -> None:
    """Have host keys in C{XDG_STATE_HOME}."""
    directory = state / "sftpgo" / "portable"
    directory.mkdir(parents=True)
    host_keys_into(directory)


def _take_terminal() -> None:
    """In the new process: its standard output is the terminal it belongs to, whose Ctrl-C and end it gets."""
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)


class Portable:
    """The process, a directory that it shares, and a client's way in.

    @ivar share: the directory.
    @ivar said: all that it has written so far.
    """

    def __init__(self, *, terminal: bool, columns: int = 100) -> None:
        self.work = Path(tempfile.mkdtemp(prefix="sftpgo-test-portable-")).resolve()
        self.share = self.work / "share"
        self.share.mkdir()
        self.said = b""
        self.port = 0
        self.username = self.password = ""
        self._columns = columns
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: list[paramiko.SSHClient] = []
        self._terminal = terminal
        self._ours = -1

    def start(
        self,
        *flags: str,
        state: Path | None = None,
        under: Sequence[str] = (),
        typed: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> Portable:
        """Start it, and wait until it is ready.

        @param state: where it is to keep its host keys; else there are some already, for making them takes a while.
        @param under: a program that is to run it.
        @param typed: at its standard input, the terminal if it has one, which asks for it.
        @param environ: further variables.
        """
        if state is None:
            state = self.work / "state"
            kept_keys(state)
        self._ours, theirs = pty.openpty() if self._terminal else os.pipe()
        variables = {name: value for name, value in os.environ.items() if not name.startswith("SFTPGO_")}
        variables |= {"XDG_STATE_HOME": str(state), "TERM": "xterm", "PYTHONUTF8": "1", **(environ or {})}
        for name in ("COLUMNS", "LINES"):
            variables.pop(name, None)
        if self._terminal:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self._columns, 0, 0))
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [*leash, *under, sys.executable, "-m", "sftpgo", "portable", "-d", str(self.share), *flags],
            cwd=ROOT,
            env=variables,
            stdin=self._standard_input(theirs) if typed else subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_take_terminal if self._terminal else None,  # noqa: PLW1509 -- one system call
        )
        os.close(theirs)
        if typed:
            self._type(typed)
        found = _READY.search(self.wait_for(r"Ctrl-C stops the server\."))
        assert found is not None
        self.port, self.username, self.password = int(found[1]), found[2], found[3]
        return self

    def _standard_input(self, terminal: int) -> int:
        return terminal if self._terminal else subprocess.PIPE

    def _type(self, text: str) -> None:
        assert self._process is not None
        if self._terminal:
            self.wait_for("Password: ")
            os.write(self._ours, text.encode())
        else:
            assert self._process.stdin is not None
            self._process.stdin.write(text.encode())
            self._process.stdin.close()

    @property
    def text(self) -> str:
        """All that it has written so far."""
        return self.said.decode("utf-8", "replace")

    def wait_for(self, pattern: str, after: int = 0) -> str:
        """Read until this is there; all that was written."""
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.text[after:]):
            if time.monotonic() > end or not self._read(1.0):
                raise AssertionError(f"{pattern!r} did not come:\n{self.text}")
        return self.text

    def _read(self, seconds: float) -> bool:
        """Take what is there; C{False} at the end."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            part = os.read(self._ours, 65536)
        except OSError:  # what a terminal says when the last one has left it
            part = b""
        self.said += part
        return bool(part)

    def press_ctrl_c(self) -> None:
        """On a terminal the key itself, which the terminal makes a signal of."""
        assert self._process is not None
        if self._terminal:
            os.write(self._ours, b"\x03")
        else:
            self._process.send_signal(signal.SIGINT)

    def wait_until_refused(self) -> None:
        """Nobody new gets in, soon after that was said."""
        end = time.monotonic() + PATIENCE
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)):
                    return
            if time.monotonic() > end:
                raise AssertionError("it still listens")
            time.sleep(0.05)

    def close_terminal(self) -> int:
        """Close the window it runs in; its exit status."""
        assert self._process is not None
        os.close(self._ours)
        self._ours = -1
        return self._process.wait(PATIENCE)

    def end(self) -> int:
        """Read to the end; the exit status."""
        assert self._process is not None
        end = time.monotonic() + PATIENCE
        while self._read(1.0):
            if time.monotonic() > end:
                raise AssertionError(f"it does not end:\n{self.text}")
        return self._process.wait(PATIENCE)

    def client(self) -> paramiko.SFTPClient:
        """Log in with the password that it told."""
        ssh = paramiko.SSHClient()
        ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        self._clients.append(ssh)
        ssh.connect(
            "127.0.0.1",
            self.port,
            self.username,
            self.password,
            allow_agent=False,
            look_for_keys=False,
            timeout=PATIENCE,
            banner_timeout=PATIENCE,
            auth_timeout=PATIENCE,
        )
        return ssh.open_sftp()

    def clean_up(self) -> None:
        """End it and remove what it left."""
        for client in self._clients:
            client.close()
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        if self._ours >= 0:
            os.close(self._ours)
        shutil.rmtree(self.work, ignore_errors=True)
