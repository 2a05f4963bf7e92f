from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.filters import address_allowed, parse_address, parse_network
from sftpgo.domain.user import Filters
from tests.strategies import IPV4_NETWORKS


def bits(address: str) -> str:
    """An IPv4 address as 32 binary digits."""
    return "".join(f"{int(part):08b}" for part in address.split("."))


def inside(address: str, network: str) -> bool:
    base, length = network.split("/")
    return bits(address)[: int(length)] == bits(base)[: int(length)]


class Networks(SynchronousTestCase):
    def test_host_bits_are_ignored(self) -> None:
        self.assertEqual(str(parse_network("192.168.1.77/24")), "192.168.1.0/24")
        self.assertEqual(str(parse_network("2001:db8::1/32")), "2001:db8::/32")

    def test_mapped_networks_are_ipv4(self) -> None:
        self.assertEqual(str(parse_network("::ffff:10.0.0.1/128")), "10.0.0.1/32")
        self.assertEqual(str(parse_network("::ffff:10.0.0.1/104")), "10.0.0.0/8")
        self.assertEqual(parse_network("::/0"), ipaddress.IPv6Network("::/0"))
        self.assertEqual(parse_network("::ffff:0:0/95").version, 6)

    def test_no_networks(self) -> None:
        for text in (
            "",
            "/",
            "/8",
            "10.0.0.1",
            "::1",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/0.0.0.255",
            "10.0.0.0/٨",
            "10.0.0/8",
            "010.0.0.0/8",
            " 10.0.0.0/8",
            "10.0.0.0/8 ",
            "fe80::1%eth0/64",
            "localhost/8",
        ):
            with self.assertRaises(ValueError) as caught:
                parse_network(text)
            self.assertEqual(str(caught.exception), f"invalid CIDR address: {text}")


class Addresses(SynchronousTestCase):
    def test_no_filters_let_anybody_in(self) -> None:
        self.assertTrue(address_allowed(Filters(), "10.0.0.1"))
        self.assertTrue(address_allowed(Filters(), "not an address"))

    def test_an_unreadable_peer_passes_no_filter(self) -> None:
        for remote in ("", "not an address", "10.0.0.1:22", "localhost"):
            self.assertFalse(address_allowed(Filters(allowed_ip=("0.0.0.0/0", "::/0")), remote))
            self.assertFalse(address_allowed(Filters(denied_ip=("10.0.0.0/8",)), remote))

    def test_an_unreadable_network_lets_nobody_in(self) -> None:
        self.assertFalse(address_allowed(Filters(denied_ip=("10.0.0.1",)), "192.168.0.1"))
        self.assertFalse(address_allowed(Filters(allowed_ip=("0.0.0.0/0", "x")), "192.168.0.1"))

    def test_denied_before_allowed(self) -> None:
        filters = Filters(allowed_ip=("10.0.0.0/8",), denied_ip=("10.1.0.0/16",))
        self.assertTrue(address_allowed(filters, "10.2.0.1"))
        self.assertFalse(address_allowed(filters, "10.1.0.1"))
        self.assertFalse(address_allowed(filters, "11.0.0.1"))

    def test_denied_alone(self) -> None:
        self.assertTrue(address_allowed(Filters(denied_ip=("10.1.0.0/16",)), "10.2.0.1"))
        self.assertTrue(address_allowed(Filters(denied_ip=("10.1.0.0/16",)), "::1"))

    def test_mapped_peers_are_ipv4(self) -> None:
        self.assertTrue(address_allowed(Filters(allowed_ip=("10.0.0.0/8",)), "::ffff:10.0.0.1"))
        self.assertFalse(address_allowed(Filters(denied_ip=("10.0.0.0/8",)), "::ffff:10.0.0.1"))
        self.assertTrue(address_allowed(Filters(allowed_ip=("::ffff:10.0.0.1/128",)), "10.0.0.1"))
        self.assertFalse(address_allowed(Filters(allowed_ip=("::/0",)), "10.0.0.1"))

    def test_zones(self) -> None:
        self.assertTrue(address_allowed(Filters(allowed_ip=("fe80::/10",)), "fe80::1%eth0"))
        self.assertFalse(address_allowed(Filters(denied_ip=("fe80::/10",)), "fe80::1%2"))
        self.assertEqual(parse_address("fe80::1%eth0"), parse_address("fe80::1"))

    @given(
        st.ip_addresses(v=4).map(str),
        st.lists(IPV4_NETWORKS, max_size=3),
        st.lists(IPV4_NETWORKS, max_size=3),
        st.booleans(),
    )
    @settings(deadline=None, max_examples=300)
    def test_by_their_leading_bits(self, address: str, allowed: list[str], denied: list[str], near: bool) -> None:
        if near:  # a drawn network hardly ever holds a drawn address
            allowed = [*allowed, f"{address}/{len(allowed) * 8}"]
        expected = not any(inside(address, each) for each in denied) and (
            not allowed or any(inside(address, each) for each in allowed)
        )
        filters = Filters(tuple(allowed), tuple(denied))
        self.assertEqual(address_allowed(filters, address), expected)
        self.assertEqual(address_allowed(filters, f"::ffff:{address}"), expected)
