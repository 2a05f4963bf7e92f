"""A descriptor is closed once, and never in use."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.storage.lease import Lease


class LeaseTests(SynchronousTestCase):
    """L{Lease}."""

    def setUp(self):
        self.closed = []
        self.lease = Lease(7, lambda: self.closed.append(7))

    def test_closed_at_once_when_idle(self):
        self.assertEqual(self.lease.acquire(), 7)
        self.lease.release()
        self.assertEqual(self.closed, [])
        self.lease.close()
        self.lease.close()
        self.assertEqual(self.closed, [7])

    def test_closed_by_the_last_user(self):
        self.lease.acquire()
        self.lease.acquire()
        self.lease.close()
        self.lease.release()
        self.assertEqual(self.closed, [])
        self.lease.close()
        self.lease.release()
        self.assertEqual(self.closed, [7])

    def test_not_given_out_after_close(self):
        self.lease.acquire()
        self.lease.close()
        self.assertRaises(OSError, self.lease.acquire)
        self.lease.release()
        self.assertRaises(OSError, self.lease.acquire)
        self.assertEqual(self.closed, [7])
