from __future__ import annotations

import gzip
import subprocess
import sys

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.metrics import Metrics

#: What dashboards ask for, with the type that the page must say.
NAMES = {
    "sftpgo_dataprovider_availability": "gauge",
    "sftpgo_active_connections": "gauge",
    **dict.fromkeys(
        (
            "sftpgo_uploads_total",
            "sftpgo_downloads_total",
            "sftpgo_upload_errors_total",
            "sftpgo_download_errors_total",
            "sftpgo_upload_size",
            "sftpgo_download_size",
            "sftpgo_ssh_commands_total",
            "sftpgo_ssh_command_errors_total",
            "sftpgo_login_attempts_total",
            "sftpgo_login_ok_total",
            "sftpgo_login_ko_total",
            "sftpgo_password_login_attempts_total",
            "sftpgo_password_login_ok_total",
            "sftpgo_password_login_ko_total",
            "sftpgo_public_key_login_attempts_total",
            "sftpgo_public_key_login_ok_total",
            "sftpgo_public_key_login_ko_total",
            "sftpgo_http_req_total",
            "sftpgo_http_req_ok_total",
            "sftpgo_http_client_errors_total",
            "sftpgo_http_server_errors_total",
            "sftpgo_action_errors_total",
            "sftpgo_log_lines_dropped_total",
        ),
        "counter",
    ),
}


def page(metrics: Metrics) -> str:
    return metrics.exposition()[0].decode()


def values(metrics: Metrics) -> dict[str, float]:
    """The server's own samples that are not 0."""
    samples = [line.split(" ") for line in page(metrics).splitlines() if line.startswith("sftpgo_")]
    return {name: float(value) for name, value in samples if float(value)}


class Page(SynchronousTestCase):
    def test_names_and_types(self) -> None:
        text = page(Metrics())
        types = dict(line.split(" ")[2:] for line in text.splitlines() if line.startswith("# TYPE sftpgo_"))
        self.assertEqual(types, NAMES)
        helps = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# HELP sftpgo_")]
        self.assertEqual(helps, list(types))
        samples = [line for line in text.splitlines() if line.startswith("sftpgo_")]
        self.assertEqual(samples, [f"{name} 0.0" for name in types])

    def test_process_and_interpreter(self) -> None:
        names = {family.name for family in text_string_to_metric_families(page(Metrics()))}
        self.assertLessEqual({"process_cpu_seconds", "process_open_fds", "python_info", "python_gc_collections"}, names)

    def test_headers(self) -> None:
        metrics = Metrics()
        body, headers = metrics.exposition()
        self.assertEqual(
            headers,
            {
                "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
                "Vary": "Accept-Encoding",
                "Content-Length": str(len(body)),
            },
        )

    def test_gzip(self) -> None:
        metrics = Metrics()
        for accepted in ("gzip", "deflate, GZIP;q=0.5", "x-gzip", "br;q=1.0 , gzip ; q=0.01"):
            body, headers = metrics.exposition(accepted)
            self.assertEqual((accepted, headers["Content-Encoding"]), (accepted, "gzip"))
            self.assertEqual(headers["Content-Length"], str(len(body)))
            self.assertIn(b"# TYPE sftpgo_upload_size counter\n", gzip.decompress(body))
        for refused in ("", "identity", "gzip;q=0", "gzip; q = 0.000", "deflate", "gzipped", ";", ",,"):
            body, headers = metrics.exposition(refused)
            self.assertEqual((refused, headers.get("Content-Encoding")), (refused, None))
            self.assertIn(b"# TYPE", body)


class Counting(SynchronousTestCase):
    def test_logins(self) -> None:
        metrics = Metrics()
        for _ in range(3):
            metrics.login_attempted("password")
        metrics.login_attempted("public_key")
        metrics.login_failed("password")
        metrics.login_failed("password")
        metrics.login_succeeded("password")
        metrics.login_succeeded("public_key")
        self.assertEqual(
            values(metrics),
            {
                "sftpgo_login_attempts_total": 4,
                "sftpgo_login_ok_total": 2,
                "sftpgo_login_ko_total": 2,
                "sftpgo_password_login_attempts_total": 3,
                "sftpgo_password_login_ok_total": 1,
                "sftpgo_password_login_ko_total": 2,
                "sftpgo_public_key_login_attempts_total": 1,
                "sftpgo_public_key_login_ok_total": 1,
            },
        )
        metrics.login_failed("public_key")
        self.assertEqual(values(metrics)["sftpgo_public_key_login_ko_total"], 1)

    def test_transfers(self) -> None:
        metrics = Metrics()
        metrics.transfer_completed("upload", 2**40, True)
        metrics.transfer_completed("upload", 1, True)
        metrics.transfer_completed("upload", 99, False)
        metrics.transfer_completed("download", 5, True)
        metrics.transfer_completed("download", 99, False)
        metrics.transfer_completed("download", 99, False)
        self.assertEqual(
            values(metrics),
            {
                "sftpgo_uploads_total": 2,
                "sftpgo_upload_size": 2**40 + 1,
                "sftpgo_upload_errors_total": 1,
                "sftpgo_downloads_total": 1,
                "sftpgo_download_size": 5,
                "sftpgo_download_errors_total": 2,
            },
        )

    def test_the_rest(self) -> None:
        metrics = Metrics()
        metrics.ssh_command_completed(True)
        metrics.ssh_command_completed(True)
        metrics.ssh_command_completed(False)
        for status in (200, 201, 301, 400, 404, 409, 500):
            metrics.http_request(status)
        metrics.action_failed()
        self.assertEqual(
            values(metrics),
            {
                "sftpgo_ssh_commands_total": 2,
                "sftpgo_ssh_command_errors_total": 1,
                "sftpgo_http_req_total": 7,
                "sftpgo_http_req_ok_total": 2,
                "sftpgo_http_client_errors_total": 3,
                "sftpgo_http_server_errors_total": 1,
                "sftpgo_action_errors_total": 1,
            },
        )

    def test_what_is_asked_for(self) -> None:
        metrics = Metrics()
        connections = [1, 2]
        metrics.active_connections(lambda: len(connections))
        metrics.log_lines_dropped(lambda: 7)
        metrics.set_availability(True)
        expected = {
            "sftpgo_active_connections": 2,
            "sftpgo_log_lines_dropped_total": 7,
            "sftpgo_dataprovider_availability": 1,
        }
        self.assertEqual(values(metrics), expected)
        connections.clear()
        metrics.set_availability(False)
        self.assertEqual(values(metrics), {"sftpgo_log_lines_dropped_total": 7})


class Registries(SynchronousTestCase):
    def test_a_given_one_gets_the_servers_own_only(self) -> None:
        registry = CollectorRegistry(auto_describe=True)
        metrics = Metrics(registry)
        self.assertIs(metrics.registry, registry)
        text = generate_latest(registry).decode()
        self.assertIn("\nsftpgo_upload_size 0.0\n", text)
        self.assertNotIn("process_", text)
        self.assertRaises(ValueError, Metrics, registry)

    def test_two_servers_in_one_process(self) -> None:
        one, two = Metrics(), Metrics()
        one.http_request(200)
        self.assertEqual(values(two), {})
        self.assertNotIn("sftpgo_", generate_latest(REGISTRY).decode())

    def test_the_reactor_is_not_imported(self) -> None:
        code = (
            "import sys, sftpgo.metrics as m; m.Metrics().exposition();"
            "print({'prometheus_client.twisted', 'twisted.internet.reactor'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout, "set()\n")
