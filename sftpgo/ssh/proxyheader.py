"""The PROXY protocol, versions 1 and 2: who a proxy's client is, told before the client's first byte.

It follows HAProxy's C{proxy-protocol.txt}, whose sections are named here.  Nothing here touches a socket.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from attrs import frozen

V1_START: Final = b"PROXY "
V1_LONGEST: Final = 107
"""Bytes of a header of version 1, with its end (section 2.1)."""

V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
V2_LONGEST: Final = 4096
"""Bytes that a header of version 2 may announce: addresses, and values that we skip.  The format allows 65,535."""

_KINDS: Final[dict[str, type[IPv4Address] | type[IPv6Address]]] = {"TCP4": IPv4Address, "TCP6": IPv6Address}
_V2_FIXED: Final = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _INET, _INET6, _UNIX = range(4)
_STREAM: Final = 1
_ADDRESSES: Final = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}
"""Bytes of the two addresses and ports, by family (section 2.2)."""


class MalformedHeader(ValueError):
    """The bytes are no PROXY header."""


class NoHeader(MalformedHeader):
    """They are not even the beginning of one."""


@frozen
class Client:
    """Who a proxy's client is.

    @ivar host: an IP address; an IPv4 address in IPv6 is given as IPv4.
    """

    host: str
    port: int


@frozen
class Header:
    """A whole header.

    @ivar client: None when the connection is the proxy's own (a health check), or is of a kind that has no address:
        the addresses of the connection itself are right then.
    @ivar size: its bytes; what follows is the client's.
    """

    client: Client | None
    size: int


def parse(data: bytes | bytearray) -> Header | None:
    """The header that C{data} begins with; None when more of it has to come.

    @raise NoHeader: when there is none.
    @raise MalformedHeader: when there is one that cannot be used, or is too long.
    """
    if data.startswith(V2_SIGNATURE):
        return _parse_v2(data)
    if data.startswith(V1_START):
        return _parse_v1(data)
    if V2_SIGNATURE.startswith(data) or V1_START.startswith(data):
        return None
    raise NoHeader("there is no PROXY header")


def _parse_v1(data: bytes | bytearray) -> Header | None:
    end = data.find(b"\r\n", 0, V1_LONGEST)
    if end < 0:
        if len(data) >= V1_LONGEST:
            raise MalformedHeader("the PROXY header has no end")
        return None
    try:
        words = data[len(V1_START) : end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise MalformedHeader("the PROXY header is not ASCII") from None
    if words[0] == "UNKNOWN":
        return Header(None, end + 2)
    if len(words) != 5 or words[0] not in _KINDS:
        raise MalformedHeader("the PROXY header is of no known kind")
    host, _ = (_address(text, _KINDS[words[0]]) for text in words[1:3])
    port, _ = (_port(text) for text in words[3:])
    return Header(_client(host, port), end + 2)


def _address(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> IPv4Address | IPv6Address:
    try:
        # A zone would be one of the proxy's network cards.
        if "%" not in text:
            return kind(text)
    except ValueError:
        pass
    raise MalformedHeader("the PROXY header has an address that is none")


def _port(text: str) -> int:
    if text.isdecimal() and (text == "0" or text[0] != "0") and len(text) <= 5 and int(text) <= 65535:
        return int(text)
    raise MalformedHeader("the PROXY header has a port that is none")


def _parse_v2(data: bytes | bytearray) -> Header | None:
    if len(data) < _V2_FIXED.size:
        return None
    _, command, kind, length = _V2_FIXED.unpack_from(data)
    family, protocol = kind >> 4, kind & 0x0F
    if command not in (_LOCAL, _PROXY):
        raise MalformedHeader("the PROXY header is of another version, or an unknown command")
    if length > V2_LONGEST:
        raise MalformedHeader(f"the PROXY header announces {length} bytes, more than {V2_LONGEST}")
    if command == _PROXY and (family not in _ADDRESSES or length < _ADDRESSES[family]):
        raise MalformedHeader("the PROXY header is of an unknown family, or too short for it")
    size = _V2_FIXED.size + length
    if len(data) < size:
        return None
    if command == _LOCAL or family not in (_INET, _INET6):
        return Header(None, size)
    if protocol != _STREAM:
        raise MalformedHeader("the PROXY header is not of a TCP connection")
    layout = "!4s4xH" if family == _INET else "!16s16xH"
    packed, port = struct.unpack_from(layout, data, _V2_FIXED.size)
    return Header(_client(ip_address(packed), port), size)


def _client(host: IPv4Address | IPv6Address, port: int) -> Client:
    mapped = host.ipv4_mapped if isinstance(host, IPv6Address) else None
    return Client(str(mapped or host), port)
