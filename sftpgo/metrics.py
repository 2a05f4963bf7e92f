"""What Prometheus reads: counters and gauges with the names that dashboards of the original ask for.

The counters are plain integers, so that counting costs next to nothing; L{prometheus_client} sees them only when
somebody reads them.  They are changed in the reactor's thread and may be read in any.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Final, Literal, TypeAlias

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

LoginMethod: TypeAlias = Literal["password", "public_key"]
TransferKind: TypeAlias = Literal["upload", "download"]

#: Name -> help.  Those without C{_total} are counters too: the names are older than the habit.
COUNTERS: Final = {
    "sftpgo_uploads_total": "Successful uploads.",
    "sftpgo_downloads_total": "Successful downloads.",
    "sftpgo_upload_errors_total": "Uploads that failed.",
    "sftpgo_download_errors_total": "Downloads that failed.",
    "sftpgo_upload_size": "Bytes of the successful uploads.",
    "sftpgo_download_size": "Bytes of the successful downloads.",
    "sftpgo_ssh_commands_total": "SSH commands that ended well.",
    "sftpgo_ssh_command_errors_total": "SSH commands that failed.",
    "sftpgo_login_attempts_total": "Login attempts by any method.",
    "sftpgo_login_ok_total": "Successful logins by any method.",
    "sftpgo_login_ko_total": "Refused logins by any method.",
    "sftpgo_password_login_attempts_total": "Login attempts by password.",
    "sftpgo_password_login_ok_total": "Successful logins by password.",
    "sftpgo_password_login_ko_total": "Refused logins by password.",
    "sftpgo_public_key_login_attempts_total": "Login attempts by public key.",
    "sftpgo_public_key_login_ok_total": "Successful logins by public key.",
    "sftpgo_public_key_login_ko_total": "Refused logins by public key.",
    "sftpgo_http_req_total": "HTTP requests answered.",
    "sftpgo_http_req_ok_total": "HTTP requests answered with a 2xx status.",
    "sftpgo_http_client_errors_total": "HTTP requests answered with a 4xx status.",
    "sftpgo_http_server_errors_total": "HTTP requests answered with a 5xx status.",
    "sftpgo_action_errors_total": "Hooks that failed, and events dropped before their hooks ran.",
}
_HTTP_CLASSES: Final = {
    2: "sftpgo_http_req_ok_total",
    4: "sftpgo_http_client_errors_total",
    5: "sftpgo_http_server_errors_total",
}
_UNSUFFIXED: Final = tuple(name for name in COUNTERS if not name.endswith("_total"))


class Metrics(Collector):
    """The server's counters, and the page that shows them.

    @param registry: an embedding program's own, which gets the server's metrics beside its own; with C{None} there is
        a new one that also tells of the process, the interpreter and its garbage collector.
    @ivar registry: the one in use.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._available = False
        self._active_connections: Callable[[], int] = int
        self._log_lines_dropped: Callable[[], int] = int
        if registry is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
        self.registry = registry
        registry.register(self)

    # What is counted.

    def login_attempted(self, method: LoginMethod) -> None:
        """Count a password that was tried or a public key that was offered."""
        self._login(method, "attempts")

    def login_succeeded(self, method: LoginMethod) -> None:
        """Count a method that let its user in."""
        self._login(method, "ok")

    def login_failed(self, method: LoginMethod) -> None:
        """Count a refusal."""
        self._login(method, "ko")

    def transfer_completed(self, kind: TransferKind, size: int, ok: bool) -> None:
        """Count a transfer that has ended; its C{size}, in bytes, only if it ended well."""
        counts = self._counts
        if ok:
            counts[f"sftpgo_{kind}s_total"] += 1
            counts[f"sftpgo_{kind}_size"] += size
        else:
            counts[f"sftpgo_{kind}_errors_total"] += 1

    def ssh_command_completed(self, ok: bool) -> None:
        """Count an SSH command that has ended."""
        self._counts["sftpgo_ssh_commands_total" if ok else "sftpgo_ssh_command_errors_total"] += 1

    def http_request(self, status: int) -> None:
        """Count an HTTP request by the status it was answered with."""
        self._counts["sftpgo_http_req_total"] += 1
        name = _HTTP_CLASSES.get(status // 100)
        if name is not None:
            self._counts[name] += 1

    def action_failed(self) -> None:
        """Count a hook that failed, or an event that was dropped."""
        self._counts["sftpgo_action_errors_total"] += 1

    # What is asked for when somebody looks.

    def active_connections(self, count: Callable[[], int]) -> None:
        """Say who knows how many connections there are; it may be asked in any thread."""
        self._active_connections = count

    def log_lines_dropped(self, count: Callable[[], int]) -> None:
        """Say who knows how many log lines could not be written since the start; it may be asked in any thread."""
        self._log_lines_dropped = count

    def set_availability(self, available: bool) -> None:
        """Say whether the data provider answered when last asked."""
        self._available = available

    def count(self, name: str) -> int:
        """One of L{COUNTERS} as it is now."""
        return self._counts[name]

    @property
    def available(self) -> bool:
        """Whether the data provider answered when last asked."""
        return self._available

    # The page.

    def exposition(self, accept_encoding: str = "") -> tuple[bytes, dict[str, str]]:
        """Everything in the registry as text (Prometheus text format 0.0.4), with the headers of the answer.

        May be called in a thread.

        @param accept_encoding: the request's header of that name (RFC 9110, section 12.5.3); gzip is used when named.
        """
        body = generate_latest(self.registry)
        for name in _UNSUFFIXED:
            body = body.replace(f"# TYPE {name} untyped\n".encode(), f"# TYPE {name} counter\n".encode())
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if _accepts_gzip(accept_encoding):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=6, mtime=0)
        headers["Content-Length"] = str(len(body))
        return body, headers

    def collect(self) -> Iterator[Metric]:
        """The server's metrics as they are now."""
        yield GaugeMetricFamily(
            "sftpgo_dataprovider_availability", "1 if the data provider answers, else 0.", int(self._available)
        )
        yield GaugeMetricFamily(
            "sftpgo_active_connections", "SSH connections with a session.", self._active_connections()
        )
        for name, text in COUNTERS.items():
            yield _counter(name, text, self._counts[name])
        yield _counter(
            "sftpgo_log_lines_dropped_total", "Log lines that could not be written.", self._log_lines_dropped()
        )

    def describe(self) -> Iterator[Metric]:
        """The same, for the registry to see that no name is taken."""
        return self.collect()

    def _login(self, method: LoginMethod, outcome: str) -> None:
        counts = self._counts
        counts[f"sftpgo_login_{outcome}_total"] += 1
        counts[f"sftpgo_{method}_login_{outcome}_total"] += 1


def _counter(name: str, text: str, value: int) -> Metric:
    if name in _UNSUFFIXED:
        # The library cannot say "counter" without adding the suffix; L{Metrics.exposition} says it.
        return UnknownMetricFamily(name, text, value)
    return CounterMetricFamily(name, text, value)


def _accepts_gzip(header: str) -> bool:
    for item in header.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding in ("gzip", "x-gzip"):
            return not any(parameter.replace(" ", "").rstrip("0.") == "q=" for parameter in parameters)
    return False
