"""PROXY headers: what proxies write, and what anybody could."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.proxyheader import (
    V1_LONGEST,
    V2_LONGEST,
    V2_SIGNATURE,
    Client,
    Header,
    MalformedHeader,
    NoHeader,
    parse,
)

V4 = st.ip_addresses(v=4).map(str)
V6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None).map(str)
PORTS = st.integers(0, 65535)


def v1(client: str, port: int, server: str, server_port: int) -> bytes:
    kind = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {kind} {client} {server} {port} {server_port}\r\n".encode()


def v2(client: str, port: int, server: str, server_port: int, values: bytes = b"", command: int = 0x21) -> bytes:
    ends = [ip_address(host).packed for host in (client, server)]
    addresses = b"".join(ends) + struct.pack("!HH", port, server_port) + values
    kind = 0x11 if len(ends[0]) == 4 else 0x21
    return V2_SIGNATURE + struct.pack("!BBH", command, kind, len(addresses)) + addresses


HEADERS = st.one_of(
    st.builds(v1, V4, PORTS, V4, PORTS),
    st.builds(v1, V6, PORTS, V6, PORTS),
    st.builds(v2, V4, PORTS, V4, PORTS, st.binary(max_size=300)),
    st.builds(v2, V6, PORTS, V6, PORTS, st.binary(max_size=300)),
)


class WrittenTests(SynchronousTestCase):
    """What proxies write."""

    @settings(deadline=None, max_examples=100)
    @given(st.sampled_from((v1, v2)), st.tuples(V4, V4) | st.tuples(V6, V6), PORTS, PORTS, st.binary(max_size=20))
    def test_addresses(self, write, hosts, port, server_port, rest) -> None:
        data = write(hosts[0], port, hosts[1], server_port)
        self.assertEqual(parse(data + rest), Header(Client(hosts[0], port), len(data)))

    @settings(deadline=None, max_examples=100)
    @given(HEADERS)
    def test_every_beginning_wants_more(self, data: bytes) -> None:
        for end in range(len(data)):
            self.assertIsNone(parse(data[:end]))
        self.assertIsNotNone(parse(data))

    def test_ipv4_in_ipv6(self) -> None:
        for write in (v1, v2):
            header = parse(write("::ffff:192.0.2.1", 7, "::1", 8))
            self.assertEqual(header.client, Client("192.0.2.1", 7))

    def test_connections_of_the_proxy_itself(self) -> None:
        for data in (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN ffff:f...f:ffff whatever\r\n",
            v2("192.0.2.1", 1, "192.0.2.2", 2, command=0x20),
            V2_SIGNATURE + b"\x20\x00\x00\x00",
            V2_SIGNATURE + b"\x21\x00\x00\x05abcde",
            V2_SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216),
            V2_SIGNATURE + b"\x20\xff\x00\x01x",
        ):
            self.assertEqual(parse(data + b"SSH-"), Header(None, len(data)), data)

    def test_longest(self) -> None:
        longest = b"PROXY UNKNOWN " + b"x" * (V1_LONGEST - 16) + b"\r\n"
        self.assertEqual(parse(longest), Header(None, V1_LONGEST))
        values = bytes(V2_LONGEST - 12)
        self.assertEqual(parse(v2("192.0.2.1", 1, "192.0.2.2", 2, values)).size, 16 + V2_LONGEST)


class RefusedTests(SynchronousTestCase):
    """What is refused as soon as it is known."""

    def test_no_header(self) -> None:
        for data in (b"SSH-2.0-x\r\n", b"S", b"\r\n\r\n\0\r\nQUIT\r", b"PROXY\t", b"proxy ", b"\r\n\r\n\1", b"\n"):
            self.assertRaises(NoHeader, parse, data)

    def test_version_1(self) -> None:
        for words in (
            b"TCP4 1.2.3.4 5.6.7.8 1",
            b"TCP4 1.2.3.4 5.6.7.8 1 2 3",
            b"TCP4  1.2.3.4 5.6.7.8 1 2",
            b"TCP4 1.2.3.4 5.6.7.8 1 2 ",
            b"TCP4 1.2.3.256 5.6.7.8 1 2",
            b"TCP4 01.2.3.4 5.6.7.8 1 2",
            b"TCP4 ::1 ::2 1 2",
            b"TCP6 1.2.3.4 5.6.7.8 1 2",
            b"TCP6 fe80::1%eth0 ::2 1 2",
            b"TCP4 1.2.3.4 localhost 1 2",
            b"TCP4 1.2.3.4 5.6.7.8 65536 2",
            b"TCP4 1.2.3.4 5.6.7.8 01 2",
            b"TCP4 1.2.3.4 5.6.7.8 -1 2",
            b"TCP4 1.2.3.4 5.6.7.8 1 x",
            b"UDP4 1.2.3.4 5.6.7.8 1 2",
            b"TCP4 1.2.3.\xb2 5.6.7.8 1 2",
            b"",
        ):
            self.assertRaises(MalformedHeader, parse, b"PROXY " + words + b"\r\n")

    def test_version_1_without_an_end(self) -> None:
        data = b"PROXY UNKNOWN " + b"x" * V1_LONGEST
        self.assertIsNone(parse(data[: V1_LONGEST - 1]))
        self.assertRaises(MalformedHeader, parse, data[:V1_LONGEST])

    def test_version_2(self) -> None:
        for fixed in (
            b"\x11\x11\x00\x0c",  # version 1
            b"\x22\x11\x00\x0c",  # an unknown command
            b"\x21\x41\x00\x0c",  # an unknown family
            b"\x21\x11\x00\x0b",  # too short
            b"\x21\x21\x00\x23",
            b"\x21\x31\x00\xd7",
            b"\x21\x11\x10\x01",  # too long
            b"\x20\x00\xff\xff",
        ):
            self.assertRaises(MalformedHeader, parse, V2_SIGNATURE + fixed)
        self.assertRaises(MalformedHeader, parse, V2_SIGNATURE + b"\x21\x12\x00\x0c" + bytes(12))  # UDP

    @settings(deadline=None, max_examples=300)
    @given(
        st.binary(max_size=300)
        | st.binary(max_size=300).map(V2_SIGNATURE.__add__)
        | st.binary(max_size=300).map(b"PROXY ".__add__)
        | st.text(" .:0123456789abcdefTCPUNKOW\r\n%", max_size=120).map(lambda text: b"PROXY TCP" + text.encode())
    )
    def test_any_bytes(self, data: bytes) -> None:
        """A header, nothing yet, or refused; and never a wish for more than there can be."""
        try:
            header = parse(data)
        except MalformedHeader:
            return
        if header is None:
            self.assertLess(len(data), 16 + V2_LONGEST)
        else:
            self.assertLessEqual(header.size, len(data))
            if header.client is not None:
                self.assertEqual(str(ip_address(header.client.host)), header.client.host)
                self.assertIsInstance(header.client.port, int)

    def test_mapped_is_never_told(self) -> None:
        header = parse(v2("::ffff:10.0.0.1", 1, "::", 2))
        self.assertIsInstance(ip_address(header.client.host), IPv4Address)
