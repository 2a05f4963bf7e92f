"""Where a real server listens, and who it takes its clients for behind a real proxy."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import paramiko
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from sftpgo.config.load import load
from sftpgo.errors import ConfigurationError
from tests.harness import PATIENCE, Server, need
from tests.rawssh import readable
from tests.test_sockets import has_ipv6


def log_in(host: str, port: int, source: str = "", username: str = "alice") -> paramiko.Transport:
    """A login by password, from an address of ours; the caller closes it."""
    connection = socket.create_connection((host, port), PATIENCE, (source, 0) if source else None)
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = PATIENCE
    try:
        transport.start_client(timeout=PATIENCE)
        transport.auth_password(username, f"{username}-secret")
    except BaseException:
        transport.close()
        raise
    return transport


def upload(transport: paramiko.Transport, name: str) -> None:
    """Put a small file, and end."""
    with contextlib.closing(transport), paramiko.SFTPClient.from_transport(transport) as client:
        with client.open(name, "w") as file:
            file.write(name)


class BindingTests(SynchronousTestCase):
    def server(self, **sftpd: Any) -> Server:
        server = Server({"sftpd": sftpd})
        self.addCleanup(server.clean_up)
        return server

    def test_every_address(self) -> None:
        server = self.server(bind_address="").start()
        server.add_user()
        hosts = ["127.0.0.1", "127.0.0.2", *(["::1"] if has_ipv6() else [])]
        for number, host in enumerate(hosts):
            upload(log_in(host, server.sftp_port), f"f{number}")
        logins = [line["message"] for line in server.log_lines() if "remote addr" in line.get("message", "")]
        self.assertEqual(len(logins), len(hosts))
        self.assertNotIn("ffff", "".join(logins))
        self.assertEqual(len([line for line in server.said if "SFTP listens on" in line]), 1 + has_ipv6())

    def test_lists(self) -> None:
        if not has_ipv6():
            raise SkipTest("no IPv6 here")
        server = self.server(bind_address=["127.0.0.1", "[::1]"])
        server.configure("httpd", bind_address=["127.0.0.1", "::1"])
        server.start()
        server.add_user()
        upload(log_in("::1", server.sftp_port), "f")
        socket.create_connection(("::1", server.http_port)).close()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.2", server.sftp_port))
        self.assertEqual(server.stop(), 0)

    def test_bindings(self) -> None:
        bindings = [{"address": "127.0.0.1", "port": 0}, {"address": "127.0.0.2", "port": 0}]
        server = self.server(bindings=bindings, bind_address="", bind_port=0).start()
        server.add_user()
        ports = [int(line.rpartition(":")[2]) for line in server.said if line.startswith("SFTP listens on 127.0.0.")]
        self.assertTrue(
            any("sftpd.bindings takes their place" in line.get("message", "") for line in server.log_lines())
        )
        upload(log_in("127.0.0.1", ports[0]), "f")
        upload(log_in("127.0.0.2", ports[1]), "g")
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", ports[1]))
        self.assertEqual(sorted(path.name for path in server.home().iterdir()), ["f", "g"])

    def test_one_of_them_is_taken(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            bindings = [{"address": "127.0.0.2", "port": port}, {"address": "127.0.0.1", "port": port}]
            error = str(self.assertRaises(AssertionError, self.server(bindings=bindings).start))
        self.assertIn(f"SFTP cannot listen on 127.0.0.1:{port} (sftpd.bindings[1]): Address already in use", error)

    def test_nonsense(self) -> None:
        for sftpd, expected in (
            ({"bind_address": []}, "sftpd.bind_address: expected"),
            ({"bind_address": ["127.0.0.1", "a b"]}, "sftpd.bind_address[1]: expected"),
            ({"bindings": [{"port": 1}, {"address": "x"}]}, "sftpd.bindings[1]: expected a section with a port"),
            ({"bindings": [{"port": 70000}]}, "sftpd.bindings[0].port: expected"),
            ({"bindings": [{"port": 1, "proxy_protocol": 3}]}, "sftpd.bindings[0].proxy_protocol: expected"),
            ({"proxy_protocol": 2}, "sftpd.proxy_allowed: expected the addresses of the proxies"),
            ({"bindings": [{"port": 1, "proxy_protocol": 1}]}, "sftpd.proxy_allowed: expected"),
            ({"proxy_protocol": 1, "proxy_allowed": ["10.0.0.0/33"]}, "sftpd.proxy_allowed[0]: expected"),
        ):
            path = Path(self.mktemp()).with_suffix(".json")
            path.write_text(json.dumps({"sftpd": sftpd}))
            error = self.assertRaises(ConfigurationError, load, "", environ={}, explicit_path=str(path))
            (problem,) = error.problems
            self.assertIn(expected, problem)

    def test_not_ours(self) -> None:
        error = str(self.assertRaises(AssertionError, self.server(bind_address="192.0.2.1").start))
        self.assertIn("SFTP cannot listen on 192.0.2.1:0 (sftpd.bind_address, sftpd.bind_port): ", error)
        self.assertNotIn("Traceback", error)


class HAProxyTests(SynchronousTestCase):
    """A real proxy in front: both versions of the header, required and allowed."""

    def start(self, mode: int) -> tuple[Server, int, int]:
        """The server, and the ports of a proxy that sends version 1 and of one that sends version 2."""
        need("haproxy")
        server = Server({"sftpd": {"proxy_protocol": mode, "proxy_allowed": ["127.0.0.5"]}})
        self.addCleanup(server.clean_up)
        server.start()
        server.add_user()
        server.add_user("bob", filters={"allowed_ip": [], "denied_ip": ["127.0.0.3/32"]})
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        program = shutil.which("haproxy") or ""
        configuration = Path(self.mktemp())
        upstream = f"127.0.0.1:{server.sftp_port} source 127.0.0.5"
        configuration.write_text(
            "defaults\n mode tcp\n timeout connect 60s\n timeout client 600s\n timeout server 600s\n"
            f"listen one\n bind fd@{sockets[0].fileno()}\n server s {upstream} send-proxy\n"
            f"listen two\n bind fd@{sockets[1].fileno()}\n"
            f" server s {upstream} send-proxy-v2 check check-send-proxy inter 200ms\n"
        )
        proxy = subprocess.Popen(
            [program, "-db", "-q", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[each.fileno() for each in sockets],
        )
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.kill)
        ports = [each.getsockname()[1] for each in sockets]
        for each in sockets:
            each.close()
        return server, ports[0], ports[1]

    def logins(self, server: Server) -> list[str]:
        """The addresses that logins came from."""
        lines = [line.get("message", "") for line in server.log_lines()]
        return [
            json.loads(line.rpartition("remote addr: ")[2]).rpartition(":")[0]
            for line in lines
            if "remote addr" in line
        ]

    def check_content(self, server: Server, port: int) -> None:
        """Megabytes, both ways: behind the header the connection is as fast as any, and as exact."""
        content = os.urandom(1 << 20) * 8
        with contextlib.closing(log_in("127.0.0.1", port)) as transport:
            client = paramiko.SFTPClient.from_transport(transport)
            client.putfo(io.BytesIO(content), "large")
            self.assertEqual((server.home() / "large").read_bytes(), content)
            back = io.BytesIO()
            client.getfo("large", back)
            self.assertEqual(back.getvalue(), content)

    def check_clients(self, server: Server, ports: tuple[int, ...]) -> None:
        for number, port in enumerate(ports):
            source = f"127.0.0.{number + 2}"
            with contextlib.closing(log_in("127.0.0.1", port, source)) as transport:
                paramiko.SFTPClient.from_transport(transport).listdir()
                (shown,) = server.rest("GET", "/connection")
                self.assertEqual(shown["remote_address"], "{}:{}".format(*transport.sock.getsockname()))
        self.assertEqual(self.logins(server), ["127.0.0.2", "127.0.0.3"])

    def test_required(self) -> None:
        server, *ports = self.start(2)
        self.check_clients(server, tuple(ports))
        # The filter of addresses sees the client's.
        self.assertRaises(paramiko.AuthenticationException, log_in, "127.0.0.1", ports[0], "127.0.0.3", "bob")
        upload(log_in("127.0.0.1", ports[1], "127.0.0.2", "bob"), "f")
        failed = [
            line for line in server.log_lines() if line["sender"] == "connection_failed" and line["username"] == "bob"
        ]
        self.assertEqual({line["client_ip"] for line in failed}, {"127.0.0.3"})
        self.check_content(server, ports[1])
        # Directly nobody gets anything, not even our name.
        with socket.create_connection(("127.0.0.1", server.sftp_port), PATIENCE) as direct:
            self.assertEqual(self.rest_of(direct), b"")
        with socket.create_connection(("127.0.0.1", server.sftp_port), PATIENCE, ("127.0.0.5", 0)) as direct:
            direct.sendall(b"SSH-2.0-x\r\n")
            self.assertEqual(self.rest_of(direct), b"")
        reasons = {line["error"] for line in server.log_lines() if line["sender"] == "connection_failed"}
        self.assertLessEqual({"not from a proxy of sftpd.proxy_allowed", "there is no PROXY header"}, reasons)
        self.assertEqual(server.stop(signal.SIGTERM), 0)

    def test_allowed(self) -> None:
        server, *ports = self.start(1)
        self.check_clients(server, tuple(ports))
        upload(log_in("127.0.0.1", server.sftp_port, "127.0.0.4"), "direct")
        upload(log_in("127.0.0.1", server.sftp_port, "127.0.0.5"), "from the proxy's machine")
        self.assertEqual(self.logins(server)[2:], ["127.0.0.4", "127.0.0.5"])

    def rest_of(self, connection: socket.socket) -> bytes:
        """What comes until the other side ends it."""
        data = b""
        while readable(connection, PATIENCE):
            try:
                piece = connection.recv(1000)
            except ConnectionResetError:
                return data
            if not piece:
                return data
            data += piece
        raise AssertionError("the connection goes on")
