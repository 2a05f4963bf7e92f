"""Listening sockets, opened as the configuration names them: by address or by name, IPv4 and IPv6."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Final

BACKLOG: Final = 128
"""Connections that wait to be accepted."""

EVERYWHERE: Final = frozenset({"", "::"})
"""What stands for all addresses of both families."""

_ATTEMPTS: Final = 20
"""How often another free port is tried, should it be free for one address only."""

_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})

Place = tuple[int, Any]
"""A family and the address in it, as C{bind} takes them; the port is still missing."""


def open_listening(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """A listening socket for each of these addresses, all on the same port.  Names are looked up: may block.

    Each family has sockets of its own, so that an IPv4 client never looks like C{::ffff:192.0.2.1}.  A family that the
    machine does not have is left out where the other one is there.

    @param addresses: IP addresses and host names; an empty one or C{::} stands for every address of both families.
    @param port: 0 for one that is free.
    @raise OSError: when one of them cannot be listened on; none is then.
    """
    places = [(address, list(_places(address))) for address in addresses]
    for _ in range(_ATTEMPTS):
        try:
            return _open_all(places, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:
                raise
            last = error
    raise last


def _open_all(wanted: Sequence[tuple[str, Sequence[Place]]], port: int) -> list[socket.socket]:
    opened: dict[Place, socket.socket] = {}
    with ExitStack() as undo:
        for address, places in wanted:
            missing: OSError | None = None
            here = 0
            for place in places:
                try:
                    if place not in opened:
                        opened[place] = undo.enter_context(_open(place, port))
                        port = port or opened[place].getsockname()[1]
                    here += 1
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise _of(address, error) from error
                    missing = error
            if not here and missing is not None:
                raise _of(address, missing) from missing
        undo.pop_all()
    return list(opened.values())


def _of(address: str, error: OSError) -> OSError:
    """The error with the address that it is about."""
    return OSError(error.errno, error.strerror, address)


def _open(place: Place, port: int) -> socket.socket:
    family, (host, _, *rest) = place
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        if os.name == "posix":  # elsewhere it would let two servers listen at once
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port, *rest))
        opened.listen(BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def _places(address: str) -> Iterator[Place]:
    if address in EVERYWHERE:
        yield socket.AF_INET, ("0.0.0.0", 0)  # noqa: S104 -- asked for
        yield socket.AF_INET6, ("::", 0, 0, 0)
        return
    try:
        found = socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise OSError(error.errno, error.strerror, address) from error
    for family, _, _, _, where in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            yield family, where
