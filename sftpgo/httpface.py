"""The HTTP server put together from the configuration: who may ask, over what, and what is there to be asked."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.protocols.tls import TLSMemoryBIOFactory

from sftpgo.accounts import Accounts
from sftpgo.backups import Backups
from sftpgo.config.load import Loaded, resolve
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.errors import StartupError
from sftpgo.explain import Explainer
from sftpgo.htpasswd import HtpasswdFile, matches
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.scans import Scans
from sftpgo.signals import Signals
from sftpgo.tls import Certificate
from sftpgo.version import VersionInfo
from sftpgo.web.authenticate import Authentication
from sftpgo.web.gate import hosts_for
from sftpgo.web.proxies import Proxies
from sftpgo.web.site import build_site
from sftpgo.web.templates import Templates


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
    _signals: Signals | None = attrs.field(init=False, default=None)

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
        if not (settings.auth_user_file or settings.allow_unauthenticated or own_hosts(addresses)):
            reached = " or ".join(filter(None, addresses)) or "this machine"
            raise StartupError(
                f"httpd.bind_address: whoever reaches {reached} could manage users; "
                "set httpd.auth_user_file, or httpd.allow_unauthenticated to true"
            )
        if bool(settings.certificate_file) != bool(settings.certificate_key_file):
            raise StartupError("httpd.certificate_file, httpd.certificate_key_file: one needs the other")
        authentication = await self._authentication()
        templates = Templates(self._path(settings.templates_path))
        await self.run_in_thread(templates.load)
        site = self._site(authentication, templates, own_hosts(addresses))
        if not settings.certificate_file:
            return site, "HTTP"
        return TLSMemoryBIOFactory(await self._certificate(), False, site), "HTTPS"

    def close(self) -> None:
        """Let go of what L{prepare} took."""
        if self._signals is not None:
            self._signals.restore()

    def _path(self, name: str) -> str:
        return resolve(self.loaded.config_dir, name)

    async def _authentication(self) -> Authentication | None:
        settings = self.loaded.config.httpd
        if not settings.auth_user_file:
            return None
        warn = self._log.warn
        users = HtpasswdFile(self._path(settings.auth_user_file), lambda text: self.reactor.callFromThread(warn, text))
        await self.run_in_thread(users.load)
        return Authentication(users, matches, self.run_in_thread, self.reactor.seconds, self._log)

    async def _certificate(self) -> Certificate:
        settings = self.loaded.config.httpd
        certificate = Certificate(self._path(settings.certificate_file), self._path(settings.certificate_key_file))
        await self.run_in_thread(certificate.load)

        def reload() -> None:
            loading = self.run_in_thread(certificate.load)
            loading.addCallbacks(
                lambda _: self._log.info("the certificate has been loaded again"),
                lambda failure: self._log.error(f"the certificate stays as it is: {failure.getErrorMessage()}"),
            )

        self._signals = Signals(self.reactor, reload, signal.SIGHUP)
        return certificate

    def _site(self, authentication: Authentication | None, templates: Templates, hosts: frozenset[str] | None) -> Any:
        settings = self.loaded.config.httpd
        track_quota = bool(self.loaded.config.data_provider.track_quota)
        backups = Backups(
            self._path(settings.backups_path), self.accounts, self.provider, self.scans, self.run_in_thread
        )
        if settings.allowed_hosts:
            hosts = frozenset(settings.allowed_hosts) | (hosts or frozenset())
        return build_site(
            self.accounts,
            self.provider,
            self.registry,
            self.scans,
            backups,
            self.metrics,
            Explainer(self.provider, self.run_in_thread, self.clock, quota=track_quota),
            run_in_thread=self.run_in_thread,
            version=VersionInfo(),
            log=self._log,
            clock=self.reactor,
            allowed_hosts=hosts,
            authentication=authentication,
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
