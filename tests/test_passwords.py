from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from argon2.low_level import Type, hash_secret
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from sftpgo.errors import ValidationError
from sftpgo.interfaces import IPasswords
from sftpgo.passwords import Passwords, _verify

T = TypeVar("T")

#: As little work as argon2 allows, for checks in great number.
CHEAP = hash_secret(b"secret", b"saltsalt", 1, 8, 1, 16, Type.ID).decode("ascii")


def pbkdf2(digest: str, rounds: int, salt: str, key: str) -> str:
    return f"$pbkdf2-{digest}${rounds}${salt}${base64.b64encode(bytes.fromhex(key)).decode('ascii')}"


_LONG = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MORE = b"a very much longer text to encrypt.  This one even stretches over morethan one line."

#: Published hashes with their passwords.
VECTORS = [
    # The test program of the Argon2 reference implementation.
    ("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", b"password"),
    ("$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", b"password"),
    # The test program of Openwall's crypt_blowfish.
    ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", b"U*U"),
    ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", b"U*U*"),
    ("$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e", b"\xff\xff\xa3"),
    ("$2b$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", _LONG),
    ("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui", _LONG + b"chars after 72 are ignored"),
    # Shown in the configuration guide of the original.
    ("$2a$14$ajq8Q7fbtFRQvXpdCq7Jcuy.Rx1h/L4J60Otx.gyNLbAYctGMJ9tK", b"secret"),
    ("$pbkdf2-sha256$150000$E86a9YMX3zC7$R5J62hsSq+pYw00hLLPKBbcGXmq7fj5+/M0IFoYtZbo=", b"password"),
    # RFC 6070; the last one has a key of 25 bytes.
    (pbkdf2("sha1", 1, "salt", "0c60c80f961f0e71f3a9b524af6012062fe037a6"), b"password"),
    (pbkdf2("sha1", 4096, "salt", "4b007901b765489abead49d926f721d065a429c1"), b"password"),
    (
        pbkdf2(
            "sha1",
            4096,
            "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
        b"passwordPASSWORDpassword",
    ),
    # The same input with SHA-2, as many test suites have it.
    (
        pbkdf2("sha256", 1, "salt", "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"),
        b"password",
    ),
    (
        pbkdf2("sha256", 4096, "salt", "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"),
        b"password",
    ),
    (
        pbkdf2(
            "sha512",
            1,
            "salt",
            "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252"
            "c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce",
        ),
        b"password",
    ),
    # crypt(3) of MD5.
    ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", b"password"),
    # The specification of SHA-crypt.
    (
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        b"Hello world!",
    ),
    (
        "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/"
        "YTBmSK6H9qs/y3RnOaw5v.",
        b"Hello world!",
    ),
    (
        "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1",
        _MORE,
    ),
]


class Forms(SynchronousTestCase):
    def test_published_vectors(self) -> None:
        for stored, password in VECTORS:
            self.assertTrue(_verify(stored, password, CHEAP), stored)

    def test_other_passwords(self) -> None:
        for stored, password in VECTORS:
            if stored.startswith("$2a$14$"):
                continue  # a second each
            for other in (b"x" + password, password[:-1] or b"x", password.swapcase() + b"\xff", b"a\0"):
                if other[:72] != password[:72]:  # bcrypt sees no more
                    self.assertFalse(_verify(stored, other, CHEAP), (stored, other))

    def test_names_of_the_forms(self) -> None:
        passwords = Passwords(at_once, 1)
        for stored, _password in VECTORS:
            self.assertTrue(passwords.is_hashed(stored))
            self.assertTrue(passwords.is_hashed(stored[: stored.index("$", 1) + 1]))
        for plain in ("", "secret", "$", "$argon2i$v=19$", "$2x$05$", "$5$abc", "$pbkdf2-md5$1$", " $1$", "argon2id$"):
            self.assertFalse(passwords.is_hashed(plain), plain)

    def test_plain_text_never_matches(self) -> None:
        for stored in ("", "secret", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"):
            self.assertFalse(_verify(stored, b"secret", CHEAP))
            self.assertFalse(_verify(stored, stored.encode(), CHEAP))

    def test_a_long_password_is_not_cut_but_by_bcrypt(self) -> None:
        stored = "$pbkdf2-sha1$1$salt$" + base64.b64encode(b"k" * 20).decode()
        self.assertFalse(_verify(stored, b"x" * 1024, CHEAP))
        whole = hash_secret(b"x" * 1024, b"saltsalt", 1, 8, 1, 16, Type.ID).decode()
        self.assertTrue(_verify(whole, b"x" * 1024, CHEAP))
        self.assertFalse(_verify(whole, b"x" * 1023, CHEAP))

    def test_short_keys_match_nothing(self) -> None:
        right = bytes.fromhex("0c60c80f961f0e71f3a9b524af6012062fe037a6")
        for length in range(21):
            stored = pbkdf2("sha1", 1, "salt", right[:length].hex())
            self.assertEqual(_verify(stored, b"password", CHEAP), length >= 8, length)

    def test_absurd_costs_are_refused(self) -> None:
        # Any of these, carried out, would outlast the test run or the memory.
        tail = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
        for stored in (
            f"$argon2id$v=19$m=1048577,t=1,p=1${tail}",
            f"$argon2id$v=19$m=4294967295,t=1,p=1${tail}",
            f"$argon2id$v=19$m=65536,t=4294967295,p=1${tail}",
            f"$argon2id$v=19$m=8,t=4294967295,p=1${tail}",
            f"$argon2id$v=19$m=1048576,t=1,p=65536${tail}",
            "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            pbkdf2("sha512", 999_999_999, "salt", "00" * 64),
            pbkdf2("sha1", 9_999_999, "salt", "00" * 200),
            "$6$rounds=999999999$saltstringsaltst$" + "." * 86,
            "$1$" + "a" * 100_000,
        ):
            self.assertFalse(_verify(stored, b"password", CHEAP), stored)

    def test_lanes_are_bounded(self) -> None:
        for lanes, matches in ((64, True), (65, False)):
            stored = hash_secret(b"secret", b"saltsalt", 1, 8 * lanes, lanes, 16, Type.ID).decode("ascii")
            self.assertEqual(_verify(stored, b"secret", CHEAP), matches, lanes)

    @given(
        st.sampled_from([stored for stored, _password in VECTORS if "$14$" not in stored and "m=65536" not in stored]),
        st.integers(0, 200),
        st.integers(0, 3),
        st.sampled_from(["", "$", "$$", "!", "=", "\0", "\n", "ä", "\udcff", "v=", ",", " "]),
    )
    @settings(deadline=None, max_examples=300)
    def test_a_damaged_hash_is_no_error(self, stored: str, place: int, cut: int, put: str) -> None:
        damaged = stored[:place] + put + stored[place + cut :]
        if damaged != stored:
            self.assertFalse(_verify(damaged, b"wrong", CHEAP))


def at_once(function: Callable[..., T], *args: Any) -> T:
    return function(*args)


def run(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(coroutine)


class Hashing(SynchronousTestCase):
    def setUp(self) -> None:
        self.passwords = Passwords(at_once, 1)

    def test_interface(self) -> None:
        verifyObject(IPasswords, self.passwords)

    def test_form(self) -> None:
        first = self.successResultOf(run(self.passwords.hash("sécret")))
        second = self.successResultOf(run(self.passwords.hash("sécret")))
        self.assertNotEqual(first, second)
        for stored in (first, second):
            head, salt, key = stored.rsplit("$", 2)
            self.assertEqual(head, "$argon2id$v=19$m=65536,t=3,p=2")
            self.assertEqual([len(base64.b64decode(part + "==")) for part in (salt, key)], [16, 32])
            self.assertTrue(self.passwords.is_hashed(stored))
        self.assertTrue(self.successResultOf(run(self.passwords.verify(first, "sécret".encode()))))
        self.assertFalse(self.successResultOf(run(self.passwords.verify(first, b"secret"))))

    def test_lengths(self) -> None:
        for plain in ("", "x" * 1025, "é" * 513):
            self.failureResultOf(run(self.passwords.hash(plain)), ValidationError)
        stored = self.successResultOf(run(self.passwords.hash("x" * 1024)))
        self.assertTrue(self.successResultOf(run(self.passwords.verify(stored, b"x" * 1024))))


class Costs(SynchronousTestCase):
    """How much work each answer takes, in CPU time; work that is not done is a thousand times less."""

    def setUp(self) -> None:
        self.passwords = Passwords(at_once, 1)
        self.stored = self.successResultOf(run(self.passwords.hash("secret")))
        self.wrong = self.cost(self.passwords.verify(self.stored, b"wrong"))

    def cost(self, check: Coroutine[Any, Any, bool]) -> float:
        began = time.process_time()
        self.assertFalse(self.successResultOf(run(check)))
        return time.process_time() - began

    def test_nobody_costs_what_a_wrong_password_does(self) -> None:
        self.assertGreater(self.cost(self.passwords.verify_nobody(b"wrong")), self.wrong / 4)
        self.assertLess(self.cost(self.passwords.verify_nobody(b"wrong")), self.wrong * 4)

    def test_so_does_what_cannot_match(self) -> None:
        for stored in (
            "",
            "plain",
            "$argon2id$",
            "$2a$04$",
            "$6$x",
            self.stored[:-10] + "!",
            "$1$saltsalt$" + "a" * 22,
        ):
            self.assertGreater(self.cost(self.passwords.verify(stored, b"wrong")), self.wrong / 4, stored)

    def test_nothing_is_hashed_for_an_empty_or_endless_password(self) -> None:
        def never(*args: object) -> None:
            raise AssertionError("a thread was asked for")

        passwords = Passwords(never, 1)
        for given_password in (b"", b"x" * 1025):
            self.assertFalse(self.successResultOf(run(passwords.verify(self.stored, given_password))))
            self.assertFalse(self.successResultOf(run(passwords.verify_nobody(given_password))))


class Places(SynchronousTestCase):
    """Who may run, with threads that end when the test says so."""

    def setUp(self) -> None:
        self.running: list[tuple[bytes, Deferred[bool]]] = []
        self.passwords = Passwords(self.start, 2)

    def start(self, function: Callable[..., bool], stored: str, given_password: bytes, nobody: str) -> Deferred[bool]:
        ended: Deferred[bool] = Deferred()
        self.running.append((given_password, ended))
        return ended

    def started(self) -> list[bytes]:
        return [given_password for given_password, _ended in self.running]

    def test_the_rest_wait_in_order(self) -> None:
        waiting = [run(self.passwords.verify("x", name)) for name in (b"a", b"b", b"c", b"d")]
        self.assertEqual(self.started(), [b"a", b"b"])
        self.running[1][1].callback(True)
        self.assertTrue(self.successResultOf(waiting[1]))
        self.assertEqual(self.started(), [b"a", b"b", b"c"])
        self.running[0][1].callback(False)
        self.assertFalse(self.successResultOf(waiting[0]))
        self.assertEqual(self.started(), [b"a", b"b", b"c", b"d"])
        for place in (2, 3):
            self.running[place][1].callback(True)
            self.assertTrue(self.successResultOf(waiting[place]))

    def test_a_failing_thread_gives_its_place_back(self) -> None:
        first, second = run(self.passwords.verify("x", b"a")), run(self.passwords.verify("x", b"b"))
        third = run(self.passwords.verify("x", b"c"))
        self.running[0][1].errback(MemoryError())
        self.failureResultOf(first, MemoryError)
        self.assertEqual(self.started(), [b"a", b"b", b"c"])
        for _name, ended in self.running[1:]:
            ended.callback(True)
        self.assertTrue(self.successResultOf(second))
        self.assertTrue(self.successResultOf(third))

    def test_who_no_longer_waits_gives_no_place_back_before_the_thread_ends(self) -> None:
        first, second, third = (run(self.passwords.verify("x", name)) for name in (b"a", b"b", b"c"))
        first.cancel()
        self.failureResultOf(first)
        self.assertEqual(self.started(), [b"a", b"b"])
        self.running[0][1].callback(True)
        self.assertEqual(self.started(), [b"a", b"b", b"c"])
        for _name, ended in self.running[1:]:
            ended.callback(True)
        self.assertTrue(self.successResultOf(second))
        self.assertTrue(self.successResultOf(third))


class RealThreads(TestCase):
    """The same with a pool of eight threads and two places."""

    def setUp(self) -> None:
        self.pool = ThreadPool(8, 8)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.lock = threading.Lock()
        self.threads: list[int] = []
        self.now = self.most = 0

    def watched(self, function: Callable[..., T], *args: Any) -> T:
        with self.lock:
            self.threads.append(threading.get_ident())
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return function(*args)
        finally:
            with self.lock:
                self.now -= 1

    async def test_two_at_once_and_the_reactor_goes_on(self) -> None:
        in_pool = partial(deferToThreadPool, reactor, self.pool)
        passwords = Passwords(lambda function, *args: in_pool(self.watched, function, *args), 2)
        turns: list[int] = []
        ticking = LoopingCall(lambda: turns.append(self.now))
        stopped = ticking.start(0.001)
        stored = await passwords.hash("secret")
        answers = await gatherResults(
            [run(passwords.verify(stored, given_password)) for given_password in (b"secret", b"x") * 3]
        )
        ticking.stop()
        await stopped
        self.assertEqual(answers, [True, False] * 3)
        self.assertEqual(self.most, 2)
        self.assertEqual(len(self.threads), 7)
        self.assertNotIn(threading.get_ident(), self.threads)
        self.assertIn(2, turns, "the reactor did not run while two threads hashed")
