"""Services told over multicast DNS, seen by a real browser."""

from __future__ import annotations

import secrets

import zeroconf
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.mdns import Advertisement, MDNSError
from tests.doubles import HeldThreads, run_now
from tests.mdns import Browser, need_multicast

#: The interface is shared with whoever else runs tests on this machine.
UNIQUE = secrets.token_hex(4)


def advertisement(port: int, text: dict[str, str] | None = None, run=run_now) -> Advertisement:
    return Advertisement(f"SFTPGo test {UNIQUE} {port}", port, "127.0.0.1", text or {"version": "1"}, run)


class AdvertisementTests(SynchronousTestCase):
    """On the loopback interface."""

    def test_seen(self) -> None:
        """It comes with what belongs to it, and goes."""
        need_multicast()
        browser = Browser()
        self.addCleanup(browser.close)
        told = advertisement(2022, {"version": "1.2", "user": "a=b", "password": "pä ss"})
        name = self.successResultOf(Deferred.fromCoroutine(told.start()))
        self.addCleanup(self.stop, told)
        self.assertEqual(name, f"SFTPGo test {UNIQUE} 2022")
        self.assertTrue(browser.wait_for(name))
        self.assertEqual(
            browser.details(name),
            (2022, ["127.0.0.1"], [b"version=1.2", b"user=a=b", "password=pä ss".encode()]),
        )
        self.stop(told)
        self.assertTrue(browser.wait_for(name, gone=True))
        self.stop(told)

    def stop(self, told: Advertisement) -> None:
        self.successResultOf(Deferred.fromCoroutine(told.stop()))

    def test_too_long(self) -> None:
        """A string of more than 255 bytes is no part of a TXT record (RFC 1035, section 3.3)."""
        told = advertisement(2023, {"password": "x" * 300})
        self.assertTrue(str(self.failureResultOf(Deferred.fromCoroutine(told.start()), MDNSError).value))
        self.stop(told)

    def test_no_network(self) -> None:
        self.patch(zeroconf, "get_all_addresses", lambda: ["127.0.0.1"])
        told = Advertisement("SFTPGo test", 2024, "", {}, run_now)
        failure = self.failureResultOf(Deferred.fromCoroutine(told.start()), MDNSError)
        self.assertEqual(str(failure.value), "this machine has no address on a network")

    def test_not_our_address(self) -> None:
        told = Advertisement("SFTPGo test", 2024, "203.0.113.1", {}, run_now)
        self.failureResultOf(Deferred.fromCoroutine(told.start()), MDNSError)

    def test_stopped_while_it_starts(self) -> None:
        """What is being told is told to its end, then taken back."""
        need_multicast()
        threads = HeldThreads()
        told = advertisement(2025, run=threads.run)
        starting = Deferred.fromCoroutine(told.start())
        stopping = Deferred.fromCoroutine(told.stop())
        self.assertNoResult(stopping)
        threads.release()
        self.assertEqual(self.successResultOf(starting), f"SFTPGo test {UNIQUE} 2025")
        self.assertNoResult(stopping)
        threads.release()
        self.successResultOf(stopping)
