"""Listening sockets, as the configuration names them."""

from __future__ import annotations

import errno
import socket

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from sftpgo.sockets import open_listening


def has_ipv6() -> bool:
    """Whether ::1 can be listened on here."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class SocketTests(SynchronousTestCase):
    def open(self, *addresses: str, port: int = 0) -> list[tuple[str, int]]:
        opened = open_listening(addresses, port)
        for each in opened:
            self.addCleanup(each.close)
            self.assertFalse(each.getblocking())
            self.assertTrue(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        return [each.getsockname()[:2] for each in opened]

    def failure(self, *addresses: str, port: int = 0) -> OSError:
        error: OSError = self.assertRaises(OSError, self.open, *addresses, port=port)
        return error

    def test_one_address(self) -> None:
        ((host, port),) = self.open("127.0.0.1")
        self.assertEqual(host, "127.0.0.1")
        self.assertTrue(port)

    def test_every_address_has_both_families_on_one_port(self) -> None:
        for address in ("", "::"):
            found = self.open(address)
            self.assertEqual(len({port for _, port in found}), 1)
            expected = ["0.0.0.0", "::"] if has_ipv6() else ["0.0.0.0"]
            self.assertEqual([host for host, _ in found], expected)

    def test_an_ipv4_client_of_every_address_is_one(self) -> None:
        (v4, *_) = open_listening([""], 0)
        self.addCleanup(v4.close)
        with socket.create_connection(("127.0.0.1", v4.getsockname()[1])) as client:
            v4.setblocking(True)
            accepted, peer = v4.accept()
            accepted.close()
            self.assertEqual(peer, client.getsockname())

    def test_several_share_a_free_port(self) -> None:
        if not has_ipv6():
            raise SkipTest("no IPv6 here")
        (first, second) = self.open("127.0.0.1", "::1")
        self.assertEqual((first[0], second[0]), ("127.0.0.1", "::1"))
        self.assertEqual(first[1], second[1])

    def test_the_same_twice_is_one(self) -> None:
        self.assertEqual(len(self.open("127.0.0.1", "127.0.0.1")), 1)
        self.assertEqual(len(self.open("", "::", "0.0.0.0")), 2 if has_ipv6() else 1)

    def test_name(self) -> None:
        hosts = {host for host, _ in self.open("localhost")}
        self.assertIn("127.0.0.1", hosts)
        self.assertLessEqual(hosts, {"127.0.0.1", "::1"})

    def test_taken(self) -> None:
        ((_, port),) = self.open("127.0.0.1")
        error = self.failure("127.0.0.2", "127.0.0.1", port=port)
        self.assertEqual((error.errno, error.filename), (errno.EADDRINUSE, "127.0.0.1"))
        # Nothing stays open of what could have been had.
        self.assertEqual(self.open("127.0.0.2", port=port), [("127.0.0.2", port)])

    def test_not_ours(self) -> None:
        error = self.failure("192.0.2.1")
        self.assertEqual((error.errno, error.filename), (errno.EADDRNOTAVAIL, "192.0.2.1"))

    def test_unknown_name(self) -> None:
        error = self.failure("no-such-name.invalid")
        self.assertEqual(error.filename, "no-such-name.invalid")
        self.assertTrue(error.strerror)
