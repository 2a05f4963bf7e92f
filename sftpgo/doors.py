"""All that a server listens on, and who answers there; in one place, so that a reload changes all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from twisted.conch.ssh.keys import Key
from twisted.internet.defer import Deferred

from sftpgo.config.load import Loaded
from sftpgo.config.model import SFTPD
from sftpgo.httpface import HTTPFace
from sftpgo.listening import Addresses, Binding, Ports, Where, http_bindings, sftp_bindings
from sftpgo.log import Log
from sftpgo.ssh import tcp
from sftpgo.ssh.entrance import Entrance, Proxies
from sftpgo.ssh.factory import ServerFactory
from sftpgo.sshface import SSHFace
from sftpgo.systemd import Handed, Supervisor
from sftpgo.transfers import Transfers


class Doors:
    """The SSH server and the HTTP server of one service.

    @param supervisor: may have opened sockets for us, which take the place of those of the configuration.
    """

    def __init__(
        self,
        reactor: Any,
        ssh: SSHFace,
        http: HTTPFace,
        supervisor: Supervisor,
        run_in_thread: Callable[..., Deferred[Any]],
        log: Log,
    ) -> None:
        self._ssh = ssh
        self._http = http
        self._supervisor = supervisor
        self._log = log
        self._ports = Ports(reactor, run_in_thread, log)
        self._entrances: list[tuple[Entrance, Binding]] = []
        self._factory: ServerFactory | None = None

    @property
    def host_keys(self) -> Mapping[bytes, Key]:
        """The host keys by SSH type; none before the doors are open."""
        return self._factory.privateKeys if self._factory is not None else {}

    @property
    def transports(self) -> Collection[Any]:
        """The SSH connections."""
        return self._factory.transports if self._factory is not None else ()

    async def open(self, loaded: Loaded, transfers: Transfers) -> Addresses:
        """Make everything ready, then listen.

        @raise StartupError: when something cannot be used, or an address cannot be listened on.
        """
        sftpd = loaded.config.sftpd
        for_sftp, for_http = self._supervisor.share(loaded.config)
        self._factory = factory = await self._ssh.prepare(loaded, transfers)
        # There is one, or none.
        sites = [
            (binding, *await self._http.prepare(binding.addresses))
            for binding in _handed(for_http) or http_bindings(loaded.config.httpd)
        ]
        self._warn_of_unused(sftpd)
        sftp: list[Where] = []
        for binding in _handed(for_sftp) or sftp_bindings(sftpd):
            entrance = Entrance(factory, *_proxying(sftpd, binding))
            sftp += await self._ports.listen("SFTP", binding, entrance, tcp.adopt)
            self._entrances.append((entrance, binding))
        http: list[Where] = []
        for binding, site, protocol in sites:
            http += await self._ports.listen(protocol, binding, site)
        return Addresses(tuple(sftp), tuple(http))

    def _warn_of_unused(self, sftpd: SFTPD) -> None:
        usual = SFTPD()
        if sftpd.bindings and (sftpd.bind_address, sftpd.bind_port) != (usual.bind_address, usual.bind_port):
            self._log.warn("sftpd.bind_address and sftpd.bind_port are not used: sftpd.bindings takes their place")

    async def renew(self, loaded: Loaded, transfers: Transfers) -> Callable[[], None]:
        """Make another configuration ready; returns what puts it to use, without fail, for connections from then on.

        @raise StartupError: when something in it cannot be used.
        """
        use_http = await self._http.renew(loaded)
        factory = await self._ssh.prepare(loaded, transfers)

        def use() -> None:
            use_http()
            if self._factory is not None:
                factory.succeed(self._factory)
            self._factory = factory
            for entrance, binding in self._entrances:
                entrance.replace(factory, *_proxying(loaded.config.sftpd, binding))

        return use

    async def close(self) -> None:
        """Accept nobody new."""
        await self._ports.close()


def _handed(sockets: Sequence[Handed]) -> list[Binding]:
    """What to listen on when sockets were handed over: those."""
    if not sockets:
        return []
    addresses = tuple(each.where[0] for each in sockets)
    return [Binding(addresses, 0, "the service manager", sockets=tuple(each.socket for each in sockets))]


def _proxying(sftpd: SFTPD, binding: Binding) -> tuple[int, Proxies]:
    """Whether PROXY headers may come there, or must, and who is believed."""
    mode = sftpd.proxy_protocol if binding.proxy_protocol is None else binding.proxy_protocol
    return mode, Proxies(sftpd.proxy_allowed)
