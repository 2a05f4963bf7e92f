"""Commands by OpenSSH's ssh: what runs, what is said where, and which exit status comes back."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from typing import ClassVar

from tests.harness import PATIENCE, Server, ssh_options
from tests.interop.commands import CommandTestCase


class ExecTests(CommandTestCase):
    """A server with all commands."""

    def test_statuses(self) -> None:
        (self.home / "a b").write_bytes(b"x")
        for line, status, output, errors in (
            ("pwd", 0, "/\n", ""),
            ("cd /x", 0, "", ""),
            ("md5sum 'a b'", 0, hashlib.md5(b"x").hexdigest() + "  /a b\n", ""),
            ("md5sum none", 1, "", "md5sum: /none: No such file or directory\n"),
            ("sh -c id", 255, "", "exec request failed on channel 0\n"),
            ("scp -t", 255, "", "exec request failed on channel 0\n"),
            ("git-upload-pack none", 1, "", "git-upload-pack: none: No such file or directory\n"),
            ("rsync --version", 1, "", "rsync: only a client's --server can be served\n"),
        ):
            done = self.ssh(line)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (status, output, errors), line)
            self.assertNoRealPath(done)

    def test_no_shell_and_no_terminal(self) -> None:
        self.assertNotEqual(self.ssh("", stdin="id\n").returncode, 0)
        done = subprocess.run(
            [*self.shell, "-tt", f"{self.user}@127.0.0.1", "pwd"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn("PTY allocation request failed", done.stderr)

    def test_digest_of_input(self) -> None:
        """Five megabytes through standard input, as `md5sum` prints them."""
        path = self.make_file("big", 5_000_003)
        with path.open("rb") as file:
            done = subprocess.run(
                [*self.shell, f"{self.user}@127.0.0.1", "sha256sum"], stdin=file, capture_output=True, check=False
            )
        with path.open("rb") as file:
            local = subprocess.run(["sha256sum"], stdin=file, capture_output=True, check=True)
        self.assertEqual(done.stdout, local.stdout)

    def test_log_line(self) -> None:
        self.assertDone(self.ssh("pwd 'a b'"))
        lines = [line for line in self.server.log_lines() if line["sender"] == "SSHCommand"]
        (line,) = [line for line in lines if line["username"] == self.user]
        self.assertEqual((line["ssh_command"], line["file_path"], line["protocol"]), ("pwd a b", "/a b", "SSH"))

    def test_client_killed(self) -> None:
        """A client that dies takes its command with it, and its place in the list of connections."""
        self.assertDone(self.git("init", "--bare", self.home / "r.git"))
        client = subprocess.Popen(
            [*self.shell, f"{self.user}@127.0.0.1", "git-receive-pack /r.git"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdout is not None
        assert client.stdin is not None
        client.stdout.read(4)
        assert self.server.process is not None
        (child,) = [pid for pid in _children(self.server.process.pid) if self.user in _command(pid)]
        client.kill()
        client.communicate()
        _until(lambda: child not in _children(self.server.process.pid))
        _until(lambda: not any(c["username"] == self.user for c in self.server.rest("GET", "/connection")))


class DefaultTests(CommandTestCase):
    """The commands of the default configuration."""

    config: ClassVar[dict[str, dict[str, object]]] = {}

    def test_what_is_enabled(self) -> None:
        (self.home / "f").write_bytes(b"")
        for line in ("md5sum f", "sha1sum f", "cd", "pwd"):
            self.assertDone(self.ssh(line))
        for line in ("sha256sum f", "scp -f f", "rsync --server --sender -re.x . f", "git-upload-pack f"):
            self.assertEqual(self.ssh(line).returncode, 255, line)


class OldKeyTests(CommandTestCase):
    """C{enable_scp}, as configurations of before have it."""

    config: ClassVar[dict[str, dict[str, object]]] = {"sftpd": {"enable_scp": True}}

    def test_scp(self) -> None:
        self.make_file("f", 10)
        self.assertDone(self.scp("f", self.remote("f")))
        self.assertEqual(self.ssh("rsync x").returncode, 255)


class EndOfTheServerTests(CommandTestCase):
    """What a server leaves behind that was killed, or that is told to stop."""

    def test_children_go_with_it(self) -> None:
        for number, status in ((signal.SIGKILL, -9), (signal.SIGTERM, 0)):
            server = Server({"sftpd": {"enabled_ssh_commands": ["*"], "grace_time": 0}})
            self.addCleanup(server.clean_up)
            server.start()
            assert self.key is not None
            server.add_user("bob", public_keys=[self.key.public])
            server.home("bob").mkdir(parents=True)
            self.assertDone(self.git("init", "--bare", server.home("bob") / "r.git"))
            command = ["ssh", *ssh_options(server, self.key), "-p", str(server.sftp_port), "bob@127.0.0.1"]
            client = subprocess.Popen(
                [*command, "git-receive-pack r.git"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert client.stdout is not None
            client.stdout.read(4)
            assert server.process is not None
            (child,) = _children(server.process.pid)
            self.assertEqual(server.stop(number), status)
            _until(lambda child=child: not os.path.exists(f"/proc/{child}"))
            client.kill()
            client.communicate()


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def _command(pid: int) -> str:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().decode("utf-8", "replace")


def _until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)
