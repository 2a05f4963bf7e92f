"""How many strangers are let in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.admission import Admission, Limits, Ticket

from .scripted import Client


class AdmissionTests(SynchronousTestCase):
    def test_from_one_address(self) -> None:
        admission = Admission(Limits())
        tickets = [admission.enter("a", self.fail) for _ in range(12)]
        self.assertEqual([ticket is None for ticket in tickets], [False] * 10 + [True] * 2)
        self.assertIsNotNone(admission.enter("b", self.fail))
        tickets[0].leave()
        tickets[0].leave()
        self.assertIsNotNone(admission.enter("a", self.fail))
        self.assertIsNone(admission.enter("a", self.fail))

    def test_one_more_drives_out_the_oldest_of_the_most(self) -> None:
        cut: list[str] = []
        admission = Admission(Limits(total=6, each=3))
        for name in ("x1", "a1", "a2", "b1", "b2", "b3"):
            admission.enter(name[0], lambda name=name: cut.append(name))
        for wanted in (["b1"], ["b1", "a1"]):
            self.assertIsNotNone(admission.enter("c", lambda: cut.append("c")))
            self.assertEqual((cut, admission.strangers), (wanted, 6))

    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=100))
    def test_counts_return_to_nothing(self, steps: list[tuple[str, bool]]) -> None:
        admission = Admission(Limits(total=8, each=4))
        inside: list[tuple[str, Ticket]] = []
        cut: list[Ticket] = []
        for address, enters in steps:
            if enters:
                tickets: list[Ticket] = []
                ticket = admission.enter(address, lambda tickets=tickets: cut.append(tickets[0]))
                self.assertEqual(ticket is None, [a for a, _ in inside].count(address) == 4)
                if ticket is not None:
                    tickets.append(ticket)
                    inside.append((address, ticket))
                inside = [one for one in inside if one[1] not in cut]
            elif inside:
                inside.pop(0)[1].leave()
            self.assertEqual(admission.strangers, len(inside))
            self.assertLessEqual(len(inside), 8)
        for _, ticket in inside:
            ticket.leave()
        self.assertEqual((admission.strangers, dict(admission._by_address)), (0, {}))

    def test_transport_gives_the_place_back(self) -> None:
        for log_in in (True, False):
            admission = Admission(Limits())
            client = Client()
            client.server.leave = admission.enter("a", self.fail).leave
            if log_in:
                client.log_in()
                self.assertEqual(admission.strangers, 0)
            else:
                client.secure()
                self.assertEqual(admission.strangers, 1)
            client.lose()
            self.assertEqual(admission.strangers, 0)
