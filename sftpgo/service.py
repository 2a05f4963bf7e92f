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
from functools import partial
from typing import Any, TextIO

import attrs
from twisted.application.service import MultiService
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogBeginner

from sftpgo.accounts import Accounts
from sftpgo.actions.hooks import UserHooks
from sftpgo.avatars.checkers import PasswordChecker, PublicKeyChecker
from sftpgo.avatars.commands import Commands
from sftpgo.avatars.events import AuthenticationLog
from sftpgo.avatars.realm import Realm
from sftpgo.avatars.system import NAMES, SystemCommands
from sftpgo.avatars.usagewatch import QuotaKeeper
from sftpgo.config.load import Loaded, resolve
from sftpgo.config.model import HTTPD
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.waiting import started
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.user import User
from sftpgo.errors import ProviderError, SFTPGoError, StartupError
from sftpgo.health import HealthCheck
from sftpgo.httpface import HTTPFace
from sftpgo.interfaces import IDataProvider
from sftpgo.log import Log, Logging, LogSettings, start_logging
from sftpgo.metrics import Metrics
from sftpgo.passwords import Passwords
from sftpgo.scans import Progress, Scans
from sftpgo.signals import Signals
from sftpgo.ssh import authorized_keys, hostkeys, tcp
from sftpgo.ssh.algorithms import choose_algorithms
from sftpgo.ssh.factory import ServerFactory
from sftpgo.ssh.settings import OneAtATime, Settings
from sftpgo.storage.confined import Home
from sftpgo.storage.support import detect
from sftpgo.storage.usage import Usage
from sftpgo.transfers import Transfers
from sftpgo.version import VersionInfo
from sftpgo.welcome import welcome_text

_CLOSE_STEP = 0.1
_LAST_WORDS = 2.0


