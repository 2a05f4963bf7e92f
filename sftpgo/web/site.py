"""The HTTP server put together: C{reactor.listenTCP(port, build_site(...))} is all that is left to do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from io import BytesIO
from typing import Any

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Site

from sftpgo.disks import Disks
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.interfaces import IAccounts, IBackups, IDataProvider, IExplainer, IScans
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.version import VersionInfo
from sftpgo.web.activity import Activity
from sftpgo.web.apidocs import APIDocs
from sftpgo.web.authenticate import Authentication
from sftpgo.web.channel import IDLE_TIMEOUT, Channel
from sftpgo.web.connections import Connections
from sftpgo.web.connectionspage import ConnectionsPage
from sftpgo.web.entrance import Entrance
from sftpgo.web.events import Events
from sftpgo.web.explain import Explain
from sftpgo.web.gate import Gate, hosts_for
from sftpgo.web.login import Login
from sftpgo.web.maintenance import Maintenance
from sftpgo.web.metrics import MetricsPage, RunInThread
from sftpgo.web.pages import Pages
from sftpgo.web.proxies import Proxies
from sftpgo.web.quota import QuotaScans
from sftpgo.web.redirects import Redirects
from sftpgo.web.request import Request, text
from sftpgo.web.requestid import RequestIds
from sftpgo.web.routes import Route, tree
from sftpgo.web.sessions import Sessions
from sftpgo.web.statics import Statics
from sftpgo.web.status import ProviderStatus, Status
from sftpgo.web.statuspage import StatusPage
from sftpgo.web.templates import Templates
from sftpgo.web.useractions import UserActions
from sftpgo.web.userlist import UserList
from sftpgo.web.userpages import UserPages
from sftpgo.web.users import Users
from sftpgo.web.version import Version


@attrs.frozen
class Served:
    """What the site shows and manages."""

    accounts: IAccounts
    provider: IDataProvider
    registry: ConnectionRegistry
    scans: IScans
    backups: IBackups
    metrics: Metrics
    explainer: IExplainer


def build_site(
    served: Served,
    *,
    run_in_thread: RunInThread,
    version: VersionInfo,
    log: Log,
    clock: IReactorTime,
    bind_address: str = "",
    allowed_hosts: Collection[str] | None = None,
    authentication: Authentication | None = None,
    proxies: Proxies | None = None,
    hostname: str | None = None,
    templates: Templates,
    static_files_path: str = "",
) -> APISite:
    """The REST API and the pages as a factory of connections.

    @param run_in_thread: calls a function off the reactor and gives what can be awaited for its result.
    @param clock: for the time requests take, and for time limits.
    @param bind_address: what the site is going to listen on: on a loopback address only the names of the loopback
        interface are answered, so that no foreign name can be rebound to it.
    @param allowed_hosts: the names, without ports, that are answered instead; IPv6 addresses in brackets.
    @param authentication: who may ask at all; C{None} for everybody.
    @param proxies: who is believed what it says of its clients; nobody when not given.
    @param hostname: of this machine, for request ids.
    @param templates: of the pages, loaded already.
    @param static_files_path: a directory whose files stand in for those that the pages are made with.
    """
    changes = DeferredLock()
    activity = Activity(served.registry, served.metrics, clock)
    events = Events(served.registry, activity, clock)
    disks = Disks(served.provider, run_in_thread, clock, log)
    status = Status(served.provider, activity, disks, version, clock)
    pages = Pages(templates, version, run_in_thread)
    sessions = Sessions(clock.seconds)
    routes = (
        *_for_programs(served, changes, log),
        *status.routes(),
        *events.routes(),
        *Version(version).routes(),
        *MetricsPage(served.metrics, run_in_thread).routes(),
        *APIDocs(run_in_thread).routes(),
        *Statics(run_in_thread, static_files_path).routes(),
        *Login(authentication, sessions, pages).routes(),
        *StatusPage(status, pages).routes(),
        *_for_people(served, changes, pages, clock),
    )
    hosts = hosts_for(bind_address) if allowed_hosts is None else allowed_hosts
    guard = None if authentication is None else Entrance(authentication, sessions, pages)
    failed = pages.answer_to_failure
    gate = Gate(tree(routes, log, failed), hosts, log, guard, failed)
    request_ids = RequestIds(hostname or socket.gethostname())
    site = APISite(gate, log=log, clock=clock, request_ids=request_ids, answered=served.metrics.http_request)
    site.routes = routes
    site.proxies = proxies or Proxies()
    site.starting = (activity.start, disks.start)
    site.stopping = (events.stop, activity.stop, disks.stop)
    return site


def _for_programs(served: Served, changes: DeferredLock, log: Log) -> tuple[Route, ...]:
    """The REST API, but for what tells of the server itself."""
    return (
        *Users(served.accounts, changes).routes(),
        *Connections(served.registry).routes(),
        *QuotaScans(served.accounts, served.scans).routes(),
        *Maintenance(served.backups, changes, log).routes(),
        *ProviderStatus(served.provider).routes(),
        *Explain(served.explainer).routes(),
    )


def _for_people(served: Served, changes: DeferredLock, pages: Pages, clock: IReactorTime) -> tuple[Route, ...]:
    """The pages of users and connections."""
    return (
        *Redirects().routes(),
        *ConnectionsPage(served.registry, pages, clock).routes(),
        *UserList(served.accounts, served.scans, pages, clock).routes(),
        *UserPages(served.accounts, changes, pages).routes(),
        *UserActions(served.accounts, served.scans, changes, pages).routes(),
    )


class APISite(Site):
    """Twisted's site with our requests, our limits and our log.

    @ivar clock: tells the time in seconds.
    @ivar log_face: where requests are told of.
    @ivar routes: what it answers.
    @ivar proxies: who is believed what it says of its clients.
    @ivar starting: called when it is listened to; C{stopping}: called when it no longer is.
    @param answered: told of the status of each answer.
    """

    protocol = Channel  # type: ignore[assignment]  # declared as the wrapper that adds HTTP/2

    def __init__(
        self,
        root: IResource,
        *,
        log: Log,
        clock: IReactorTime,
        request_ids: RequestIds,
        answered: Callable[[int], None],
    ) -> None:
        super().__init__(
            root, requestFactory=Request, timeout=IDLE_TIMEOUT, reactor=clock, parsePOSTFormSubmission=False
        )
        self.clock = clock
        self.log_face = log
        self._request_ids = request_ids
        self._answered = answered
        self.routes: tuple[Route, ...] = ()
        self.proxies = Proxies()
        self.starting: tuple[Callable[[], None], ...] = ()
        self.stopping: tuple[Callable[[], None], ...] = ()

    def startFactory(self) -> None:
        """Begin what runs by itself.

        Twisted would open an access log of its own here, and wake up every second for its time stamps.
        """
        for start in self.starting:
            start()

    def stopFactory(self) -> None:
        """End what would never end by itself; called when nobody new is listened to."""
        for stop in self.stopping:
            stop()

    def acceptableProtocols(self) -> list[bytes]:
        """What to agree on over TLS: our connections speak HTTP/1.1 only."""
        return [b"http/1.1"]

    def getContentFile(self, _length: int | None) -> BytesIO:
        """Where a body is kept: in memory, for it is bounded, and a file would block."""
        return BytesIO()

    def log(self, request: Any) -> None:
        """Tell of an answered request; Twisted calls this when the answer is complete."""
        self.tell(request, request.code)

    def tell(self, request: Request, status: int) -> None:
        """Count a request and write its line."""
        self._answered(status)
        header = request.getHeader
        self.log_face.http(
            method=text(request.method),
            proto=text(request.clientproto),
            remote_addr=request.peer(),
            request_id=self._request_ids.id_for(header(b"x-request-id")),
            uri=request.absolute_uri(),
            user_agent=text(header(b"user-agent") or b""),
            resp_status=status,
            resp_size=request.sentLength,
            elapsed_ms=max(0, round((self.clock.seconds() - request.started) * 1000)),
        )
