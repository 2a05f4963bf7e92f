"""Key exchange methods and groups against other implementations and published numbers; the choice of algorithms."""

from __future__ import annotations

import hashlib
import random

from cryptography.hazmat.primitives.asymmetric import ec, mlkem, x25519
from twisted.conch.ssh._kex import getDHGeneratorAndPrime
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.algorithms import DEFAULT_CIPHERS, DEFAULT_KEX, DEFAULT_MACS, choose_algorithms
from sftpgo.ssh.fields import Fields, MalformedMessage, mpint, name_list, string, uint32
from sftpgo.ssh.groups import EXCHANGEABLE, GROUP1, GROUP14, GROUP18, group_between
from sftpgo.ssh.kex import METHODS, Agreement, FixedGroup, GroupExchange, key_cutter


def agree(name: bytes, payload: bytes) -> Agreement:
    method = METHODS[name]
    assert not isinstance(method, GroupExchange)
    return method.agree(payload)


class MethodTests(SynchronousTestCase):
    def test_curve25519(self) -> None:
        key = x25519.X25519PrivateKey.generate()
        done = agree(b"curve25519-sha256", string(key.public_key().public_bytes_raw()))
        secret = key.exchange(x25519.X25519PublicKey.from_public_bytes(Fields(done.server).string()))
        self.assertEqual(done.secret, mpint(int.from_bytes(secret, "big")))

    def test_nist_curves(self) -> None:
        for name, curve in ((b"256", ec.SECP256R1()), (b"384", ec.SECP384R1()), (b"521", ec.SECP521R1())):
            key = ec.generate_private_key(curve)
            numbers = key.public_key().public_numbers()
            size = (curve.key_size + 7) // 8
            point = b"\4" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
            done = agree(b"ecdh-sha2-nistp" + name, string(point))
            peer = ec.EllipticCurvePublicKey.from_encoded_point(curve, Fields(done.server).string())
            self.assertEqual(done.secret, mpint(int.from_bytes(key.exchange(ec.ECDH(), peer), "big")))

    def test_hybrid(self) -> None:
        lattice, curve = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        done = agree(b"mlkem768x25519-sha256", string(public))
        server = Fields(done.server).string()
        quantum = lattice.decapsulate(server[:1088])
        classical = curve.exchange(x25519.X25519PublicKey.from_public_bytes(server[1088:]))
        self.assertEqual(done.secret, string(hashlib.sha256(quantum + classical).digest()))

    def test_groups(self) -> None:
        for name in (b"diffie-hellman-group14-sha256", b"diffie-hellman-group16-sha512"):
            method = METHODS[name]
            assert isinstance(method, FixedGroup)
            prime, private = method.group.prime, 0x1234567
            done = method.agree(mpint(pow(2, private, prime)))
            self.assertEqual(done.secret, mpint(pow(Fields(done.server).mpint(), private, prime)))
            self.assertTrue(method.slow)

    def test_private_exponents_are_fresh_and_long(self) -> None:
        privates = {GROUP14.private() for _ in range(20)}
        self.assertEqual(len(privates), 20)
        self.assertEqual({private.bit_length() for private in privates}, {320})

    def test_keys_longer_than_the_hash(self) -> None:
        """RFC 4253 section 7.2."""
        cut = key_cutter("sha256", b"K", b"H", b"I")
        first = hashlib.sha256(b"KHDI").digest()
        second = hashlib.sha256(b"KH" + first).digest()
        third = hashlib.sha256(b"KH" + first + second).digest()
        self.assertEqual(cut(b"D", 80), (first + second + third)[:80])
        self.assertEqual(cut(b"D", 16), first[:16])


