"""Puts together what all sessions share about transfers, as the configuration asks."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from sftpgo.actions.hooks import TransferHooks
from sftpgo.avatars.accounting import PAUSE, Ledgers
from sftpgo.avatars.bandwidth import Gates
from sftpgo.avatars.commands import FinishedCommand
from sftpgo.avatars.idle import IdleWatch, SteadyClock
from sftpgo.avatars.journal import Audience
from sftpgo.avatars.recovery import Recovery
from sftpgo.avatars.shared import SharedTransfers
from sftpgo.avatars.upload import IN_PLACE, UploadSettings
from sftpgo.config.load import Loaded, resolve
from sftpgo.config.model import SFTPD
from sftpgo.domain.actions import TransferEvent
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.storage.unsettled import Unsettled

#: In the configuration directory: who has to be looked after should the server be killed.
UNSETTLED = "sftpgo.unsettled"


class Transfers:
    """The running parts: they begin with L{start}, after the data provider, and end with L{stop}, before it.

    @ivar shared: for the realm.
    """

    def __init__(
        self,
        loaded: Loaded,
        provider: Any,
        registry: ConnectionRegistry,
        reactor: Any,
        clock: Callable[[], float],
        run_in_thread: Callable[..., Deferred[Any]],
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        sftpd, data = loaded.config.sftpd, loaded.config.data_provider
        self._log = Log("sftpd")
        self._metrics = metrics
        self._run_in_thread = run_in_thread
        self.hooks = TransferHooks(sftpd.actions, reactor, log=self._log, on_failure=lambda _: metrics.action_failed())
        unsettled, names = self._open_unsettled(loaded)
        ledgers = Ledgers(
            provider,
            track_quota=data.track_quota,
            writable=bool(data.manage_users),
            mark_all=sftpd.upload_mode != IN_PLACE,
            scheduler=reactor,
            now=clock,
            run_in_thread=run_in_thread,
            log=self._log,
            unsettled=unsettled,
            left_over=names,
            pause=PAUSE,
            recount=self._recount,
        )
        steady = SteadyClock(clock, monotonic)
        self._recovery = Recovery(provider, ledgers, names, sftpd.upload_mode, run_in_thread, self._log)
        self._idle = IdleWatch(registry, sftpd.idle_timeout, reactor, steady, self._log)
        self._recovering: Deferred[None] | None = None
        self.shared = SharedTransfers(
            UploadSettings(sftpd.upload_mode, sftpd.fsync_uploads, sftpd.upload_digest),
            ledgers,
            Gates(reactor, monotonic, per_transfer=sftpd.bandwidth_per_transfer),
            self._recovery,
            steady,
            Audience(self.hooks.notify, metrics.transfer_completed),
        )

    def _recount(self, username: str) -> None:
        self._recovery.recount(username)

    def _open_unsettled(self, loaded: Loaded) -> tuple[Unsettled | None, frozenset[str]]:
        """The file, and who is in it; nothing where users are lost at exit or the file cannot be used."""
        if loaded.config.data_provider.driver == "memory":
            return None, frozenset()
        unsettled = Unsettled(resolve(loaded.config_dir, UNSETTLED))
        try:
            return unsettled, unsettled.open()
        except OSError as error:
            reason = "another server uses it" if error.errno == errno.EWOULDBLOCK else error.strerror
            self._log.warn(
                f"{unsettled.path} cannot be used ({reason}): should this server be killed, usage is right again "
                "only after a quota scan"
            )
            return None, frozenset()

    def start(self) -> None:
        """Begin to look for idle connections, and look after what a killed server left, in the background."""
        self._idle.start()
        self._recovering = Deferred.fromCoroutine(self._recovery.at_start())
        self._recovering.addErrback(
            lambda failure: self._log.failure("looking after a killed server's uploads failed", failure)
        )
        self._tell_problems()

    def renew(self, sftpd: SFTPD) -> None:
        """Use what can change while the server runs."""
        self.hooks.configure(sftpd.actions)
        self._idle.allow(sftpd.idle_timeout)
        self._tell_problems()

    def shared_by(self, sftpd: SFTPD) -> SharedTransfers:
        """What sessions that begin with these settings share; those that are here share all of it but the settings."""
        uploads = UploadSettings(self.shared.uploads.mode, sftpd.fsync_uploads, sftpd.upload_digest)
        return attrs.evolve(self.shared, uploads=uploads)

    def _tell_problems(self) -> None:
        Deferred.fromCoroutine(self._check_hooks()).addErrback(
            lambda failure: self._log.failure("the hooks could not be checked", failure)
        )

    async def _check_hooks(self) -> None:
        for problem in await self._run_in_thread(self.hooks.check):
            self._log.warn(f"sftpd.actions: {problem}")

    def command_done(self, done: FinishedCommand) -> None:
        """An SSH command has ended."""
        self._metrics.ssh_command_completed(done.ok)
        if done.ok:
            self.hooks.notify(TransferEvent("ssh_cmd", done.username, done.path, ssh_cmd=done.name))

    async def stop(self, grace: float) -> None:
        """Store what is to be stored, and let the hooks end within C{grace} seconds; the sessions have ended."""
        self._idle.stop()
        self._recovery.stop()
        if self._recovering is not None:
            await self._recovering
        await self.shared.ledgers.stop()
        await self.hooks.stop(grace)
