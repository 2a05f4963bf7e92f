"""How many strangers are let in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.admission import Admission, Limits

from .scripted import Client


class AdmissionTests(SynchronousTestCase):
    def test_from_one_address(self) -> None:
        admission = Admission(Limits())
        tickets = [admission.enter("a") for _ in range(12)]
        self.assertEqual([ticket is None for ticket in tickets], [False] * 10 + [True] * 2)
        self.assertIsNotNone(admission.enter("b"))
        tickets[0].leave()
        tickets[0].leave()
        self.assertIsNotNone(admission.enter("a"))
        self.assertIsNone(admission.enter("a"))

    def test_in_all(self) -> None:
        admission = Admission(Limits(), lambda: 0.9999)
        admitted = [admission.enter(str(number)) for number in range(200)]
        self.assertEqual(sum(ticket is not None for ticket in admitted), 100)
        self.assertEqual(admission.strangers, 100)

    def test_some_are_refused_early(self) -> None:
        for drawn, most in ((0.0, 50), (0.29, 50), (0.31, 51), (0.66, 76)):
            admission = Admission(Limits(), lambda drawn=drawn: drawn)
            for number in range(200):
                admission.enter(str(number))
            self.assertEqual(admission.strangers, most)

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=100))
    def test_counts_return_to_nothing(self, steps: list[tuple[str, bool]]) -> None:
        admission = Admission(Limits(total=8, each=4, early=8))
        inside = []
        for address, enters in steps:
            if enters:
                ticket = admission.enter(address)
                self.assertEqual(ticket is None, len(inside) == 8 or [a for a, _ in inside].count(address) == 4)
                if ticket is not None:
                    inside.append((address, ticket))
            elif inside:
                inside.pop(0)[1].leave()
            self.assertEqual(admission.strangers, len(inside))
        for _, ticket in inside:
            ticket.leave()
        self.assertEqual((admission.strangers, dict(admission._by_address)), (0, {}))

    def test_transport_gives_the_place_back(self) -> None:
        for log_in in (True, False):
            admission = Admission(Limits())
            client = Client()
            client.server.leave = admission.enter("a").leave
            if log_in:
                client.log_in()
                self.assertEqual(admission.strangers, 0)
            else:
                client.secure()
                self.assertEqual(admission.strangers, 1)
            client.lose()
            self.assertEqual(admission.strangers, 0)
