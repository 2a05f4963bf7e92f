"""Each program in ``docs/examples`` runs, and does what it says, with a real client."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import paramiko
from twisted.trial.unittest import SynchronousTestCase

from tests.harness import PATIENCE, ROOT, _free_port, host_keys_into, need, run

EXAMPLES = ROOT / "docs" / "examples"
_PORT = re.compile(r"(SFTP|web)(?: listens)? on (?:[^ ]*:)?(\d+)")

_TWISTD = ["-c", "from twisted.scripts.twistd import run; run()"]

_CONFIG = {
    "sftpd": {"bind_port": 0, "bind_address": "127.0.0.1"},
    "data_provider": {"driver": "sqlite", "name": "sftpgo.db"},
    "httpd": {"bind_port": 0},
}


_OPTIONS = [
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
]
_OPTIONS += ["-o", "IdentityAgent=none", "-o", "PubkeyAuthentication=no"]
_OPTIONS += ["-o", "NumberOfPasswordPrompts=1"]


class Example:
    """A program under way.

    @ivar said: its output so far.
    @ivar ports: where it listens, by what.
    """

    def __init__(self, command: list[str], directory: Path, expected: int, environ: dict[str, str]) -> None:
        self.said: list[str] = []
        self.ports: dict[str, int] = {}
        self._expected = expected
        leash = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self.process = subprocess.Popen(
            [*leash, sys.executable, *command],
            cwd=directory,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if found := _PORT.search(line):
                self.ports[found[1]] = int(found[2])
                if len(self.ports) == self._expected:
                    self._ready.set()
        self._ready.set()

    def started(self) -> Example:
        """Wait until it listens."""
        if not self._ready.wait(PATIENCE) or len(self.ports) < self._expected:
            self.stop()
            raise AssertionError("the example did not start:\n" + "\n".join(self.said))
        return self

    def until_said(self, text: str) -> None:
        """Wait for a line."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            if time.monotonic() > deadline:
                raise AssertionError(f"never said {text!r}, but:\n" + "\n".join(self.said))
            time.sleep(0.02)

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        self._reader.join(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


class ExampleTestCase(SynchronousTestCase):
    """Runs one example in a directory of its own."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sftpgo-test-example-"))
        self.addCleanup(shutil.rmtree, self.directory, True)
        host_keys_into(self.directory)
        (self.directory / "sftpgo.json").write_text(json.dumps(_CONFIG))

    def example(self, name: str, *arguments: str, ports: int = 1) -> Example:
        return self.command([str(EXAMPLES / name), str(self.directory), *arguments], ports)

    def command(self, command: list[str], ports: int = 1, **environ: str) -> Example:
        example = Example(command, self.directory, ports, environ)
        self.addCleanup(example.stop)
        return example.started()

    @contextlib.contextmanager
    def sftp(self, example: Example, username: str, password: str) -> Iterator[paramiko.SFTPClient]:
        transport = paramiko.Transport(("127.0.0.1", example.ports["SFTP"]))
        transport.banner_timeout = transport.auth_timeout = PATIENCE
        try:
            transport.connect(username=username, password=password)
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            yield client
        finally:
            transport.close()


class ExampleTests(ExampleTestCase):
    """The programs, one each."""

    def test_web_and_sftp(self) -> None:
        """Who signs up on the page can log in at once; the page knows who is connected; a fault is told."""
        example = self.example("web_and_sftp.py", "0", "0", ports=2)
        web = f"http://127.0.0.1:{example.ports['web']}"
        form = urllib.parse.urlencode({"name": "alice", "password": "wonderland"}).encode()
        self.assertEqual(fetch(f"{web}/sign-up", form), (200, "welcome, alice\n"))
        with self.sftp(example, "alice", "wonderland") as client:
            with client.open("hello", "w") as file:
                file.write("hello")
            self.assertEqual(fetch(web), (200, "connected:\nalice by SFTP\n"))
        self.assertEqual((self.directory / "homes/alice/hello").read_text(), "hello")
        self.assertEqual(fetch(f"{web}/sign-up", b"name=")[0], 400)
        self.assertEqual(example.stop(), 0)

    def test_its_length(self) -> None:
        """The server is about ten lines of that program."""
        text = (EXAMPLES / "web_and_sftp.py").read_text()
        lines = text.split("# The SFTP server")[1].split("# The web application")[0].strip().splitlines()[1:]
        self.assertLessEqual(len(lines), 10)

    def test_tac(self) -> None:
        """A .tac file for twistd."""
        users = {"users": [dict(_USER, username="tac", home_dir=str(self.directory / "homes/tac"))]}
        (self.directory / "dump.json").write_text(json.dumps(users))
        self._configure(data_provider={"driver": "memory", "name": "dump.json"})
        command = [*_TWISTD, "-n", "--pidfile=", "-y", str(EXAMPLES / "sftpgo.tac")]
        example = self.command(command, SFTPGO_EXAMPLE=str(self.directory))
        with self.sftp(example, "tac", "tac-secret") as client:
            self.assertEqual(client.listdir("."), [])
        self._ends_well(example)

    def test_plugin(self) -> None:
        """The same by the plugin, without any program of one's own."""
        config = str(self.directory / "sftpgo.json")
        command = [*_TWISTD, "-n", "--pidfile=", "sftpgo", "--config", config, "-l", ""]
        example = self.command(command)
        with self.assertRaises(paramiko.AuthenticationException), self.sftp(example, "nobody", "x"):
            pass
        self._ends_well(example)

    def test_login_by_web(self) -> None:
        """A web service decides; nobody it does not know comes in, nor when it is gone."""
        service = HTTPServer(("127.0.0.1", 0), _WebService)
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        try:
            example = self.example("login_by_web.py", f"http://127.0.0.1:{service.server_address[1]}/check")
            with self.sftp(example, "webby", "right") as client:
                client.putfo(io.BytesIO(b"content"), "there")
                with self.assertRaises(PermissionError):
                    client.remove("there")
            for username, password in (("webby", "wrong"), ("Webby", "right"), ("../x", "right")):
                with self.assertRaises(paramiko.AuthenticationException), self.sftp(example, username, password):
                    pass
        finally:
            service.shutdown()
            thread.join()
            service.server_close()
        with self.assertRaises(paramiko.AuthenticationException), self.sftp(example, "webby", "right"):
            pass
        self.assertEqual(sorted(path.name for path in (self.directory / "homes").iterdir()), ["webby"])

    def test_watch_operations(self) -> None:
        """Before: refused with its own text, by a function and by a coroutine; after and events: all is told."""
        example = self.example("watch_operations.py")
        with self.sftp(example, "guest", "guest-secret") as client:
            client.mkdir("archive")
            client.putfo(io.BytesIO(b"content"), "archive/kept")
            self.assertEqual(client.stat("archive/kept").st_size, 7)
            with self.assertRaises(OSError) as refused:
                client.remove("/archive/../archive//kept")
            self.assertIn("the archive keeps everything", str(refused.exception))
            with self.assertRaises(OSError) as refused:
                client.open("virus.exe", "w")
            self.assertIn("no programs, please", str(refused.exception))
            client.symlink("/archive", "way-round")
            with self.assertRaises(OSError):
                client.remove("way-round/kept")
        home = self.directory / "homes/guest"
        self.assertEqual(sorted(path.name for path in home.iterdir()), ["archive", "way-round"])
        self.assertEqual((home / "archive/kept").read_text(), "content")
        for line in (
            "user_added guest",
            "connection_opened guest",
            "guest mkdir /archive 0: done",
            "guest upload /archive/kept 7: done",
            "guest stat /archive/kept 0: done",
            "guest remove /archive/kept 0: the archive keeps everything",
            "guest upload /virus.exe 0: no programs, please",
            "connection_closed guest",
        ):
            example.until_said(line)
        with self.assertRaises(paramiko.AuthenticationException), self.sftp(example, "guest", "wrong"):
            pass
        example.until_said("login_failed guest")

    def test_watch_commands(self) -> None:
        """Commands pass the hooks too: as such, and scp's files one by one, wildcards and refusals included."""
        need("scp")
        self._configure(sftpd={"bind_port": 0, "bind_address": "127.0.0.1", "enabled_ssh_commands": ["*"]})
        example = self.example("watch_operations.py")
        work = Path(tempfile.mkdtemp(prefix="sftpgo-test-work-"))
        self.addCleanup(shutil.rmtree, work, True)
        (work / "virus.exe").write_text("bad")
        (work / "kept").write_text("content")
        options = [*_OPTIONS, "-O", "-P", str(example.ports["SFTP"])]
        there = "guest@127.0.0.1:"
        sent = run(["scp", *options, work / "kept", work / "virus.exe", there], password="guest-secret")
        self.assertEqual(sent.returncode, 1)
        self.assertIn("no programs, please", sent.stderr)
        self.assertEqual([path.name for path in (self.directory / "homes/guest").iterdir()], ["kept"])
        back = run(["scp", *options, f"{there}/k*", work / "back"], password="guest-secret")
        self.assertEqual((back.returncode, (work / "back").read_text()), (0, "content"), back.stderr)
        for line in (
            "guest upload /kept 7: done",
            "guest upload /virus.exe 0: no programs, please",
            "guest list / 0: done",
            "guest download /kept 7: done",
            "guest command /k* 0: done",
        ):
            example.until_said(line)
        for word, (status, error) in {"sha1sum": (0, ""), "md5sum": (1, "md5sum: sums are not for guests\n")}.items():
            ran = run(["ssh", *_OPTIONS, *_port(example), there[:-1], word, "kept"], password="guest-secret")
            self.assertEqual((ran.returncode, ran.stderr), (status, error))

    def test_users_in_json(self) -> None:
        """A data provider of one's own: users of the file log in, and what REST changes is in the file."""
        path = self.directory / "users.json"
        path.write_text(json.dumps({"users": [dict(_USER, username="json", home_dir=f"{self.directory}/homes/json")]}))
        port = _free_port()
        self._configure(httpd={"bind_port": port, "bind_address": "127.0.0.1"})
        example = self.example("users_in_json.py")
        with self.sftp(example, "json", "tac-secret") as client:
            client.mkdir("made")
        self.assertTrue((self.directory / "homes/json/made").is_dir())
        added = dict(_USER, username="more", home_dir=f"{self.directory}/homes/more")
        self.assertEqual(fetch(f"http://127.0.0.1:{port}/api/v1/user", json.dumps(added).encode())[0], 200)
        self.assertEqual([user["username"] for user in json.loads(path.read_text())["users"]], ["json", "more"])
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(example.stop(), 0)
        again = self.example("users_in_json.py")
        with self.sftp(again, "more", "tac-secret") as client:
            self.assertEqual(client.listdir("."), [])

    def test_files_in_memory(self) -> None:
        """A file system of one's own, with the server's permissions before it."""
        example = self.example("files_in_memory.py")
        with self.sftp(example, "memo", "memo-secret") as client:
            client.mkdir("/a")
            with client.open("/a/file", "wb") as file:
                file.write(bytes(100_000) + b"end")
            self.assertEqual(client.stat("/a/./file").st_size, 100_003)
            with client.open("/a/../a/file", "rb") as file:
                self.assertEqual(file.read(), bytes(100_000) + b"end")
            client.rename("/a", "/b")
            self.assertEqual(client.listdir("/"), ["b"])
            client.mkdir("/read-only")
            with self.assertRaises(PermissionError):
                client.open("/read-only/x", "wb")
            with self.assertRaises(FileNotFoundError):
                client.stat("/nothing")
        with self.sftp(example, "memo", "memo-secret") as client:
            self.assertEqual(client.listdir("/b"), ["file"])
            client.remove("/b/file")
            client.rmdir("/b")
        self.assertFalse((self.directory / "homes").exists())

    def _ends_well(self, example: Example) -> None:
        """twistd shuts down, and then dies of the signal after all."""
        self.assertEqual(example.stop(), -signal.SIGTERM)
        self.assertTrue(any("the server has stopped" in line for line in example.said), example.said)

    def _configure(self, **sections: dict[str, object]) -> None:
        config = {name: {**keys, **sections.get(name, {})} for name, keys in _CONFIG.items()}
        (self.directory / "sftpgo.json").write_text(json.dumps(config))

    def test_without_arguments(self) -> None:
        """How each is called, and the exit status of a wrong call."""
        for path in sorted(EXAMPLES.glob("*.py")):
            ran = run(["env", f"PYTHONPATH={ROOT}", "COLUMNS=200", sys.executable, path], cwd=self.directory)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), ran.stderr)
            usage = ran.stderr.splitlines()[0]
            self.assertRegex(usage, rf"^usage: {path.name} \[-h\] DIRECTORY\b")
            called = " ".join(usage.replace(" [-h]", "").split()[1:])
            self.assertIn(f"python {called}\n", path.read_text())

    def test_tac_without_a_directory(self) -> None:
        command = [sys.executable, *_TWISTD, "-n", "--pidfile=", "-y", EXAMPLES / "sftpgo.tac"]
        ran = run(["env", f"PYTHONPATH={ROOT}", "SFTPGO_EXAMPLE=", *command], cwd=self.directory)
        self.assertEqual(ran.returncode, 1)
        self.assertEqual(ran.stderr, "SFTPGO_EXAMPLE must name the directory of the configuration\n")

    def test_all_are_here(self) -> None:
        """No example without a test."""
        tests = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        found = {path.stem for path in EXAMPLES.iterdir() if path.suffix == ".py"}
        self.assertEqual(found - tests, set())


#: The password is tac-secret, as bcrypt of the least cost has it.
_USER = {
    "status": 1,
    "password": "$2b$04$9y1FZn4H98pJ1wEC784/teQ4FIOm4fAi1Ja7zzZJJO.qkrwRS2gdm",
    "permissions": {"/": ["*"]},
}


class _WebService(BaseHTTPRequestHandler):
    """Knows one user."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        known = urllib.parse.parse_qs(body) == {"username": ["webby"], "password": ["right"]}
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


def _port(example: Example) -> list[str]:
    return ["-p", str(example.ports["SFTP"])]


def fetch(url: str, data: bytes | None = None) -> tuple[int, str]:
    """Status and text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, data, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
