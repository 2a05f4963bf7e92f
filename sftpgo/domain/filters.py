"""From which addresses a user may log in: networks in CIDR notation (RFC 4632), the denied ones judged first."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sftpgo.domain.user import Filters

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MAPPED = IPv6Network("::ffff:0:0/96")


def parse_network(text: str) -> Network:
    """The network of C{address/prefix-length}; bits below the mask are ignored.

    A network of IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2) is the IPv4 network it stands for.

    @raise ValueError: for anything else, also for a bare address and for a mask written out.
    """
    address, slash, length = text.partition("/")
    if not slash or not (length.isascii() and length.isdigit()) or "%" in address:
        raise ValueError(f"invalid CIDR address: {text}")
    try:
        network = ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        raise ValueError(f"invalid CIDR address: {text}") from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - _MAPPED.prefixlen))
    return network


def parse_address(text: str) -> Address:
    """The address of a peer, without its zone; an IPv4-mapped one is the IPv4 address it stands for.

    @raise ValueError: for anything else, also for an address with a port.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def address_allowed(filters: Filters, remote: str) -> bool:
    """Tell whether a peer may log in: in no denied network, and in an allowed one if there are any.

    With filters set, nobody gets in by being unreadable: neither a peer whose address is none, nor anybody past a
    stored network that is none.

    @param remote: an IP address without a port.
    """
    if not filters.allowed_ip and not filters.denied_ip:
        return True
    try:
        allowed, denied = _networks(filters)
        address = parse_address(remote)
    except ValueError:
        return False
    if any(address in network for network in denied):
        return False
    return not allowed or any(address in network for network in allowed)


@lru_cache(maxsize=1024)
def _networks(filters: Filters) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """The networks (allowed, denied), parsed once."""
    return tuple(map(parse_network, filters.allowed_ip)), tuple(map(parse_network, filters.denied_ip))
