from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.connection import ConnectionInfo, TransferInfo
from sftpgo.domain.events import CONNECTED, DISCONNECTED, TRANSFER_ENDED, TRANSFER_STARTED, changes

_TRANSFERS = st.lists(
    st.builds(
        TransferInfo,
        st.sampled_from(["upload", "download"]),
        st.integers(0, 2),
        st.integers(0, 3),
        st.just(0),
        st.sampled_from(["/a", "/b"]),
    ),
    max_size=4,
).map(tuple)
_LISTS = st.dictionaries(st.sampled_from("abc"), _TRANSFERS).map(
    lambda found: tuple(
        ConnectionInfo("u", name, "SSH-2.0-x", "127.0.0.1:1", 0, 0, "SFTP", transfers, "")
        for name, transfers in found.items()
    )
)


def one(*transfers: TransferInfo, name: str = "a") -> ConnectionInfo:
    return ConnectionInfo("u", name, "SSH-2.0-x", "127.0.0.1:1", 0, 0, "SFTP", transfers, "")


class ChangesTests(SynchronousTestCase):
    def kinds(self, before: tuple[ConnectionInfo, ...], after: tuple[ConnectionInfo, ...]) -> list[str]:
        return [event.kind for event in changes(before, after)]

    def test_kinds(self) -> None:
        transfer = TransferInfo("upload", 1, 0, 1, "/f")
        moved = attrs.evolve(transfer, size=5)
        self.assertEqual(self.kinds((), (one(transfer),)), ["connected", "transfer_started"])
        self.assertEqual(self.kinds((one(transfer),), (one(moved),)), ["transfer_progress"])
        self.assertEqual(self.kinds((one(moved),), (one(),)), ["transfer_ended"])
        self.assertEqual(self.kinds((one(moved),), ()), ["transfer_ended", "disconnected"])
        self.assertEqual(self.kinds((one(),), (one(name="b"),)), ["disconnected", "connected"])

    def test_two_of_one_file(self) -> None:
        transfer = TransferInfo("upload", 1, 0, 1, "/f")
        self.assertEqual(self.kinds((one(),), (one(transfer, transfer),)), ["transfer_started", "transfer_started"])
        self.assertEqual(self.kinds((one(transfer, transfer),), (one(transfer),)), ["transfer_ended"])

    @settings(deadline=None, max_examples=150)
    @given(_LISTS, _LISTS)
    def test_they_lead_from_the_one_to_the_other(
        self, before: tuple[ConnectionInfo, ...], after: tuple[ConnectionInfo, ...]
    ) -> None:
        self.assertEqual(self.kinds(before, before), [])
        names = {connection.connection_id for connection in before}
        running = sum(len(connection.active_transfers) for connection in before)
        for event in changes(before, after):
            if event.kind == CONNECTED:
                names.add(event.connection.connection_id)
            elif event.kind == DISCONNECTED:
                names.remove(event.connection.connection_id)
            running += (event.kind == TRANSFER_STARTED) - (event.kind == TRANSFER_ENDED)
        self.assertEqual(names, {connection.connection_id for connection in after})
        self.assertEqual(running, sum(len(connection.active_transfers) for connection in after))
