"""Starting and stopping the server as people and service managers do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh import codec
from tests.harness import PATIENCE, ROOT, Server, host_keys_into, need, run
from tests.rawsftp import RawSFTP, connect

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
SFTPGO = [sys.executable, "-m", "sftpgo"]


def sftpgo(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SFTPGO_")}
    return subprocess.run(
        [*SFTPGO, *words], cwd=ROOT, env=clean | environ, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


class CommandLineTests(SynchronousTestCase):
    """What is printed, and the exit status."""

    def test_help(self) -> None:
        for words in ([], ["--help"], ["help"]):
            done = sftpgo(*words)
            self.assertEqual(done.returncode, 0)
            self.assertIn("serve", done.stdout)

    def test_help_of_serve(self) -> None:
        for words in (["help", "serve"], ["serve", "--help"]):
            done = sftpgo(*words)
            self.assertEqual(done.returncode, 0, done.stderr)
            for flag in ("--config-dir", "--log-max-backups", "SFTPGO_LOG_COMPRESS"):
                self.assertIn(flag, done.stdout)

    def test_version(self) -> None:
        for flag in ("-v", "--version"):
            self.assertRegex(sftpgo(flag).stdout, r"^SFTPGo version: \d+\.\d+")

    def test_unknown(self) -> None:
        for words in (["nonsense"], ["--nonsense"], ["serve", "--nonsense"], ["serve", "--log-max-size", "many"]):
            done = sftpgo(*words)
            self.assertEqual(done.returncode, 1, words)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(done.stderr, "sftpgo: -s, --log-max-size: 'many' is no whole number\n")

    def test_a_reader_who_has_seen_enough(self) -> None:
        """As with ``sftpgo completion bash | head -1``: no traceback."""
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "wb") as pipe:
            command = [sys.executable, "-m", "sftpgo", "completion", "bash"]
            done = subprocess.run(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
            )
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_closed_standard_streams(self) -> None:
        """As of ``>&-``: what is to be done is done, and nothing is told."""
        directory = tempfile.mkdtemp(prefix="sftpgo-test-")
        self.addCleanup(shutil.rmtree, directory)
        (Path(directory) / "dump.json").write_text('{"users": []}')
        (Path(directory) / "sftpgo.json").write_text('{"data_provider": {"driver": "memory"}}')
        flags = ["-c", directory, "--format", "dump", f"{directory}/dump.json"]
        for closed in (">&-", "2>&-", ">&- 2>&-"):
            command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "sftpgo", "import", *flags]
            done = subprocess.run(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), closed)

    def test_nowhere_to_write_to(self) -> None:
        """A full disk is told, without a traceback."""
        for words in (["completion", "bash"], ["check-config"]):
            with open("/dev/full", "w") as full:
                command = [sys.executable, "-m", "sftpgo", *words]
                done = subprocess.run(
                    command,
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=full,
                    stderr=subprocess.PIPE,
                    text=True,
                    check=False,
                )
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr.splitlines()[-1], "sftpgo: [Errno 28] No space left on device")
            self.assertNotIn("Traceback", done.stderr)

    def test_a_directory_that_is_gone(self) -> None:
        for words in ("check-config", "initprovider", "doctor", "import x", "portable", "serve"):
            script = f'mkdir gone && cd gone && rmdir ../gone && exec "$0" -m sftpgo {words}'
            with tempfile.TemporaryDirectory(prefix="sftpgo-test-") as directory:
                done = subprocess.run(
                    ["/bin/sh", "-c", script, sys.executable],
                    cwd=directory,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            self.assertEqual(
                (words, done.returncode, done.stderr), (words, 1, "sftpgo: the current directory is gone\n")
            )

    def test_bad_environment(self) -> None:
        done = sftpgo("serve", SFTPGO_LOG_MAX_AGE="old")
        self.assertEqual(done.returncode, 1)
        self.assertIn("SFTPGO_LOG_MAX_AGE", done.stderr)


class RefusalTests(SynchronousTestCase):
    """A start that fails says why in one line and exits with 1."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        host_keys_into(self.directory)
        self.config = {
            "sftpd": {"bind_port": 0, "bind_address": "127.0.0.1"},
            "httpd": {"bind_port": 0},
            "data_provider": {"driver": "sqlite", "name": "sftpgo.db"},
        }

    def start(self, *words: str, **environ: str) -> str:
        """What it says on standard error; one line, and status 1."""
        (self.directory / "sftpgo.json").write_text(json.dumps(self.config))
        log = str(self.directory / "sftpgo.log")
        done = sftpgo("serve", "-c", str(self.directory), "-l", log, *words, **environ)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr

    def test_port_taken(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.config["sftpd"]["bind_port"] = port
            self.assertRegex(self.start(), rf"SFTP cannot listen on 127\.0\.0\.1:{port} .*[Aa]ddress.*in use")
            self.config["sftpd"]["bind_port"] = 0
            self.config["httpd"] = {"bind_port": port, "bind_address": "127.0.0.1"}
            self.assertRegex(self.start(), rf"HTTP cannot listen on 127\.0\.0\.1:{port} .*httpd\.bind_port")

    def test_a_mistyped_key_is_told_at_the_terminal(self) -> None:
        self.config["sftpd"]["bind_prot"] = 2022
        self.config["data_provider"]["driver"] = "none"
        (self.directory / "sftpgo.json").write_text(json.dumps(self.config))
        self.assertIn("data_provider.driver", self.start())
        self.config["data_provider"] |= {"driver": "sqlite", "name": "missing/sftpgo.db"}
        (self.directory / "sftpgo.json").write_text(json.dumps(self.config))
        done = sftpgo("serve", "-c", str(self.directory), "-l", str(self.directory / "sftpgo.log"))
        self.assertEqual(done.returncode, 1)
        warning, _ = done.stderr.strip().splitlines()
        self.assertRegex(warning, r"^sftpgo: warning: .*sftpd\.bind_prot")

    def test_database(self) -> None:
        (self.directory / "sftpgo.db").write_bytes(b"not a database, for certain" * 100)
        self.assertIn("sftpgo.db", self.start())
        (self.directory / "sftpgo.db").unlink()
        (self.directory / "sftpgo.db").mkdir()
        self.assertIn("sftpgo.db", self.start())

    def test_database_that_is_not_there(self) -> None:
        for driver in ("mysql", "postgresql"):
            self.config["data_provider"] |= {"driver": driver, "host": "127.0.0.1", "port": 1, "password": "hush"}
            said = self.start()
            self.assertRegex(said, "cannot use the (MySQL|PostgreSQL) database .* at 127.0.0.1:1: ")
            self.assertNotIn("hush", said)

    def test_host_keys(self) -> None:
        self.config["sftpd"]["keys"] = [{"private_key": "missing_key"}]
        self.assertIn("missing_key", self.start())
        (self.directory / "broken").write_text("no key")
        self.config["sftpd"]["keys"] = [{"private_key": "broken"}]
        self.assertIn("broken", self.start())
        need("ssh-keygen")
        locked = self.directory / "locked"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", locked])
        self.config["sftpd"]["keys"] = [{"private_key": "locked"}]
        self.assertIn("passphrase", self.start())
        self.config["sftpd"]["keys"] = [{"private_key": "id_rsa"}, {"private_key": "id_rsa"}]
        self.assertIn("second key", self.start())

    def test_log_file(self) -> None:
        self.assertIn("no/such", self.start("-l", "/proc/no/such/log"))

    def test_value(self) -> None:
        self.config["sftpd"]["bind_port"] = "many"
        self.assertRegex(self.start(), r"sftpgo\.json.*sftpd\.bind_port")

    def test_environment(self) -> None:
        self.assertIn("SFTPGO_SFTPD__BIND_PORT", self.start(SFTPGO_SFTPD__BIND_PORT="many"))

    def test_all_faults_at_once(self) -> None:
        self.config["sftpd"] |= {"bind_port": -1, "umask": 18, "idle_timeout": "long"}
        (self.directory / "sftpgo.json").write_text(json.dumps(self.config))
        done = sftpgo("serve", "-c", str(self.directory))
        self.assertEqual(done.returncode, 1)
        for key in ("sftpd.bind_port", "sftpd.umask", "sftpd.idle_timeout"):
            self.assertIn(key, done.stderr)

    def test_twistd(self) -> None:
        """The same under twistd: one line of ours, and exit status 1."""
        self.config["sftpd"]["bind_port"] = "many"
        path = self.directory / "sftpgo.json"
        path.write_text(json.dumps(self.config))
        done = twistd(self.directory, "--config", str(path))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("sftpd.bind_port", done.stderr)
        self.config["sftpd"]["bind_port"] = 0
        (self.directory / "sftpgo.db").write_bytes(b"not a database, for certain" * 100)
        path.write_text(json.dumps(self.config))
        done = twistd(self.directory, "--config", str(path))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("sftpgo.db", done.stderr)
        self.assertFalse((self.directory / "twistd.pid").exists())


def twistd(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run C{twistd -n sftpgo} to its end."""
    return subprocess.run(
        [*TWISTD, "-n", "--pidfile", "twistd.pid", "sftpgo", "-l", str(directory / "sftpgo.log"), *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


class LifeTests(SynchronousTestCase):
    """A server of this test's own, started and ended."""

    def server(self, *arguments, **options) -> Server:
        server = Server(*arguments, **options)
        self.addCleanup(server.clean_up)
        return server.start()

    def test_what_a_newcomer_pastes(self) -> None:
        """The welcome's curl adds an account; the password in it opens what the welcome's sftp names."""
        need("curl", "sftp")
        server = self.server()
        (curl,) = [line.strip() for line in server.said if line.strip().startswith("curl")]
        (sftp,) = [line.strip() for line in server.said if line.strip().startswith("sftp")]
        done = run(["sh", "-c", curl.replace("curl ", "curl -sSf --noproxy '*' ", 1)])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["username"], "alice")
        password = json.loads(curl[curl.index("{") : curl.rindex("}") + 1])["password"]
        options = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o PubkeyAuthentication=no"
        done = run(sftp.replace("sftp ", f"sftp {options} ", 1).split(), password=password, stdin="pwd\n")
        self.assertIn("Remote working directory: /", done.stdout, done.stderr)
        self.assertEqual(server.stop(), 0)

    def test_second_start(self) -> None:
        """With an account there, the welcome is shorter; the account is still there."""
        server = self.server()
        server.add_user()
        self.assertEqual(server.stop(), 0)
        server.said.clear()
        server.start()
        self.assertFalse([line for line in server.said if "curl" in line])
        connect(server.sftp_port, "alice", "alice-secret").close()

    def test_killed(self) -> None:
        """After kill -9 the next start is as good as the first, and accounts are there."""
        server = self.server()
        server.add_user()
        server.stop(signal.SIGKILL)
        server.start()
        connect(server.sftp_port, "alice", "alice-secret").close()

    def test_sigterm_idle_client(self) -> None:
        """Nobody transfers: the server does not wait for the grace time, and exits with 0."""
        server = self.server({"sftpd": {"grace_time": 3600}})
        server.add_user()
        raw = RawSFTP(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(raw.close)
        raw.ask(codec.REALPATH, b".")
        self.assertEqual(server.stop(), 0)

    def test_sigterm_lets_transfers_end(self) -> None:
        """An upload under way may end; nobody new gets in; the exit status is 0."""
        server = self.server({"sftpd": {"grace_time": 3600}})
        server.add_user()
        raw = RawSFTP(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(raw.close)
        _kind, rest = raw.ask(codec.OPEN, b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        handle = codec.Reader(rest).string()
        server.process.send_signal(signal.SIGTERM)
        self.wait_until_refused(server.sftp_port)
        self.assertEqual(raw.status(codec.WRITE, handle, 0, 0, b"last words"), codec.OK)
        self.assertEqual(raw.status(codec.CLOSE, handle), codec.OK)
        self.assertEqual(server.stop(), 0)
        self.assertEqual((server.home() / "f").read_bytes(), b"last words")

    def test_grace_is_over(self) -> None:
        """A transfer that does not end is cut off after the grace time; still exit status 0."""
        server = self.server({"sftpd": {"grace_time": 1}})
        server.add_user()
        raw = RawSFTP(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(raw.close)
        raw.ask(codec.OPEN, b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        self.assertEqual(server.stop(), 0)
        self.assertTrue([line for line in server.log_lines() if "transfer error" in line.get("message", "")])

    def wait_until_refused(self, port: int) -> None:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return
            time.sleep(0.1)
        self.fail("the port is still open")

    def test_sigusr1(self) -> None:
        """The log is reopened after somebody moved it away."""
        server = self.server()
        log = server.directory / "sftpgo.log"
        log.rename(server.directory / "moved.log")
        server.process.send_signal(signal.SIGUSR1)
        for _ in range(600):
            if log.exists():
                break
            time.sleep(0.1)
        server.add_user()
        self.assertTrue([line for line in server.log_lines() if line["sender"] == "httpd"])

    def test_twistd_runs_it(self) -> None:
        server = self.server(command=[*TWISTD, "-n", "--pidfile", "", "sftpgo"])
        server.add_user()
        connect(server.sftp_port, "alice", "alice-secret").close()
        # twistd ends by the signal it was sent, so that its parent can tell.
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertIn("the server has stopped", str(server.log_lines()))
