from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.web.proxies import Proxies
from tests.web.talk import Server

OURS = Proxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])


class ProxiesTests(SynchronousTestCase):
    def client(self, peer: str, *forwarded: str, real: str | None = None) -> str | None:
        return OURS.client(peer, [line.encode() for line in forwarded], None if real is None else real.encode())

    def test_a_stranger_is_taken_for_itself(self) -> None:
        for peer in ("192.0.2.1", "::1", "11.0.0.1", "", "x"):
            self.assertIsNone(self.client(peer, "6.6.6.6", real="6.6.6.6"))
        self.assertIsNone(Proxies().client("127.0.0.1", [b"6.6.6.6"], None))

    def test_the_last_hop_that_is_none_of_ours(self) -> None:
        for lines, expected in (
            (["1.2.3.4"], "1.2.3.4"),
            (["6.6.6.6, 1.2.3.4"], "1.2.3.4"),
            (["6.6.6.6, 1.2.3.4, 10.1.1.1"], "1.2.3.4"),
            (["6.6.6.6", "1.2.3.4,10.1.1.1"], "1.2.3.4"),
            (["10.1.1.1"], "10.1.1.1"),
            (["forged, 10.1.1.1"], "10.1.1.1"),
            (["1.2.3.4:567"], "1.2.3.4"),
            (["[2001:db8::1]:80"], "2001:db8::1"),
            (["2001:db8::1"], "2001:db8::1"),
            (["::ffff:1.2.3.4"], "1.2.3.4"),
            (["unknown"], "127.0.0.1"),
            ([""], "127.0.0.1"),
            ([], "127.0.0.1"),
        ):
            self.assertEqual(self.client("127.0.0.1", *lines), expected, lines)
        self.assertEqual(self.client("::ffff:127.0.0.1", "1.2.3.4"), "1.2.3.4")

    def test_real_ip(self) -> None:
        self.assertEqual(self.client("127.0.0.1", real="1.2.3.4"), "1.2.3.4")
        self.assertEqual(self.client("127.0.0.1", "5.6.7.8", real="1.2.3.4"), "5.6.7.8")

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.binary(max_size=30), max_size=3))
    def test_what_a_client_writes_first_never_counts(self, forged: list[bytes]) -> None:
        self.assertEqual(OURS.client("10.0.0.1", [*forged, b"1.2.3.4"], None), "1.2.3.4")

    def test_in_the_log(self) -> None:
        for proxies, expected in ((OURS, "1.2.3.4"), (Proxies(), "127.0.0.1:58538")):
            server = Server(proxies=proxies)
            headers = {"X-Forwarded-For": "6.6.6.6, 1.2.3.4"}
            self.successResultOf(Deferred.fromCoroutine(server.call("GET", "/api/v1/version", None, headers)))
            self.assertEqual([line["remote_addr"] for line in server.lines], [expected])
