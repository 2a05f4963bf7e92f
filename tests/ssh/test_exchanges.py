"""Key exchanges: the first, the strict kind, and those in the middle of the traffic."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.algorithms import Algorithms, choose_algorithms
from sftpgo.ssh.fields import Fields, mpint, string, uint32
from sftpgo.ssh.groups import GROUP14
from sftpgo.ssh.states import Phase

from .scripted import Client, kexinit


class StrictTests(SynchronousTestCase):
    def test_nothing_before_kexinit(self) -> None:
        client = Client()
        client.greet()
        client.theirs = b"\x14" + client.take(20)
        client.send(2, string(b""))
        client.offer(kexinit())
        self.assertEqual(client.reason()[0], 3)

    def test_without_strict_it_is_allowed(self) -> None:
        client = Client()
        client.greet()
        client.theirs = b"\x14" + client.take(20)
        client.send(2, string(b""))
        client.offer(kexinit(False))
        client.agree()
        client.newkeys()
        self.assertIs(client.server.phase, Phase.SECURED)
        # Numbers go on: version, IGNORE, KEXINIT, INIT, NEWKEYS.
        self.assertEqual(client.server.link.reader.sequence, 4)

    def test_numbers_start_again_at_each_exchange(self) -> None:
        client = Client()
        client.log_in()
        self.assertEqual(client.server.link.reader.sequence, 1)
        client.server.sendKexInit()
        client.rekey()
        self.assertEqual(client.server.link.reader.sequence, 0)
        self.assertEqual(client.server.link.writer.sequence, 0)
        client.send(80, b"x")
        self.assertEqual(client.server.service.got, [(80, b"x")])

    def test_offers(self) -> None:
        client = Client()
        fields = Fields(client.take(20))
        fields.take(16)
        kex, host_keys = fields.name_list(), fields.name_list()
        self.assertEqual(kex[:-2], Algorithms().kex)
        self.assertEqual(kex[-2:], (b"ext-info-s", b"kex-strict-s-v00@openssh.com"))
        self.assertEqual(host_keys, (b"ssh-ed25519",))

    def test_signatures_that_we_check_are_told(self) -> None:
        client = Client()
        client.secure()
        fields = Fields(client.take(7))
        self.assertEqual((fields.uint32(), fields.string()), (2, b"server-sig-algs"))
        names = fields.name_list()
        self.assertIn(b"rsa-sha2-512", names)
        self.assertNotIn(b"ssh-rsa", names)

    def test_they_are_not_told_to_who_does_not_listen(self) -> None:
        client = Client()
        client.secure(kex=(b"curve25519-sha256",))
        self.assertNotIn(7, client.kinds())


class KeyExchangeTests(SynchronousTestCase):
    def test_wrong_guess_is_ignored(self) -> None:
        client = Client()
        client.begin(guess=True)
        client.send(30, b"a guess at the first method")
        client.agree()
        client.newkeys()
        self.assertIs(client.server.phase, Phase.SECURED)

    def test_right_guess_is_taken(self) -> None:
        client = Client(algorithms=Algorithms(kex=(b"curve25519-sha256",)))
        client.begin(guess=True, kex=(b"curve25519-sha256",))
        client.agree()
        client.newkeys()
        self.assertIs(client.server.phase, Phase.SECURED)

    def test_nothing_in_common(self) -> None:
        for lists in (
            {"kex": (b"other",)},
            {"kex": (b"ext-info-s",)},
            {"kex": (b"kex-strict-s-v00@openssh.com",)},
            {"kex": ()},
            {"ciphers": (b"none",)},
            {"ciphers": (b"aes128-cbc",)},
            {"ciphers": (b"aes128-ctr",), "macs": (b"hmac-sha1",)},
            {"macs": (b"hmac-md5",), "ciphers": (b"aes128-ctr",)},
            {"compressions": (b"zlib",)},
            {"host_keys": (b"ssh-rsa",)},
        ):
            client = Client()
            client.begin(**lists)
            reason, text = client.reason()
            self.assertEqual(reason, 3, lists)
            self.assertTrue(text.startswith(b"no common"), text)

    def test_no_mac_in_common_matters_only_where_one_is_used(self) -> None:
        client = Client()
        client.secure(macs=(b"hmac-md5",))
        self.assertIs(client.server.phase, Phase.SECURED)

    def test_public_values_that_give_the_secret_away(self) -> None:
        prime = GROUP14.prime
        values = {
            b"curve25519-sha256": [string(bytes(32)), string(b"\1" + bytes(31)), string(bytes(31)), b"", bytes(40)],
            b"ecdh-sha2-nistp256": [string(b"\x04" + bytes(64)), string(b"\0"), string(b"")],
            b"mlkem768x25519-sha256": [string(bytes(1216)), string(b"\xff" * 1216), string(bytes(1215)), string(b"")],
            b"diffie-hellman-group14-sha256": [
                mpint(0),
                mpint(1),
                mpint(prime - 1),
                mpint(prime),
                mpint(prime + 5),
                string(b"\xff"),
                mpint(5) + b"x",
            ],
        }
        for kex, payloads in values.items():
            for payload in payloads:
                client = Client(algorithms=choose_algorithms(kex=[kex.decode()]))
                client.begin(kex=(kex,))
                client.send(30, payload)
                self.assertTrue(client.closed, (kex, payload[:50]))
                self.assertEqual(client.reason()[0], 3)

    def test_group_exchange_is_off(self) -> None:
        """K12."""
        client = Client()
        client.begin(kex=(b"diffie-hellman-group-exchange-sha256",))
        self.assertEqual(client.reason()[0], 3)

    def test_group_exchange_by_name(self) -> None:
        named = choose_algorithms(kex=["diffie-hellman-group-exchange-sha256"])
        for sizes, bits in (((2048, 2048, 8192), 2048), ((1024, 3000, 8192), 3072), ((2048, 9000, 9000), 8192)):
            client = Client(algorithms=named)
            client.begin(kex=(b"diffie-hellman-group-exchange-sha256",))
            client.send(34, b"".join(map(uint32, sizes)))
            self.assertEqual(Fields(client.take(31)).mpint().bit_length(), bits)
        for sizes in ((1024, 1024, 1024), (8193, 9000, 10000), (3000, 2000, 1000)):
            client = Client(algorithms=named)
            client.begin(kex=(b"diffie-hellman-group-exchange-sha256",))
            client.send(34, b"".join(map(uint32, sizes)))
            self.assertEqual(client.reason()[0], 3)

    def test_slow_methods_leave_the_reactor(self) -> None:
        """And what is said meanwhile is refused, and the end of the connection does no harm."""
        for ending in ("done", "message", "lost"):
            work: list[Callable[[], object]] = []
            later: Deferred[object] = Deferred()
            client = Client(run_slow=lambda function, work=work, later=later: work.append(function) or later)
            client.begin(kex=(b"diffie-hellman-group14-sha256",))
            client.send(30, mpint(4))
            self.assertEqual((len(work), client.kinds()), (1, []))
            if ending == "message":
                client.send(30, mpint(4))
                self.assertEqual(client.reason()[0], 2)
            if ending == "lost":
                client.lose()
            later.callback(work[0]())
            self.assertEqual(client.wire.value() != b"", ending == "done")

    def test_an_exchange_has_a_deadline(self) -> None:
        """K6."""
        client = Client()
        client.begin()
        client.clock.advance(29)
        self.assertFalse(client.closed)
        client.clock.advance(2)
        self.assertEqual(client.reason(), (3, b"the key exchange took too long"))

    def test_so_has_a_later_one(self) -> None:
        """A longer one: our offer goes behind what waits to be sent, and with it the client's answer."""
        client = Client()
        client.log_in()
        client.server.sendKexInit()
        client.clock.advance(299)
        self.assertFalse(client.closed)
        client.clock.advance(2)
        self.assertIn(b"too long", client.reason()[1])

    def test_what_waits_for_an_exchange_is_bounded(self) -> None:
        """K6."""
        client = Client()
        client.log_in()
        client.server.sendKexInit()
        client.kinds()
        for _ in range(1100):
            client.server.sendPacket(99, bytes(4))
        self.assertTrue(client.closed)
        client = Client()
        client.log_in()
        client.server.sendKexInit()
        for _ in range(100):
            client.server.sendPacket(94, bytes(32768))
        self.assertTrue(client.closed)