class GroupTests(SynchronousTestCase):
    def test_group_14_is_conchs(self) -> None:
        self.assertEqual((2, GROUP14.prime), getDHGeneratorAndPrime(b"diffie-hellman-group14-sha1"))

    def test_primes_end_as_published(self) -> None:
        """The last 64 bits before the ones (RFC 2409 section 6.2, RFC 3526 sections 3 to 7)."""
        known = {
            1024: 0x49286651ECE65381,
            2048: 0x15728E5A8AACAA68,
            3072: 0x4B82D120A93AD2CA,
            4096: 0x4DF435C934063199,
            6144: 0xE694F91E6DCC4024,
            8192: 0x60C980DD98EDD3DF,
        }
        for group in (GROUP1, *EXCHANGEABLE.values()):
            self.assertEqual(group.prime.bit_length(), group.bits)
            self.assertEqual(group.prime >> 64 & 0xFFFFFFFFFFFFFFFF, known[group.bits], group.bits)
            self.assertEqual(group.prime & 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)

    def test_primes_are_safe(self) -> None:
        """Prime, and half of them too: no small subgroup to be forced into.  (The larger take too long here.)"""
        for group in (GROUP1, GROUP14, EXCHANGEABLE[3072]):
            for number in (group.prime, group.prime // 2):
                base = random.Random(1).randrange(2, number)
                self.assertEqual(pow(base, number - 1, number), 1)

    def test_choice(self) -> None:
        self.assertIs(group_between(1024, 2048, 8192), GROUP14)
        self.assertEqual(group_between(1024, 2049, 8192).bits, 3072)
        self.assertEqual(group_between(1024, 8192, 5000).bits, 4096)
        self.assertIs(group_between(8192, 8192, 8192), GROUP18)
        for sizes in ((1, 1, 2047), (8193, 1, 10000), (5, 4, 3)):
            with self.assertRaises(ValueError):
                group_between(*sizes)


class AlgorithmTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        chosen = choose_algorithms()
        self.assertEqual((chosen.kex, chosen.ciphers, chosen.macs), (DEFAULT_KEX, DEFAULT_CIPHERS, DEFAULT_MACS))
        everything = b" ".join((*chosen.kex, *chosen.ciphers, *chosen.macs, *chosen.signatures, *chosen.compressions))
        for legacy in (
            b"sha1",
            b"cbc",
            b"md5",
            b"exchange",
            b"group1-",
            b"arcfour",
            b"ssh-rsa",
            b"dss",
            b"ecdh-sha2-nistp",
        ):
            self.assertNotIn(legacy, everything)
        self.assertNotIn(b"none", (*chosen.ciphers, *chosen.macs))

    def test_lists_choose_and_order(self) -> None:
        chosen = choose_algorithms(
            kex=["diffie-hellman-group14-sha1", "curve25519-sha256"],
            ciphers=["aes256-ctr", "3des-cbc", "aes256-ctr"],
            macs=["hmac-sha1-96"],
        )
        self.assertEqual(chosen.kex, (b"diffie-hellman-group14-sha1", b"curve25519-sha256"))
        self.assertEqual(chosen.ciphers, (b"aes256-ctr", b"3des-cbc"))
        self.assertEqual(chosen.macs, (b"hmac-sha1-96",))

    def test_unknown_names(self) -> None:
        for setting, key in (("kex_algorithms", "kex"), ("ciphers", "ciphers"), ("macs", "macs")):
            for name in ("none", "arcfour", "", "hmac-md5", "kex-strict-s-v00@openssh.com", "é"):
                with self.assertRaises(ValueError) as caught:
                    choose_algorithms(**{key: [name]})
                text = str(caught.exception)
                self.assertTrue(text.startswith(f"{setting}: {name!r} is not known; known are "), text)
        self.assertIn("aes128-gcm@openssh.com", str(self.failure_of_ciphers()))

    def failure_of_ciphers(self) -> Exception:
        try:
            choose_algorithms(ciphers=["x"])
        except ValueError as error:
            return error
        raise AssertionError("accepted")


class FieldTests(SynchronousTestCase):
    def test_mpint_of_rfc_4251(self) -> None:
        for value, encoded in (
            (0, "00000000"),
            (0x9A378F9B2E332A7, "0000000809a378f9b2e332a7"),
            (0x80, "000000020080"),
        ):
            self.assertEqual(mpint(value).hex(), encoded)
            self.assertEqual(Fields(bytes.fromhex(encoded)).mpint(), value)
        with self.assertRaises(MalformedMessage):
            Fields(bytes.fromhex("00000002edcc")).mpint()

    def test_everything_ends(self) -> None:
        for read in (
            lambda: Fields(b"\0\0\0").uint32(),
            lambda: Fields(b"\0\0\0\2x").string(),
            lambda: Fields(b"").boolean(),
            lambda: Fields(b"x").end(),
            lambda: Fields(uint32(2**32 - 1) + b"x").name_list(),
        ):
            with self.assertRaises(MalformedMessage):
                read()

    def test_lists(self) -> None:
        self.assertEqual(Fields(name_list((b"a", b"b"))).name_list(), (b"a", b"b"))
        self.assertEqual(Fields(name_list(())).name_list(), ())
