"""The HTTP server put together from the configuration: who may ask, over what, and what is there to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.protocols.tls import TLSMemoryBIOFactory

from sftpgo.accounts import Accounts
from sftpgo.backups import Backups
from sftpgo.config.load import Loaded, resolve
from sftpgo.config.model import HTTPD
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.errors import StartupError
from sftpgo.explain import Explainer
from sftpgo.htpasswd import HtpasswdFile, matches
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.scans import Scans
from sftpgo.tls import Certificate
from sftpgo.version import VersionInfo
from sftpgo.web.authenticate import Authentication
from sftpgo.web.gate import hosts_for
from sftpgo.web.proxies import Proxies
from sftpgo.web.site import Served, build_site
from sftpgo.web.templates import Templates


def require_guarded(settings: HTTPD, addresses: Sequence[str]) -> None:
    """Refuse settings with which anybody could manage users, or half of a certificate; raises L{StartupError}."""
    if not (settings.auth_user_file or settings.allow_unauthenticated or own_hosts(addresses)):
        reached = " or ".join(filter(None, addresses)) or "this machine"
        raise StartupError(
            f"httpd.bind_address: whoever reaches {reached} could manage users; "
            "set httpd.auth_user_file, or httpd.allow_unauthenticated to true"
        )
    if bool(settings.certificate_file) != bool(settings.certificate_key_file):
        raise StartupError("httpd.certificate_file, httpd.certificate_key_file: one needs the other")


@attrs.define(eq=False)
class HTTPFace:
    """The HTTP server of one configuration.

    @ivar provider: an L{IDataProvider}.
    @ivar run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    @ivar clock: seconds since the epoch.
    """

    loaded: Loaded
    reactor: Any
    accounts: Accounts
    provider: Any
    registry: ConnectionRegistry
    scans: Scans
    metrics: Metrics
    run_in_thread: Callable[..., Any]
    clock: Callable[[], float]
    _log: Log = attrs.field(init=False, factory=lambda: Log("httpd"))
    _addresses: Sequence[str] = attrs.field(init=False, default=())
    _site: Any = attrs.field(init=False, default=None)
    _authentication: Authentication | None = attrs.field(init=False, default=None)
    _certificate: Certificate | None = attrs.field(init=False, default=None)

    @property
    def guarded(self) -> bool:
        """Whether a request has to bring name and password, or TLS."""
        settings = self.loaded.config.httpd
        return bool(settings.auth_user_file or settings.certificate_file)

    async def prepare(self, addresses: Sequence[str]) -> tuple[Any, str]:
        """Read what has to be read; returns the factory of connections, and the name of what they speak.

        @param addresses: what it is going to listen on.
        @raise StartupError: when a file cannot be used, or anybody could manage users.
        """
        settings = self.loaded.config.httpd
        require_guarded(settings, addresses)
        self._addresses = addresses
        users = await self._users(self.loaded)
        if users is not None:
            self._authentication = Authentication(users, matches, self.run_in_thread, self.reactor.seconds, self._log)
        templates = Templates(self._path(settings.templates_path))
        for name in await self.run_in_thread(templates.load):
            self._log.warn(f"{settings.templates_path}/{name} is a template of the original: the server's own is used")
        self._site = self._make_site(templates)
        self._certificate = await self._load_certificate(self.loaded)
        if self._certificate is None:
            return self._site, "HTTP"
        return TLSMemoryBIOFactory(self._certificate, False, self._site), "HTTPS"

    async def renew(self, loaded: Loaded) -> Callable[[], None]:
        """Read what a changed configuration names; returns what puts it to use, without fail.

        Whether there is a certificate, and whether there is a file of users, stays as it was.

        @raise StartupError: when a file cannot be used.
        """
        if self._site is None:
            return lambda: None
        users = await self._users(loaded)
        certificate = await self._load_certificate(loaded)

        def use() -> None:
            self.loaded = loaded
            self._site.resource.answer_to(self._hosts())
            self._site.proxies = Proxies(loaded.config.httpd.proxy_allowed)
            if self._authentication is not None and users is not None:
                self._authentication.read_from(users)
            if self._certificate is not None and certificate is not None:
                self._certificate.become(certificate)
                self._log.info("the certificate has been loaded again")

        return use

    def _path(self, name: str) -> str:
        return resolve(self.loaded.config_dir, name)

    def _hosts(self) -> frozenset[str] | None:
        """The names that this server may be called by; None for any."""
        hosts = own_hosts(self._addresses)
        allowed = self.loaded.config.httpd.allowed_hosts
        return frozenset(allowed) | (hosts or frozenset()) if allowed else hosts

    async def _users(self, loaded: Loaded) -> HtpasswdFile | None:
        path = resolve(loaded.config_dir, loaded.config.httpd.auth_user_file)
        if not path:
            return None
        warn = self._log.warn
        users = HtpasswdFile(path, lambda text: self.reactor.callFromThread(warn, text))
        await self.run_in_thread(users.load)
        return users

    async def _load_certificate(self, loaded: Loaded) -> Certificate | None:
        settings = loaded.config.httpd
        if not settings.certificate_file:
            return None
        chain, key = (
            resolve(loaded.config_dir, name) for name in (settings.certificate_file, settings.certificate_key_file)
        )
        certificate = Certificate(chain, key)
        await self.run_in_thread(certificate.load)
        return certificate

    def _make_site(self, templates: Templates) -> Any:
        settings = self.loaded.config.httpd
        track_quota = bool(self.loaded.config.data_provider.track_quota)
        backups = Backups(
            self._path(settings.backups_path), self.accounts, self.provider, self.scans, self.run_in_thread
        )
        explainer = Explainer(self.provider, self.run_in_thread, self.clock, quota=track_quota)
        return build_site(
            Served(self.accounts, self.provider, self.registry, self.scans, backups, self.metrics, explainer),
            run_in_thread=self.run_in_thread,
            version=VersionInfo(),
            log=self._log,
            clock=self.reactor,
            allowed_hosts=self._hosts(),
            authentication=self._authentication,
            proxies=Proxies(settings.proxy_allowed),
            templates=templates,
            static_files_path=self._path(settings.static_files_path),
        )


def own_hosts(addresses: Sequence[str]) -> frozenset[str] | None:
    """The names by which a server on these addresses may be called; None for any: not only this machine reaches it."""
    names: frozenset[str] = frozenset()
    for address in addresses:
        hosts = hosts_for(address)
        if hosts is None:
            return None
        names |= hosts
    return names