@attrs.frozen
class Addresses:
    """Where the running server listens: (host, port), or None when it does not."""

    sftp: tuple[str, int]
    http: tuple[str, int] | None


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
        self._ports: list[Any] = []
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
        host_keys = await self._host_keys()
        self.transfers = Transfers(
            self.loaded, self.provider, self.registry, self._reactor, self._clock, self.run_in_thread, self.metrics
        )
        self._factory = self._ssh_factory(host_keys, self.transfers)
        sshd = config.sftpd
        listen = partial(tcp.listen, self._reactor)
        sftp = self._listen(listen, sshd.bind_port, self._factory, sshd.bind_address, "SFTP", "sftpd")
        http = None
        if config.httpd.bind_port:
            http = await self._listen_http(config.httpd)
        self.transfers.start()
        return Addresses(sftp, http)

    async def _host_keys(self) -> dict[bytes, Key]:
        configured = [resolve(self.loaded.config_dir, key.private_key) for key in self.loaded.config.sftpd.keys]
        try:
            if configured:
                keys: dict[bytes, Key] = await self.run_in_thread(hostkeys.load, configured)
                return keys
            keys, made = await self.run_in_thread(hostkeys.load_or_generate, self.loaded.config_dir)
        except hostkeys.HostKeyError as error:
            raise StartupError(str(error)) from error
        for path in made:
            self._log.info(f"host key generated: {path}")
        return keys

    def _ssh_factory(self, host_keys: dict[bytes, Key], transfers: Transfers) -> ServerFactory:
        settings = self.loaded.config.sftpd
        log = Log("sftpd")
        realm = Realm(
            self.provider,
            self.registry,
            log,
            self._clock,
            self.run_in_thread,
            transfers.shared,
            setstat_ignored=settings.setstat_mode == 1,
            commands=self._commands(transfers),
        )
        portal = Portal(
            realm,
            [
                PasswordChecker(self.provider, self.passwords, self._clock),
                PublicKeyChecker(self.provider, self._clock),
            ],
        )
        return ServerFactory(
            portal,
            host_keys,
            AuthenticationLog(log, self.metrics),
            self._reactor,
            self._wire_settings(),
            login_banner=self._login_banner(),
            max_auth_tries=settings.max_auth_tries,
            max_unauthenticated=settings.max_unauthenticated,
        )

    def _wire_settings(self) -> Settings:
        settings = self.loaded.config.sftpd
        try:
            algorithms = choose_algorithms(settings.kex_algorithms, settings.ciphers, settings.macs)
        except ValueError as error:
            raise StartupError(f"sftpd.{error}") from error
        if not settings.keys:
            # A key on NIST's curve is made for those who name it; nobody has to use it beside an Ed25519 key.
            offered = tuple(name for name in algorithms.host_signatures if not name.startswith(b"ecdsa-"))
            algorithms = attrs.evolve(algorithms, host_signatures=offered)
        banner = settings.banner or f"SFTPGo_{VersionInfo().version}"
        return Settings(
            version=b"SSH-2.0-" + banner.encode("ascii"),
            algorithms=algorithms,
            run_slow=OneAtATime(self.run_in_thread),
            login_timeout=settings.login_timeout,
        )

    def _commands(self, transfers: Transfers) -> Commands:
        settings = self.loaded.config.sftpd
        system = SystemCommands(self._reactor, unconfined=settings.system_commands_without_confinement)
        warning = system.describe()
        if warning and not NAMES.isdisjoint(settings.allowed_commands):
            self._log.warn(warning)
        return Commands(
            settings.allowed_commands,
            self._reactor,
            system,
            QuotaKeeper(self.loaded.config.data_provider.track_quota, transfers.shared.ledgers.rescan),
            on_command_done=transfers.command_done,
        )

    def _login_banner(self) -> bytes:
        name = self.loaded.config.sftpd.login_banner_file
        if not name:
            return b""
        try:
            with open(resolve(self.loaded.config_dir, name), "rb") as file:
                return file.read(64 * 1024)
        except OSError as error:
            self._log.warn(f"the login banner {name} cannot be read, none is shown: {error.strerror}")
            return b""

    async def _listen_http(self, settings: HTTPD) -> tuple[str, int]:
        site, listen, protocol = await self._http.prepare()
        return self._listen(listen, settings.bind_port, site, settings.bind_address, protocol, "httpd")

    def _listen(
        self, listen: Callable[..., Any], port: int, factory: Any, address: str, what: str, section: str
    ) -> tuple[str, int]:
        try:
            listening = listen(port, factory, interface=address)
        except CannotListenError as error:
            reason = getattr(error.socketError, "strerror", None) or str(error.socketError)
            keys = f"{section}.bind_address, {section}.bind_port"
            raise StartupError(f"{what} cannot listen on {address or '*'}:{port} ({keys}): {reason}") from error
        self._ports.append(listening)
        where = listening.getHost()
        self._log.info(f"{what} listens on {where.host}:{where.port}")
        return where.host, where.port

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
        stream.write(welcome_text(addresses.sftp, addresses.http, keys, self.loaded.config_dir, newcomer=newcomer))
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
        ports, self._ports = self._ports, []
        await DeferredList([d for port in ports if (d := port.stopListening()) is not None])
        if self._factory is not None:
            await self._drain(self._factory, grace)
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

    async def _drain(self, factory: ServerFactory, grace: float) -> None:
        """Wait for running transfers, then end every connection: politely at first, then at once."""
        if self.registry.transfers() and grace:
            self._log.info(f"waiting up to {grace:g} s for running transfers")
        await self._until(lambda: not self.registry.transfers(), grace)
        for transport in list(factory.transports):
            transport.loseConnection()
        await self._until(lambda: not factory.transports, _LAST_WORDS)
        for transport in list(factory.transports):
            transport.transport.abortConnection()
        await self._until(lambda: not factory.transports, _LAST_WORDS)

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        end = self._reactor.seconds() + seconds
        while not done() and self._reactor.seconds() < end:
            await deferLater(self._reactor, _CLOSE_STEP, lambda: None)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SFTPGoError) else f"{type(error).__name__}: {error}"
