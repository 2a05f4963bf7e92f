"""The HTTP server over TLS, with authentication, and on addresses that others reach; for real."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import StartupError
from sftpgo.tls import Certificate
from tests.certificates import self_signed
from tests.harness import PATIENCE, Server


class ServerTests(SynchronousTestCase):
    def server(self, **httpd: Any) -> Server:
        server = Server({"httpd": httpd, "data_provider": {"driver": "memory"}})
        self.addCleanup(server.clean_up)
        return server

    def get(self, server: Server, headers: dict[str, str], context: ssl.SSLContext | None = None) -> tuple[int, Any]:
        if context is None:
            connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=PATIENCE)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", server.http_port, timeout=PATIENCE, context=context)
        try:
            connection.request("GET", "/api/v1/version", headers=headers)
            answer = connection.getresponse()
            return answer.status, json.load(answer)
        finally:
            connection.close()

    def subject(self, server: Server, context: ssl.SSLContext) -> bytes:
        """The certificate that the server shows."""
        connection = http.client.HTTPSConnection("127.0.0.1", server.http_port, timeout=PATIENCE, context=context)
        try:
            connection.connect()
            shown: bytes = connection.sock.getpeercert(binary_form=True)
            return shown
        finally:
            connection.close()

    def test_tls_and_authentication(self) -> None:
        server = self.server(certificate_file="certificate.pem", certificate_key_file="key.pem", auth_user_file="users")
        self_signed(server.directory, "localhost")
        stored = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
        (server.directory / "users").write_text(f"admin:{stored}\n")
        # The welcome and the log say where.
        server.start()
        self.assertNotIn("curl", "".join(server.said))
        server.http_port = self.port_in_log(server)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.assertEqual(self.get(server, {}, context)[0], 401)
        credentials = {"Authorization": "Basic " + b64encode(b"admin:secret").decode()}
        self.assertEqual(self.get(server, credentials, context)[0], 200)
        self.assertEqual(self.get(server, credentials | {"Host": "evil.example"}, context)[0], 403)
        with self.assertRaises((ssl.SSLError, OSError)):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            self.get(server, credentials, old)
        # A new certificate, and then one that is damaged, which changes nothing.
        before = self.subject(server, context)
        self_signed(server.directory, "localhost")
        self.hang_up(server, "loaded again")
        after = self.subject(server, context)
        self.assertNotEqual(before, after)
        (server.directory / "certificate.pem").write_text("damaged")
        self.hang_up(server, "the configuration stays as it is: httpd.certificate_file")
        self.assertEqual(self.subject(server, context), after)
        # Other files, and another name to be called by; the names of who may ask are those of the new file only.
        other = server.directory / "other"
        other.mkdir()
        self_signed(other, "localhost")
        (other / "users").write_text(f"boss:{stored}\n")
        server.configure(
            "httpd",
            certificate_file="other/certificate.pem",
            certificate_key_file="other/key.pem",
            auth_user_file="other/users",
            allowed_hosts=["sftp.example"],
        )
        self.hang_up(server, "changed: httpd.auth_user_file, httpd.allowed_hosts, httpd.certificate_file")
        self.assertNotIn(self.subject(server, context), (before, after))
        self.assertEqual(self.get(server, credentials, context)[0], 401)
        boss = {"Authorization": "Basic " + b64encode(b"boss:secret").decode(), "Host": "sftp.example"}
        self.assertEqual(self.get(server, boss, context)[0], 200)
        self.assertEqual(server.stop(), 0)

    def port_in_log(self, server: Server) -> int:
        (line,) = [line for line in server.log_lines() if line.get("message", "").startswith("HTTPS listens on")]
        return int(line["message"].rpartition(":")[2])

    def hang_up(self, server: Server, expected: str) -> None:
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if any(expected in line.get("message", "") for line in server.log_lines()):
                return
            time.sleep(0.05)
        self.fail(f"the log never said {expected!r}")

    def test_other_addresses(self) -> None:
        server = self.server(bind_address="0.0.0.0")
        error = str(self.assertRaises(AssertionError, server.start))
        self.assertIn("httpd.allow_unauthenticated", error)
        self.assertNotIn("Traceback", error)
        allowed = self.server(bind_address="0.0.0.0", allow_unauthenticated=True).start()
        self.assertEqual(self.get(allowed, {"Host": "any.example"})[0], 200)

    def test_allowed_hosts(self) -> None:
        server = self.server(allowed_hosts=["SFTP.example"]).start()
        for host, status in (("sftp.example", 200), ("localhost", 200), ("evil.example", 403)):
            self.assertEqual((host, self.get(server, {"Host": host})[0]), (host, status))

    def test_files_that_cannot_be_used(self) -> None:
        for httpd, expected in (
            ({"auth_user_file": "missing"}, "httpd.auth_user_file"),
            ({"certificate_file": "missing"}, "httpd.certificate_key_file"),
            ({"certificate_file": "missing", "certificate_key_file": "missing"}, "httpd.certificate_file"),
        ):
            error = str(self.assertRaises(AssertionError, self.server(**httpd).start))
            self.assertIn(expected, error)


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.key, self.certificate, _ = self_signed(self.directory, "localhost")

    def fault(self) -> str:
        certificate = Certificate(str(self.certificate), str(self.key))
        return str(self.assertRaises(StartupError, certificate.load))

    def test_faults(self) -> None:
        other = self.directory / "other"
        other.mkdir()
        foreign, _, _ = self_signed(other, "localhost")
        good, self.key = self.key, foreign
        self.assertIn("is not the key of the certificate", self.fault())
        self.key = good
        locked, _, _ = self_signed(other, "localhost", passphrase=b"secret")
        self.key = locked
        self.assertIn("passphrase", self.fault())
        self.key = good
        good.write_text("no key")
        self.assertIn("httpd.certificate_key_file", self.fault())
        self.certificate.write_text("")
        self.assertIn("httpd.certificate_file", self.fault())

    def test_the_last_good_one_stays(self) -> None:
        certificate = Certificate(str(self.certificate), str(self.key))
        self.assertRaises(RuntimeError, certificate.getContext)
        certificate.load()
        context = certificate.getContext()
        self.certificate.write_text("damaged")
        self.assertRaises(StartupError, certificate.load)
        self.assertIs(certificate.getContext(), context)
