"""The examples for nginx, Apache and HAProxy, by these programs themselves."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import self_signed
from tests.harness import PATIENCE, ROOT, Server, need
from tests.operations.programs import ENVIRON, background, check, free_ports
from tests.operations.test_fail2ban import try_login

#: A second address of this machine, so that the client's and the proxy's can be told apart.
CLIENT = "127.0.0.2"
NAME = "sftp.example.com"

_NGINX = """\
{user}
daemon off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    include {directory}/sftpgo.conf;
}}
"""

_APACHE = """\
ServerRoot {directory}
ServerName localhost
PidFile {directory}/apache.pid
ErrorLog /dev/stderr
DefaultRuntimeDir {directory}
{modules}
Listen 127.0.0.1:{port}
Include {directory}/sftpgo.conf
"""
_APACHE_MODULES = ("mpm_event", "authz_core", "authz_host", "headers", "proxy", "proxy_http", "ssl", "socache_shmcb")


def _program(name: str) -> None:
    if shutil.which(name, path=ENVIRON["PATH"]) is None:
        need(name)


class ProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-proxy-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.key, self.certificate, _ = self_signed(self.directory, NAME)

    def staged(self, example: str, replaced: dict[str, str]) -> Path:
        """An example with its paths and ports replaced, each of which must be in it."""
        text = (ROOT / "etc" / example).read_text()
        changes = {"/etc/ssl/sftpgo/fullchain.pem": str(self.certificate), "/etc/ssl/sftpgo/privkey.pem": str(self.key)}
        for old, new in (changes | replaced).items():
            if old in changes and old not in text:
                continue
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.directory / Path(example).name
        path.write_text(text)
        return path

    def server(self, **sftpd: object) -> Server:
        httpd = {"allowed_hosts": [NAME], "proxy_allowed": ["127.0.0.1"]}
        server = Server({"httpd": httpd, "sftpd": sftpd})
        self.addCleanup(server.clean_up)
        return server.start()

    def ask(self, port: int, path: str, **headers: str) -> int:
        """The status of a request over TLS from CLIENT."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(CLIENT, 0)) as plain:
            with context.wrap_socket(plain, server_hostname=NAME) as guarded:
                connection = http.client.HTTPConnection(NAME)
                connection.sock = guarded
                connection.request("GET", path, headers={"Host": NAME, **headers})
                return connection.getresponse().status

    def askers(self, server: Server) -> list[str]:
        """The addresses that requests for the version came from, in the server's log."""
        lines = [line for line in server.log_lines() if line["sender"] == "httpd" and "version" in line.get("uri", "")]
        return [line["remote_addr"].rpartition(":")[0] or line["remote_addr"] for line in lines]

    def see_the_client(self, port: int, server: Server) -> None:
        """A request reaches the server with its client's address, whatever the client says it is."""
        for forged in ({}, {"X-Forwarded-For": "192.0.2.1"}, {"X-Real-IP": "192.0.2.2"}):
            self.assertEqual(self.ask(port, "/api/v1/version", **forged), 200)
        self.assertEqual(self.ask(port, "/metrics"), 403)
        end = time.monotonic() + PATIENCE
        while len(asked := self.askers(server)) < 3 and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(asked, [CLIENT] * 3)
        self.assertNotIn("192.0.2.", (server.directory / "sftpgo.log").read_text())

    def test_nginx(self) -> None:
        _program("nginx")
        server = self.server()
        (port,) = free_ports(1)
        self.staged(
            "nginx/sftpgo.conf",
            {"listen 443 ssl": f"listen 127.0.0.1:{port} ssl", "    listen [::]:443 ssl;\n": "",
             "127.0.0.1:8080": f"127.0.0.1:{server.http_port}"},
        )  # fmt: skip
        main = self.directory / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        main.write_text(_NGINX.format(directory=self.directory, user=user))
        command = ["nginx", "-p", self.directory, "-e", "stderr", "-c", main]
        check(*command, "-t")
        background(self, command, port)
        self.see_the_client(port, server)

    def test_apache(self) -> None:
        _program("apache2")
        server = self.server()
        (port,) = free_ports(1)
        self.staged(
            "apache2/sftpgo.conf", {"*:443": f"127.0.0.1:{port}", "127.0.0.1:8080": f"127.0.0.1:{server.http_port}"}
        )
        modules = "\n".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _APACHE_MODULES
        )
        main = self.directory / "apache2.conf"
        main.write_text(_APACHE.format(directory=self.directory, modules=modules, port=port))
        self.assertIn("Syntax OK", check("apache2", "-t", "-d", self.directory, "-f", main))
        background(self, ["apache2", "-D", "FOREGROUND", "-d", self.directory, "-f", main], port)
        self.see_the_client(port, server)

    def test_haproxy(self) -> None:
        _program("haproxy")
        server = self.server(proxy_protocol=2, proxy_allowed=["127.0.0.1"])
        server.add_user("alice")
        sftp, https = free_ports(2)
        pem = self.directory / "haproxy.pem"
        pem.write_text(self.certificate.read_text() + self.key.read_text())
        config = self.staged(
            "haproxy/sftpgo.cfg",
            {":::2222 v4v6": f"127.0.0.1:{sftp}", ":::443 v4v6": f"127.0.0.1:{https}",
             "/etc/ssl/sftpgo/haproxy.pem": str(pem), "127.0.0.1:2022": f"127.0.0.1:{server.sftp_port}",
             "127.0.0.1:8080": f"127.0.0.1:{server.http_port}"},
        )  # fmt: skip
        check("haproxy", "-c", "-f", config)
        background(self, ["haproxy", "-db", "-f", config], https)
        self.see_the_client(https, server)
        self.assertFalse(try_login("127.0.0.1", sftp, "alice", source=CLIENT))
        self.assertTrue(try_login("127.0.0.1", sftp, "alice", source=CLIENT, password="alice-secret"))
        (failed,) = (line for line in server.log_lines() if line["sender"] == "connection_failed" and line["username"])
        self.assertEqual(failed["client_ip"], CLIENT)
