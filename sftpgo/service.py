"""The composition root: wires every part into one Twisted service, and the way to embed the server.

A Twisted program that wants SFTP beside what it does needs no more than this::

    from sftpgo.config.load import load
    from sftpgo.service import build

    server = build(load("/etc/sftpgo", environ={}), reactor)
    server.setServiceParent(application)

"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import attrs
from twisted.application.service import MultiService
from twisted.conch.ssh.keys import Key
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogBeginner

from sftpgo.accounts import Accounts
from sftpgo.actions.hooks import UserHooks
from sftpgo.config.load import Loaded
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.waiting import started
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.user import User
from sftpgo.doors import Doors
from sftpgo.draining import Drain
from sftpgo.embedding import Embedding, MakeFiles
from sftpgo.errors import ConfigurationError, ProviderError, SFTPGoError, StartupError
from sftpgo.health import HealthCheck
from sftpgo.hooks import Hooks
from sftpgo.httpface import HTTPFace
from sftpgo.interfaces import IDataProvider
from sftpgo.listening import Addresses, written
from sftpgo.log import Log, Logging, LogSettings, start_logging
from sftpgo.metrics import Metrics
from sftpgo.passwords import Passwords
from sftpgo.reload import Coalesced, compare
from sftpgo.scans import Progress, Scans
from sftpgo.signals import Handlers, let_kill
from sftpgo.ssh import authorized_keys
from sftpgo.sshface import SSHFace
from sftpgo.storage.confined import Home
from sftpgo.storage.support import detect
from sftpgo.storage.usage import Usage
from sftpgo.systemd import Supervisor
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
    read_again: Callable[[], Loaded] | None = None,
    supervisor: Supervisor | None = None,
    hooks: Hooks | None = None,
    filesystem: MakeFiles | None = None,
) -> SFTPGoService:
    """Put the server together; nothing is opened before the service starts.

    @param log_settings: where to log; None leaves logging to the program around.
    @param log_beginner: given by a program that has not begun logging yet; C{twistd} has.
    @param failed: told why the server could not start; without it the error is only logged.
    @param welcome: where people are told that the server is up, and what to do next.
    @param provider: somebody's own L{IDataProvider}, in place of the configured one.
    @param clock: seconds since the epoch.
    @param wait: seconds to wait for a database that is not there yet.
    @param read_again: reads the configuration on SIGHUP, in a thread; without it the program around has the signals
        SIGHUP, SIGTERM and SIGINT for itself, and calls L{SFTPGoService.reload} and L{SFTPGoService.hurry}.
    @param supervisor: the service manager that started the process.
    @param hooks: functions that are asked and told of what happens.
    @param filesystem: makes somebody's own C{ISFTPServer} for a user who logs in, in place of a home on the disk; None
        from it leaves that user at home.
    @raise StartupError: when the configuration names something that is not there.
    """
    if provider is None:
        provider = select_provider(
            loaded.config.data_provider, loaded.config_dir, reactor=reactor, warn=Log("dataProvider").warn
        )
    return SFTPGoService(
        loaded,
        reactor,
        IDataProvider(provider),
        clock,
        _Process(log_settings, log_beginner, failed, welcome, wait, read_again, supervisor or Supervisor()),
        Embedding(hooks, filesystem, reactor),
    )


@attrs.frozen
class _Process:
    """What L{build} is told of the process that the server runs in; an embedding program leaves it all out."""

    log_settings: LogSettings | None
    log_beginner: LogBeginner | None
    failed: Callable[[BaseException], None] | None
    welcome: TextIO | None
    wait: float
    read_again: Callable[[], Loaded] | None
    supervisor: Supervisor


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
        process: _Process,
        embedding: Embedding,
    ) -> None:
        super().__init__()
        self.setName("sftpgo")
        self.loaded = loaded
        self.provider = provider
        self.registry = ConnectionRegistry()
        self._reactor = reactor
        self._clock = clock
        self._process = process
        self._embedding = embedding
        self._log = Log("service")
        self._logging: Logging | None = None
        self._signals = Handlers(reactor)
        self._addresses: Addresses | None = None
        self._reload = Coalesced(lambda: Deferred.fromCoroutine(self._reload_logged()))
        self._drain = Drain(reactor, self.registry, self._log)
        self._starting: Deferred[None] | None = None
        self._bringing_up: Deferred[Addresses] | None = None
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
            changed=embedding.user_changed(self.user_hooks.user_changed),
        )
        self.health = HealthCheck(provider, reactor, Log("dataProvider"), self.metrics.set_availability)
        self.metrics.active_connections(self.registry.active)
        self.transfers: Transfers | None = None
        self.scans = Scans(self._rescan, self.run_in_thread, clock, Log("httpd"), enabled=bool(settings.track_quota))
        self._seen = embedding.provider(provider, self.accounts)
        ssh = SSHFace(
            reactor, self._seen, self.passwords, self.registry, self.metrics, self.run_in_thread, clock, embedding
        )
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
        self._doors = Doors(reactor, ssh, self._http, process.supervisor, self.run_in_thread, self._log)

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
        self._bringing_up = Deferred.fromCoroutine(self._bring_up())
        try:
            addresses = await self._bringing_up
        except Exception as error:
            if self.running:
                self._log.error(f"the server could not start: {_reason(error)}")
            else:
                self._log.info("the server is stopped before it is up")
            await self._take_down(0.0, failed=True)
            if not self.running:
                self.started.addErrback(lambda _failure: None)  # stopped before it was up: nobody is surprised
            elif self._process.failed is not None:
                self.started.addErrback(lambda _failure: None)
                self._process.failed(StartupError(_reason(error)))
            self.started.errback(error)
        else:
            self._announce(addresses)
            self._addresses = addresses
            self._process.supervisor.ready()
            self._process.supervisor.watch(self._reactor, self._status)
            self.started.callback(addresses)

    async def _bring_up(self) -> Addresses:
        config = self.loaded.config
        self._process.supervisor.starting(self._process.wait)
        if self._process.read_again is not None:
            self._signals.on(signal.SIGHUP, self._reload)
        if self._process.log_settings is not None:
            self._logging = start_logging(
                self._process.log_settings,
                clock=self._reactor,
                now=self._clock,
                run_in_thread=self.run_in_thread,
                stdout=sys.__stdout__ or sys.stdout,
                beginner=self._process.log_beginner,
            )
            self._signals.on(signal.SIGUSR1, self._logging.reopen)
            observer = self._logging.observer
            self.metrics.log_lines_dropped(lambda: observer.dropped)
        for warning in self.loaded.warnings:
            self._log.warn(warning)
        self._log.info(f"starting sftpgo {VersionInfo()}, configuration: {self.loaded.path or 'built-in defaults'}")
        self._log.info(detect().describe())
        os.umask(config.sftpd.umask_value)
        await started(self.provider, self._process.wait, clock=self._reactor, said=self._log.warn)
        self.health.start()
        await self._tell_problems()
        self.transfers = Transfers(
            self.loaded, self._seen, self.registry, self._reactor, self._clock, self.run_in_thread, self.metrics
        )
        addresses = await self._doors.open(self.loaded, self.transfers)
        self.transfers.start()
        return addresses

    async def _tell_problems(self) -> None:
        for problem in await self.run_in_thread(self.user_hooks.check):
            self._log.warn(f"data_provider.actions: {problem}")

    def _status(self) -> str:
        connections, transfers = self.registry.active(), self.registry.transfers()
        where = ", ".join(map(written, self._addresses.sftp_all)) if self._addresses is not None else ""
        return f"SFTP on {where}; connections: {connections}, transfers: {transfers}"

    # Reloading.

    def reload(self, loaded: Loaded) -> Deferred[None]:
        """Use another configuration, as far as that can be without a restart, for connections from now on.

        Host keys, certificate, users of the HTTP server and banner are read again in any case.  Connections go on.

        @raise SFTPGoError: when something in it cannot be used; everything stays as it was then.
        """
        return Deferred.fromCoroutine(self._renew(loaded))

    async def _reload_logged(self) -> None:
        """SIGHUP."""
        if self._logging is not None:
            self._logging.reopen()
        if self._addresses is None or self._process.read_again is None or not self.running:
            return
        self._process.supervisor.reloading()
        try:
            await self._renew(await self.run_in_thread(self._process.read_again))
        except ConfigurationError as error:
            for problem in error.problems:
                self._log.error(f"the configuration stays as it is: {problem}")
        except SFTPGoError as error:
            self._log.error(f"the configuration stays as it is: {error}")
        except Exception as error:
            self._log.failure("the configuration stays as it is", error)
        finally:
            if self.running:
                self._process.supervisor.ready()

    async def _renew(self, loaded: Loaded) -> None:
        transfers = self.transfers
        if transfers is None or self._addresses is None:
            raise StartupError("the server is not running")
        if self.loaded.path is not None and loaded.path is None:
            raise ConfigurationError([f"{self.loaded.path} is not there any more"])
        change = compare(self.loaded.config, loaded.config)
        used = attrs.evolve(loaded, config=change.config, config_dir=self.loaded.config_dir)
        use = await self._doors.renew(used, transfers)
        if not self.running:
            return
        # From here on nothing fails, and nobody is served in between.
        self.loaded, sftpd = used, change.config.sftpd
        os.umask(sftpd.umask_value)
        use()
        self.user_hooks.configure(change.config.data_provider.actions)
        transfers.renew(sftpd)
        for warning in loaded.warnings:
            self._log.warn(warning)
        for name in change.waiting:
            self._log.warn(f"{name} has changed, which needs a restart; the value before it stays in use")
        self._log.info(f"the configuration has been loaded again, changed: {', '.join(change.changed) or 'nothing'}")
        await self._tell_problems()

    def _announce(self, addresses: Addresses) -> None:
        if self._process.welcome is None:
            return
        told: Deferred[None] = Deferred.fromCoroutine(
            self._tell(self._process.welcome, addresses, self._doors.host_keys)
        )
        told.addErrback(lambda failure: self._log.failure("the welcome could not be written", failure))

    async def _tell(self, stream: TextIO, addresses: Addresses, keys: Mapping[bytes, Key]) -> None:
        if self._process.log_settings is not None and not self._process.log_settings.path:
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
        if self._process.read_again is not None:
            for number in (signal.SIGTERM, signal.SIGINT):
                self._signals.on(number, self._told_again)
        stopped = super().stopService()
        grace = float(self.loaded.config.sftpd.grace_time)
        down: Deferred[None] = Deferred.fromCoroutine(self._take_down(grace))
        return gatherResults([d for d in (stopped, down) if d is not None]).addCallback(lambda _: None)

    def hurry(self) -> None:
        """While the server stops: wait for nobody any more."""
        self._log.warn("told again to stop: running transfers are cut off")
        self._drain.hurry()

    def _told_again(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            let_kill(number)
        self.hurry()

    async def _take_down(self, grace: float, *, failed: bool = False) -> None:
        if self._starting is not None and self._bringing_up is not None and not self.started.called and not failed:
            # What has come up goes down there; to be at it twice would leave half of it behind.
            self._bringing_up.cancel()
            await self._starting
        if self._addresses is not None:
            # Transfers may take that long, and then the hooks of both kinds may.
            self._process.supervisor.stopping(
                3 * grace, f"Stopping; transfers that may end: {self.registry.transfers()}"
            )
        await self._doors.close()
        await self._drain.connections(self._doors.transports, grace)
        await self.scans.stop()
        if self.transfers is not None:
            await self.transfers.stop(0.0 if self._drain.hurried else grace)
        await self.user_hooks.stop(0.0 if self._drain.hurried else grace)
        await self._embedding.stop(0.0 if self._drain.hurried else grace)
        self.health.stop()
        await self.provider.stop()
        self._process.supervisor.stop()
        self._signals.restore()
        if not failed:
            self._log.info("the server has stopped")
        logging, self._logging = self._logging, None
        if logging is not None and not failed:
            logging.close()


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, SFTPGoError) else f"{type(error).__name__}: {error}"
