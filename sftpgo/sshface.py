"""The SSH server put together from the configuration: host keys, algorithms, who may log in, and what they get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.ssh.keys import Key
from twisted.cred.portal import Portal

from sftpgo.avatars.checkers import PasswordChecker, PublicKeyChecker
from sftpgo.avatars.commands import Commands
from sftpgo.avatars.system import NAMES, SystemCommands
from sftpgo.avatars.usagewatch import QuotaKeeper
from sftpgo.config.load import Loaded, resolve
from sftpgo.config.model import SFTPD
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.embedding import Embedding
from sftpgo.errors import StartupError
from sftpgo.log import Log
from sftpgo.metrics import Metrics
from sftpgo.passwords import Passwords
from sftpgo.ssh import hostkeys
from sftpgo.ssh.algorithms import choose_algorithms
from sftpgo.ssh.factory import ServerFactory
from sftpgo.ssh.settings import OneAtATime, Settings
from sftpgo.transfers import Transfers
from sftpgo.version import VersionInfo

_LONGEST_BANNER = 64 * 1024


@attrs.define(eq=False)
class SSHFace:
    """Makes the factory of a configuration's connections.

    @ivar provider: an L{IDataProvider}.
    @ivar run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    @ivar clock: seconds since the epoch.
    @ivar embedding: what the program around adds.
    """

    reactor: Any
    provider: Any
    passwords: Passwords
    registry: ConnectionRegistry
    metrics: Metrics
    run_in_thread: Callable[..., Any]
    clock: Callable[[], float]
    embedding: Embedding
    _log: Log = attrs.field(init=False, factory=lambda: Log("service"))

    async def prepare(self, loaded: Loaded, transfers: Transfers) -> ServerFactory:
        """Read the host keys and the banner, and put everything together.

        @raise StartupError: when a host key cannot be used or an algorithm is not known.
        """
        settings = loaded.config.sftpd
        wire = self._wire_settings(settings)
        host_keys = await self._host_keys(loaded)
        banner = await self.run_in_thread(_read_banner, resolve(loaded.config_dir, settings.login_banner_file))
        if isinstance(banner, OSError):
            name = settings.login_banner_file
            self._log.warn(f"the login banner {name} cannot be read, none is shown: {banner.strerror}")
            banner = b""
        return ServerFactory(
            self._portal(loaded, transfers),
            host_keys,
            self.embedding.authentication_log(Log("sftpd"), self.metrics),
            self.reactor,
            wire,
            login_banner=banner,
            max_auth_tries=settings.max_auth_tries,
            max_unauthenticated=settings.max_unauthenticated,
        )

    def _portal(self, loaded: Loaded, transfers: Transfers) -> Portal:
        realm = self.embedding.realm(
            self.provider,
            self.registry,
            Log("sftpd"),
            self.clock,
            self.run_in_thread,
            transfers.shared_by(loaded.config.sftpd),
            setstat_ignored=loaded.config.sftpd.setstat_mode == 1,
            commands=self._commands(loaded, transfers),
        )
        return self.embedding.portal(
            realm,
            [
                PasswordChecker(self.provider, self.passwords, self.clock),
                PublicKeyChecker(self.provider, self.clock),
            ],
            passwords=self.passwords,
            clock=self.clock,
            users_base_dir=loaded.config.data_provider.users_base_dir,
        )

    async def _host_keys(self, loaded: Loaded) -> dict[bytes, Key]:
        configured = [resolve(loaded.config_dir, key.private_key) for key in loaded.config.sftpd.keys]
        try:
            if configured:
                keys: dict[bytes, Key] = await self.run_in_thread(hostkeys.load, configured)
                return keys
            keys, made = await self.run_in_thread(hostkeys.load_or_generate, loaded.config_dir)
        except hostkeys.HostKeyError as error:
            raise StartupError(str(error)) from error
        for path in made:
            self._log.info(f"host key generated: {path}")
        return keys

    def _wire_settings(self, settings: SFTPD) -> Settings:
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

    def _commands(self, loaded: Loaded, transfers: Transfers) -> Commands:
        settings = loaded.config.sftpd
        system = SystemCommands(self.reactor, unconfined=settings.system_commands_without_confinement)
        warning = system.describe()
        if warning and not NAMES.isdisjoint(settings.allowed_commands):
            self._log.warn(warning)
        return self.embedding.commands(
            settings.allowed_commands,
            self.reactor,
            system,
            QuotaKeeper(loaded.config.data_provider.track_quota, transfers.shared.ledgers.rescan),
            on_command_done=transfers.command_done,
        )


def _read_banner(path: str) -> bytes | OSError:
    """The login banner, or why it cannot be had; runs in a thread."""
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(_LONGEST_BANNER)
    except OSError as error:
        return error
