"""The server under a service manager: what it tells, and the sockets it is given."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from sftpgo.ssh import codec
from tests.e2e.test_reload import eventually
from tests.harness import PATIENCE, Server, _free_port
from tests.rawsftp import RawSFTP, connect
from tests.rawssh import readable
from tests.test_systemd import Manager

SERVE = [sys.executable, "-m", "sftpgo", "serve"]

#: Listens on a free port for each name and starts what follows, as the manager does: from descriptor 3 on.
HAND_OVER = """
import os, socket, sys
names, command = sys.argv[1], sys.argv[2:]
opened = [socket.create_server(("127.0.0.1", 0)) for _ in names.split(":")]
print("handed over", *(each.getsockname()[1] for each in opened), flush=True)
spare = [os.dup2(each.fileno(), 100 + index) for index, each in enumerate(opened)]
for index, each in enumerate(spare):
    os.dup2(each, 3 + index, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(opened)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class NotifyTests(SynchronousTestCase):
    def test_ready_reload_watchdog_stop(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        # The path of a socket may have 107 bytes.
        address = f"@sftpgo-test-{directory.resolve()}"[:100]
        manager = Manager(address)
        self.addCleanup(manager.socket.close)
        server = Server(
            {"sftpd": {"grace_time": 3600}},
            command=["env", f"NOTIFY_SOCKET={address}", "WATCHDOG_USEC=1000000", *SERVE],
        )
        self.addCleanup(server.clean_up)
        heard: list[str] = []
        # Heard at once: the kernel keeps few messages for who does not listen.
        threading.Thread(target=self.listen, args=(manager, heard), daemon=True).start()

        def has(text: str, count: int = 1) -> bool:
            return sum(text in message for message in list(heard)) >= count

        server.start()
        server.add_user()
        eventually(self, lambda: has("WATCHDOG=1", 3), "three signs of life")
        self.assertEqual(heard[0], "READY=1")
        raw = RawSFTP(server.sftp_port, "alice", "alice-secret")
        self.addCleanup(raw.close)
        raw.ask(codec.OPEN, b"/f", codec.OPEN_WRITE | codec.OPEN_CREAT, 0)
        eventually(self, lambda: has("connections: 1, transfers: 1"), "the status tells of the transfer")
        for text in ((server.directory / "sftpgo.json").read_text(), "{"):
            # Good or bad, a reload ends.
            (server.directory / "sftpgo.json").write_text(text)
            heard.clear()
            server.process.send_signal(signal.SIGHUP)
            eventually(self, lambda: has("READY=1"), "the reload is done")
            order = [message.partition("\n")[0] for message in heard if "RELOADING" in message or "READY" in message]
            self.assertEqual(order, ["RELOADING=1", "READY=1"])
        server.process.send_signal(signal.SIGTERM)
        eventually(
            self, lambda: has("STOPPING=1\nSTATUS=Stopping; transfers that may end: 1"), "it tells that it stops"
        )
        self.assertTrue(has("EXTEND_TIMEOUT_USEC=10815000000"))
        heard.clear()
        # Still alive, however long transfers take.
        eventually(self, lambda: has("WATCHDOG=1", 2), "signs of life while it stops")
        self.assertEqual(server.stop(), 0)

    def listen(self, manager: Manager, heard: list[str]) -> None:
        while readable(manager.socket, PATIENCE):
            heard.extend(manager.heard())


class SocketTests(SynchronousTestCase):
    def server(self, names: str) -> Server:
        launcher = [sys.executable, "-c", HAND_OVER, names, *SERVE]
        # These would be listened on without the sockets.
        server = Server(command=launcher)
        self.addCleanup(server.clean_up)
        return server

    def test_both(self) -> None:
        server = self.server("http:sftp").start()
        self.assertEqual(self.handed(server), [server.http_port, server.sftp_port])
        server.add_user()
        connect(server.sftp_port, "alice", "alice-secret").close()
        self.assertEqual(server.stop(), 0)

    def test_one(self) -> None:
        server = self.server("sftpgo.socket").start()
        self.assertEqual(self.handed(server), [server.sftp_port])
        server.add_user()
        connect(server.sftp_port, "alice", "alice-secret").close()

    def handed(self, server: Server) -> list[int]:
        """The ports that were listened on before the server was started."""
        (line,) = [line for line in server.said if line.startswith("handed over")]
        return [int(word) for word in line.split()[2:]]

    def test_neither(self) -> None:
        error = str(self.assertRaises(AssertionError, self.server("sftp:what").start))
        self.assertIn("the socket 'what' of the service manager", error)
        self.assertNotIn("Traceback", error)

    def test_systemd_socket_activate(self) -> None:
        """Systemd's own program starts the server when the first client comes, and that client is served."""
        program = shutil.which("systemd-socket-activate")
        if program is None:
            raise SkipTest("not installed: systemd-socket-activate")
        ports = _free_port(), _free_port()
        listen = [f"--listen=127.0.0.1:{port}" for port in ports]
        server = Server(command=[program, "-E", "PYTHONUNBUFFERED=1", "--fdname=sftp:http", *listen, *SERVE])
        self.addCleanup(server.clean_up)
        banners: list[bytes] = []
        thread = threading.Thread(target=self.first_client, args=(ports[0], banners), daemon=True)
        thread.start()
        server.start()
        self.assertEqual((server.sftp_port, server.http_port), ports)
        thread.join(PATIENCE)
        self.assertTrue(banners[0].startswith(b"SSH-2.0-"))
        server.add_user()
        connect(server.sftp_port, "alice", "alice-secret").close()

    def first_client(self, port: int, banners: list[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
                    banners.append(connection.recv(100))
                return
            time.sleep(0.05)
