"""A site with everything real behind it but the socket, and what a client needs to talk to it."""

from __future__ import annotations

import http.client
import io
import json
import tempfile
from typing import Any
from urllib.parse import urlencode

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.web.server import Site

from sftpgo.accounts import Accounts
from sftpgo.backups import Backups
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.user import User
from sftpgo.explain import Explainer
from sftpgo.log import Log
from sftpgo.log.records import HTTP
from sftpgo.metrics import Metrics
from sftpgo.passwords import Passwords
from sftpgo.scans import Progress, Scans
from sftpgo.ssh import authorized_keys
from sftpgo.storage.confined import Home
from sftpgo.storage.usage import Usage, scan
from sftpgo.version import VersionInfo
from sftpgo.web.site import Served, build_site
from sftpgo.web.templates import Templates
from tests.web import schema

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG0Gg8TSuRnWX44mHuzXFXAvhaO4q9566TZpLM+1O5I1 a <b>&c"
HASH = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcfYEdFCoEOfaS35inz1"
HOST = "127.0.0.1:18080"
CLIENT = IPv4Address("TCP", "127.0.0.1", 58538)
SERVER = IPv4Address("TCP", "127.0.0.1", 18080)

#: Compiled once, for all sites.
TEMPLATES = Templates()


def user(**fields: Any) -> dict[str, Any]:
    """The body of a request that adds a user; C{fields} override."""
    body: dict[str, Any] = {
        "username": "alice",
        "password": HASH,
        "home_dir": "/srv/alice",
        "permissions": {"/": ["*"]},
    }
    return body | fields


@attrs.frozen
class Reply:
    """One answer as it came over the wire."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Received(io.BytesIO):
    """What came from a server: answers, one behind the other."""

    def makefile(self, *_args: object) -> Received:
        return self

    def close(self) -> None:
        """Nothing: each answer believes that it is the last one."""

    def reply(self, method: str = "GET") -> Reply:
        """The next answer, to a request of this method."""
        response = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]
        response.begin()
        return Reply(response.status, response.headers, response.read())


class Wire(StringTransport):
    """A connection in memory, which tells when the server has closed it."""

    def __init__(self, site: Site, client: Any = CLIENT) -> None:
        super().__init__(hostAddress=SERVER, peerAddress=client)
        self.aborted = False
        self.closed: Deferred[None] = Deferred()
        self.protocol: Any = site.buildProtocol(client)
        self.protocol.makeConnection(self)

    def send(self, data: bytes) -> bytes:
        """Deliver bytes to the server; returns what it has answered so far."""
        self.protocol.dataReceived(data)
        return self.value()

    def hang_up(self) -> None:
        """Be gone."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def loseConnection(self) -> None:
        already, self.disconnecting = self.disconnecting, True
        if not already:
            self.closed.callback(None)

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


def head(method: str, path: str, headers: dict[str, str] | None = None) -> bytes:
    """A request's first lines, to the empty one."""
    fields = {"Host": HOST, "User-Agent": "curl/7.88.1"} | (headers or {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode()


class Server:
    """A site and what it told its log.

    @ivar lines: the http lines; C{events}: everything.
    """

    def __init__(self, provider: Any = None, clock: Any = None, *, passwords: Any = None, **options: Any) -> None:
        self.events: list[LogEvent] = []
        self.clock = clock or Clock()
        self.provider = provider or MemoryProvider()
        manage_users = options.pop("manage_users", True)
        self.accounts = Accounts(
            self.provider,
            # In this thread: the tests are synchronous, and hash only when they are about hashing.
            passwords or Passwords(maybeDeferred, workers=1),
            check_key=authorized_keys.check,
            manage_users=manage_users,
        )
        log = Log("httpd", self.events.append)
        run_in_thread = self._run_in_thread = options.pop("run_in_thread", maybeDeferred)
        self.registry = ConnectionRegistry()
        self.metrics = Metrics()
        self.scans = Scans(
            self._rescan,
            run_in_thread,
            self.clock.seconds,
            log,
            enabled=options.pop("track_quota", True),
        )
        # Made by those tests only that dump.
        self.backups_path = options.pop("backups_path", tempfile.gettempdir() + "/no-backups")
        backups = Backups(self.backups_path, self.accounts, self.provider, self.scans, run_in_thread)
        explainer = Explainer(self.provider, run_in_thread, self.clock.seconds)
        self.site = build_site(
            Served(self.accounts, self.provider, self.registry, self.scans, backups, self.metrics, explainer),
            **{
                "run_in_thread": run_in_thread,
                "version": VersionInfo("1.2.3", "2020-01-01", "abc"),
                "log": log,
                "clock": self.clock,
                "hostname": "box",
                "bind_address": "127.0.0.1",
                "templates": TEMPLATES,
            }
            | options,
        )

    async def _rescan(self, user: User, home: Home, progress: Progress) -> Usage:
        usage: Usage = await self._run_in_thread(scan, home, progress)
        await self.provider.update_quota(user.username, usage.files, usage.size, 1, True)
        return usage

    @property
    def lines(self) -> list[LogEvent]:
        return [event for event in self.events if event.get("record") is HTTP]

    async def post(self, path: str, fields: object, headers: dict[str, str] | None = None) -> Reply:
        """A form, as a browser sends it."""
        form = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
        return await self.call("POST", path, urlencode(fields, doseq=True).encode(), form)  # type: ignore[arg-type]

    async def call(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own; a C{body} that is not bytes goes as JSON."""
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Connection": "close"} | (headers or {})
        if content:
            fields["Content-Length"] = str(len(content))
        wire = Wire(self.site)
        wire.send(head(method, path, fields) + content)
        await wire.closed
        wire.hang_up()
        reply = Received(wire.value()).reply(method)
        # Whatever a test asks, it is answered as the description of the API says.
        fault = schema.violation(method, path, reply.status, reply.headers.get("Content-Type", ""), reply.body)
        if fault:
            raise AssertionError(f"{method} {path}: {fault}")
        return reply
