"""The composition root: wires every part into one Twisted service, and the way to embed the server.

A Twisted program that wants SFTP beside what it does needs no more than this::

    from sftpgo.config.load import load
    from sftpgo.service import build

    server = build(load("/etc/sftpgo", environ={}), reactor)
    server.setServiceParent(application)

"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from twisted.application.service import MultiService
from twisted.conch.ssh.keys import Key
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogBeginner

from sftpgo.accounts import Accounts
from sftpgo.actions.hooks import UserHooks
from sftpgo.config.load import Loaded
from sftpgo.config.model import Config
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.waiting import started
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.user import User
from sftpgo.draining import Drain
from sftpgo.errors import ProviderError, SFTPGoError, StartupError
from sftpgo.health import HealthCheck
from sftpgo.httpface import HTTPFace
from sftpgo.interfaces import IDataProvider
from sftpgo.listening import Addresses, Ports, Where, http_bindings, sftp_bindings
from sftpgo.log import Log, Logging, LogSettings, start_logging
from sftpgo.metrics import Metrics
from sftpgo.passwords import Passwords
from sftpgo.scans import Progress, Scans
from sftpgo.signals import Signals
from sftpgo.ssh import authorized_keys, tcp
from sftpgo.ssh.entrance import Entrance, Proxies
from sftpgo.ssh.factory import ServerFactory
from sftpgo.sshface import SSHFace
from sftpgo.storage.confined import Home
from sftpgo.storage.support import detect
from sftpgo.storage.usage import Usage
from sftpgo.transfers import Transfers
from sftpgo.version import VersionInfo
from sftpgo.welcome import welcome_text

__all__ = ["Addresses", "SFTPGoService", "build"]


def build(
    loaded: Loaded,
    reactor: Any,
    *,
    log_settings: LogSettings | None = None,
    failed: Callable[[BaseException], None] | None = None,
    log_beginner: LogBeginner | None = None,
    welcome: TextIO | None = None,
    provider: Any = None,
    clock: Callable[[], float] = time.time,
    wait: float = 0.0,
) -> SFTPGoService:
    """Put the server together; nothing is opened before the service starts.

    @param log_settings: where to log; None leaves logging to the program around.
    @param log_beginner: given by a program that has not begun logging yet; C{twistd} has.
    @param failed: told why the server could not start; without it the error is only logged.
    @param welcome: where people are told that the server is up, and what to do next.
    @param provider: somebody's own L{IDataProvider}, in place of the configured one.
    @param wait: seconds to wait for a database that is not there yet.
    @raise StartupError: when the configuration names something that is not there.
    """
    if provider is None:
        provider = select_provider(
            loaded.config.data_provider, loaded.config_dir, reactor=reactor, warn=Log("dataProvider").warn
        )
    return SFTPGoService(
        loaded, reactor, IDataProvider(provider), clock, log_settings, log_beginner, failed, welcome, wait
    )


class SFTPGoService(MultiService):
    """The running server.  L{build} makes one.

    @ivar started: fires with the L{Addresses} once the server accepts connections, or with the reason why not.
    @ivar registry: the live connections.
    @ivar accounts: the users as REST manages them.
    """

    def __init__(
        self,
        loaded: Loaded,
        reactor: Any,
        provider: Any,
        clock: Callable[[], float],
        log_settings: LogSettings | None,
        log_beginner: LogBeginner | None,
        failed: Callable[[BaseException], None] | None,
        welcome: TextIO | None,
        wait: float = 0.0,
    ) -> None:
        super().__init__()
        self.setName("sftpgo")
        self.loaded = loaded
        self.provider = provider
        self.registry = ConnectionRegistry()
        self._reactor = reactor
        self._clock = clock
        self._log_settings = log_settings
        self._log_beginner = log_beginner
        self._failed = failed
        self._welcome = welcome
        self._wait = wait
        self._log = Log("service")
        self._logging: Logging | None = None
        self._signals: Signals | None = None
        self._ports = Ports(reactor, self.run_in_thread, self._log)
        self._drain = Drain(reactor, self.registry, self._log)
        self._factory: ServerFactory | None = None
        self._starting: Deferred[None] | None = None
        self.started: Deferred[Addresses] = Deferred()
        settings = loaded.config.data_provider
        self.passwords = Passwords(self.run_in_thread, workers=os.cpu_count() or 1)
        self.metrics = Metrics()
        self.user_hooks = UserHooks(
            settings.actions, reactor, log=Log("actions"), on_failure=lambda _: self.metrics.action_failed()
        )
        self.accounts = Accounts(
            provider,
            self.passwords,
            check_key=authorized_keys.check,
            users_base_dir=settings.users_base_dir,
            manage_users=bool(settings.manage_users),
            changed=self.user_hooks.user_changed,
        )
        self.health = HealthCheck(provider, reactor, Log("dataProvider"), self.metrics.set_availability)
        self.metrics.active_connections(self.registry.active)
        self.transfers: Transfers | None = None
        self.scans = Scans(self._rescan, self.run_in_thread, clock, Log("httpd"), enabled=bool(settings.track_quota))
        self._ssh = SSHFace(reactor, provider, self.passwords, self.registry, self.metrics, self.run_in_thread, clock)
        self._http = HTTPFace(
            loaded,
            reactor,
            self.accounts,
            provider,
            self.registry,
            self.scans,
            self.metrics,
            self.run_in_thread,
            clock,
        )

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Call something that may wait, off the reactor."""
        pool = self._reactor.getThreadPool()
        result: Deferred[Any] = deferToThreadPool(self._reactor, pool, function, *args)
        return result

    async def _rescan(self, user: User, home: Home, progress: Progress) -> Usage:
        if self.transfers is None:
            raise ProviderError("the server is not running")
        return await self.transfers.shared.ledgers.rescan(user, home, progress)

    # Starting.

    def startService(self) -> None:
        """Begin to start; L{started} tells the outcome."""
        super().startService()
        self._starting = Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        try:
            addresses = await self._bring_up()
        except Exception as error:
            self._log.error(f"the server could not start: {_reason(error)}")
            await self._take_down(0.0)
            if not self.running:
                self.started.addErrback(lambda _failure: None)  # stopped before it was up: nobody is surprised
            elif self._failed is not None:
                self.started.addErrback(lambda _failure: None)
                self._failed(StartupError(_reason(error)))
            self.started.errback(error)
        else:
            self._announce(addresses)
            self.started.callback(addresses)

    async def _bring_up(self) -> Addresses:
        config = self.loaded.config
        if self._log_settings is not None:
            self._logging = start_logging(
                self._log_settings,
                clock=self._reactor,
                now=self._clock,
                run_in_thread=self.run_in_thread,
                stdout=sys.__stdout__ or sys.stdout,
                beginner=self._log_beginner,
            )
            self._signals = Signals(self._reactor, self._logging.reopen)
        for warning in self.loaded.warnings:
            self._log.warn(warning)
        self._log.info(f"starting sftpgo {VersionInfo()}, configuration: {self.loaded.path or 'built-in defaults'}")
        self._log.info(detect().describe())
        os.umask(config.sftpd.umask_value)
        await started(self.provider, self._wait, clock=self._reactor, said=self._log.warn)
        self.health.start()
        for problem in await self.run_in_thread(self.user_hooks.check):
            self._log.warn(problem)
        self.transfers = Transfers(
            self.loaded, self.provider, self.registry, self._reactor, self._clock, self.run_in_thread, self.metrics
        )
        self._factory = await self._ssh.prepare(self.loaded, self.transfers)
        addresses = await self._listen(config, self._factory)
        self.transfers.start()
        return addresses

    async def _listen(self, config: Config, factory: ServerFactory) -> Addresses:
        sftp: list[Where] = []
        for binding in sftp_bindings(config.sftpd):
            mode = config.sftpd.proxy_protocol if binding.proxy_protocol is None else binding.proxy_protocol
            entrance = Entrance(factory, mode, Proxies(config.sftpd.proxy_allowed))
            sftp += await self._ports.listen("SFTP", binding, entrance, tcp.adopt)
        http: list[Where] = []
        for binding in http_bindings(config.httpd):
            site, protocol = await self._http.prepare(binding.addresses)
            http += await self._ports.listen(protocol, binding, site)
        return Addresses(tuple(sftp), tuple(http))

    def _announce(self, addresses: Addresses) -> None:
        if self._welcome is None or self._factory is None:
            return
        keys = self._factory.privateKeys
        told: Deferred[None] = Deferred.fromCoroutine(self._tell(self._welcome, addresses, keys))
        told.addErrback(lambda failure: self._log.failure("the welcome could not be written", failure))

    async def _tell(self, stream: TextIO, addresses: Addresses, keys: dict[bytes, Key]) -> None:
        if self._log_settings is not None and not self._log_settings.path:
            return  # standard output is the log's
        try:
            # Guarded, the server would want more than the plain command.
            newcomer = not self._http.guarded and not await self.provider.users(1, 0)
        except ProviderError:
            newcomer = False
        stream.write(
            welcome_text(addresses.sftp_all, addresses.http_all, keys, self.loaded.config_dir, newcomer=newcomer)
        )
        stream.flush()

    # Stopping.

    def stopService(self) -> Deferred[None]:
        """Accept nobody new, let transfers end for the grace time, close everything."""
        stopped = super().stopService()
        grace = float(self.loaded.config.sftpd.grace_time)
        down: Deferred[None] = Deferred.fromCoroutine(self._take_down(grace))
        return gatherResults([d for d in (stopped, down) if d is not None]).addCallback(lambda _: None)

    async def _take_down(self, grace: float) -> None:
        if self._starting is not None and not self.started.called and grace:
            self._starting.cancel()
        await self._ports.close()
        if self._factory is not None:
            await self._drain.connections(self._factory.transports, grace)
        await self.scans.stop()
        if self.transfers is not None:
            await self.transfers.stop(grace)
        await self.user_hooks.stop(grace)
        self.health.stop()
        await self.provider.stop()
        self._http.close()
        if self._signals is not None:
            self._signals.restore()
        if grace:
            self._log.info("the server has stopped")
        logging, self._logging = self._logging, None
        if logging is not None and grace:
            logging.close()


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SFTPGoError) else f"{type(error).__name__}: {error}"
