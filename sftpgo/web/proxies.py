"""Who really asks, when a proxy passes on what others ask."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


class Proxies:
    """The proxies that are believed what they say of their clients.

    @param networks: addresses and networks in CIDR notation; raises L{ValueError} for what is none.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(text, strict=False) for text in networks]

    def client(self, peer: str, forwarded: Iterable[bytes], real: bytes | None) -> str | None:
        """The address of the client behind a believed peer; C{None} for a peer that is to be taken for itself.

        Every proxy appends the address it was asked from, so the list is read from its end: the first address that is
        none of ours is the client's, and whatever stands before it was written by anybody.

        @param peer: the IP address of the connection.
        @param forwarded: the C{X-Forwarded-For} headers, and C{real} the C{X-Real-IP}, for proxies that send only that.
        """
        address = _parsed(peer)
        if address is None or not self._ours(address):
            return None
        hops = [hop for header in forwarded for hop in header.decode("ascii", "replace").split(",")]
        if not hops and real is not None:
            hops = [real.decode("ascii", "replace")]
        for hop in reversed(hops):
            found = _parsed(_without_port(hop.strip()))
            if found is None:
                break
            address = found
            if not self._ours(found):
                break
        return str(address)

    def _ours(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
