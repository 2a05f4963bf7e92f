"""The ports of the server: opened, told of, and closed together."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from sftpgo.config.bindings import several
from sftpgo.config.model import HTTPD, SFTPD
from sftpgo.errors import StartupError
from sftpgo.log import Log
from sftpgo.sockets import open_listening

Where = tuple[str, int]
"""Host and port."""

Adopt = Callable[[Any, socket.socket, IProtocolFactory], IListeningPort]
"""Makes a port of the reactor from a listening socket, as L{sftpgo.ssh.tcp.adopt}; the socket stays the caller's."""


@attrs.frozen
class Addresses:
    """Where the running server listens.

    @ivar sftp_all: every host and port of the SSH server; never empty.
    @ivar http_all: those of the HTTP server; empty when there is none.
    """

    sftp_all: tuple[Where, ...]
    http_all: tuple[Where, ...] = ()

    @property
    def sftp(self) -> Where:
        """The first address of the SSH server."""
        return self.sftp_all[0]

    @property
    def http(self) -> Where | None:
        """The first address of the HTTP server, or None when there is none."""
        return self.http_all[0] if self.http_all else None


@attrs.frozen
class Binding:
    """What to listen on.

    @ivar keys: where the configuration says so, for errors.
    @ivar proxy_protocol: C{sftpd.proxy_protocol} for this one alone; None for what that says.
    @ivar sockets: those that listen there already; to be opened when there are none.
    """

    addresses: tuple[str, ...]
    port: int
    keys: str
    proxy_protocol: int | None = None
    sockets: tuple[socket.socket, ...] = ()


def sftp_bindings(sftpd: SFTPD) -> list[Binding]:
    """What the SSH server listens on."""
    if sftpd.bindings:
        return [
            Binding((each.address,), each.port, f"sftpd.bindings[{index}]", each.proxy_protocol)
            for index, each in enumerate(sftpd.bindings)
        ]
    return [Binding(several(sftpd.bind_address), sftpd.bind_port, "sftpd.bind_address, sftpd.bind_port")]


def http_bindings(httpd: HTTPD) -> list[Binding]:
    """What the HTTP server listens on: nothing, if there is none."""
    if not httpd.bind_port:
        return []
    return [Binding(several(httpd.bind_address), httpd.bind_port, "httpd.bind_address, httpd.bind_port")]


def written(where: Where) -> str:
    """An address as people write it: IPv6 in brackets."""
    host, port = where
    return f"{bracketed(host) or '*'}:{port}"


def bracketed(host: str) -> str:
    """A host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def adopt_stream(reactor: Any, listening: socket.socket, factory: IProtocolFactory) -> IListeningPort:
    """An ordinary port of the reactor."""
    adopted: IListeningPort = reactor.adoptStreamPort(listening.fileno(), listening.family, factory)
    return adopted


class Ports:
    """What one server listens on."""

    def __init__(self, reactor: Any, run_in_thread: Callable[..., Deferred[Any]], log: Log) -> None:
        self._reactor = reactor
        self._run_in_thread = run_in_thread
        self._log = log
        self._ports: list[IListeningPort] = []

    async def listen(
        self, what: str, binding: Binding, factory: IProtocolFactory, adopt: Adopt = adopt_stream
    ) -> tuple[Where, ...]:
        """Open what a binding asks for; tells where that is.

        @param what: the protocol, for people.
        @raise StartupError: when somebody else listens there, or the address is not this machine's.
        """
        if binding.sockets:
            return self._serve(what, binding.sockets, factory, adopt)
        try:
            opened = await self._run_in_thread(open_listening, binding.addresses, binding.port)
        except OSError as error:
            address = bracketed(error.filename or "") or "*"
            text = f"{what} cannot listen on {address}:{binding.port} ({binding.keys}): {error.strerror}"
            raise StartupError(text) from error
        return self._serve(what, opened, factory, adopt)

    def _serve(
        self, what: str, opened: Sequence[socket.socket], factory: IProtocolFactory, adopt: Adopt
    ) -> tuple[Where, ...]:
        places = []
        for each in opened:
            with each:
                self._ports.append(adopt(self._reactor, each, factory))
                where: Where = each.getsockname()[:2]
            places.append(where)
            self._log.info(f"{what} listens on {written(where)}")
        return tuple(places)

    async def close(self) -> None:
        """Accept nobody new: whoever connects now is refused."""
        ports, self._ports = self._ports, []
        await DeferredList([closed for port in ports if (closed := port.stopListening()) is not None])
