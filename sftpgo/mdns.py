"""Telling the local network about the server: DNS-SD (RFC 6763) over multicast DNS (RFC 6762)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import zeroconf
from twisted.internet.defer import Deferred

SERVICE_TYPE = "_sftp-ssh._tcp.local."

_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 -- looked for, not bound to


class MDNSError(Exception):
    """The service cannot be told; the text says why in one line."""


class Advertisement:
    """One service, told until L{stop}.

    What zeroconf does takes seconds, so all of it happens in threads, one thing after the other.

    @param instance: name people see; where another service has it, a number is added.
    @param bind_address: where the server listens: only the interface of that address hears of it; empty for all.
    @param text: the TXT record's strings, in their order.
    """

    def __init__(
        self,
        instance: str,
        port: int,
        bind_address: str,
        text: Mapping[str, str],
        run_in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        self._instance = instance
        self._port = port
        self._address = "" if bind_address in _ANY else bind_address
        self._text = dict(text)
        self._run_in_thread = run_in_thread
        self._under_way: Deferred[None] | None = None
        self._zeroconf: zeroconf.Zeroconf | None = None
        self.name = ""

    async def start(self) -> str:
        """Tell of the service; returns the name it has now.

        @raise MDNSError: when there is no network for it, or it cannot be told.
        """
        done: Deferred[None] = Deferred()
        self._under_way = done
        try:
            await self._run_in_thread(self._register)
        finally:
            self._under_way = None
            done.callback(None)
        return self.name

    async def stop(self) -> None:
        """Take it back.  May be called at any time, and twice.

        @raise MDNSError: when that could not be told.
        """
        if self._under_way is not None:
            await self._under_way
        known, self._zeroconf = self._zeroconf, None
        if known is not None:
            await self._run_in_thread(_close, known)

    def _register(self) -> None:
        addresses = [self._address] if self._address else _addresses()
        if not addresses:
            raise MDNSError("this machine has no address on a network")
        version = zeroconf.IPVersion.V6Only if ":" in self._address else zeroconf.IPVersion.V4Only
        made = None
        try:
            made = zeroconf.Zeroconf(interfaces=addresses, ip_version=version)
            info = zeroconf.ServiceInfo(
                SERVICE_TYPE,
                f"{self._instance}.{SERVICE_TYPE}",
                port=self._port,
                parsed_addresses=addresses,
                server=f"{socket.gethostname().partition('.')[0] or 'localhost'}.local.",
                properties=self._text,
            )
            made.register_service(info, allow_name_change=True)
        except Exception as error:  # zeroconf's own, the system's, and those of a text that is too long
            if made is not None:
                made.close()
            raise MDNSError(_text(error)) from error
        self._zeroconf = made
        self.name = info.name.removesuffix(f".{SERVICE_TYPE}")


def _close(known: zeroconf.Zeroconf) -> None:
    try:
        known.unregister_all_services()
    except Exception as error:
        raise MDNSError(_text(error)) from error
    finally:
        known.close()


def _addresses() -> list[str]:
    found = zeroconf.get_all_addresses()  # type: ignore[attr-defined]  # documented, but not in __all__
    return [address for address in found if not address.startswith("127.")]


def _text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