class RekeyTests(SynchronousTestCase):
    def test_after_a_time(self) -> None:
        client = Client()
        client.log_in()
        client.clock.advance(3599)
        self.assertNotIn(20, client.kinds())
        client.clock.advance(2)
        client.rekey()
        client.send(80, b"x")
        self.assertEqual(client.server.service.got, [(80, b"x")])
        client.clock.advance(3601)
        client.rekey()
        self.assertFalse(client.closed)

    def test_services_wait_from_the_first_moment(self) -> None:
        """Our KEXINIT went out by itself: whatever is served next must not be sent before the new keys (7.1)."""
        client = Client()
        client.log_in()
        self.assertTrue(client.server.sending)
        client.clock.advance(3601)
        self.assertFalse(client.server.sending)
        client.rekey()
        self.assertTrue(client.server.sending)

    def test_after_many_bytes_either_way(self) -> None:
        client = Client(rekey_octets=100_000)
        client.log_in()
        for _ in range(4):
            client.send(94, bytes(24_000))
        self.assertNotIn(20, client.kinds())
        client.server.sendPacket(94, bytes(9000))
        client.send(2, string(b""))
        client.rekey()
        self.assertNotIn(20, client.kinds())

    def test_after_many_packets(self) -> None:
        client = Client(rekey_packets=50)
        client.log_in()
        for _ in range(50):
            client.send(2, string(b""))
        client.rekey()

    def test_data_flows_until_the_client_answers(self) -> None:
        client = Client()
        service = client.log_in()
        client.server.sendKexInit()
        client.send(94, b"on its way")
        client.server.sendPacket(94, b"kept")
        self.assertEqual(service.got, [(94, b"on its way")])
        client.theirs = b"\x14" + client.take(20)
        self.assertNotIn(94, client.kinds())
        client.offer(kexinit())
        client.agree()
        # Sent with the new keys, before the client's NEWKEYS.
        self.assertEqual(client.take(94), b"kept")
        client.newkeys()
        client.send(94, b"after")
        self.assertEqual(service.got[1:], [(94, b"after")])

    def test_both_begin_at_once(self) -> None:
        client = Client()
        client.log_in()
        client.server.sendKexInit()
        client.server.sendKexInit()
        client.rekey()
        self.assertEqual(client.kinds(), [21])
        self.assertFalse(client.closed)

    def test_not_many_before_login(self) -> None:
        client = Client()
        client.request_login()
        for _ in range(3):
            client.offer(kexinit())
            client.rekey_again()
        self.assertFalse(client.closed)
        client.offer(kexinit())
        self.assertEqual(client.reason(), (2, b"too many key exchanges before login"))

    def test_the_session_stays_the_first_exchange(self) -> None:
        client = Client()
        client.log_in()
        first = client.server.sessionID
        client.server.sendKexInit()
        client.rekey()
        self.assertEqual((client.server.sessionID, client.session), (first, first))
