"""What has happened between two looks at the connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from sftpgo.domain.connection import ConnectionInfo, TransferInfo

CONNECTED = "connected"
DISCONNECTED = "disconnected"
TRANSFER_STARTED = "transfer_started"
TRANSFER_PROGRESS = "transfer_progress"
TRANSFER_ENDED = "transfer_ended"


@attrs.frozen
class Event:
    """One thing that happened to a connection.

    @ivar connection: as it is now; as it was last, when it is gone.
    @ivar transfer: the one it happened to.
    """

    kind: str
    connection: ConnectionInfo
    transfer: TransferInfo | None = None


def changes(before: Sequence[ConnectionInfo], after: Sequence[ConnectionInfo]) -> Iterator[Event]:
    """The events that lead from one list of connections to the next, each connection's together.

    What began and ended in between is not seen.
    """
    old = {connection.connection_id: connection for connection in before}
    new = {connection.connection_id: connection for connection in after}
    for name, connection in old.items():
        if name not in new:
            yield from (Event(TRANSFER_ENDED, connection, transfer) for transfer in connection.active_transfers)
            yield Event(DISCONNECTED, connection)
    for name, connection in new.items():
        known = old.get(name)
        if known is None:
            yield Event(CONNECTED, connection)
        yield from _transfers(known.active_transfers if known else (), connection)


def _transfers(before: Sequence[TransferInfo], connection: ConnectionInfo) -> Iterator[Event]:
    old, new = _named(before), _named(connection.active_transfers)
    yield from (Event(TRANSFER_ENDED, connection, old[name]) for name in old if name not in new)
    for name, transfer in new.items():
        known = old.get(name)
        if known is None:
            yield Event(TRANSFER_STARTED, connection, transfer)
        elif known.size != transfer.size:
            yield Event(TRANSFER_PROGRESS, connection, transfer)


def _named(transfers: Sequence[TransferInfo]) -> dict[tuple[str, int, str, int], TransferInfo]:
    """By what stays the same; two of one file that were started in one millisecond are told apart by their order."""
    seen: Counter[tuple[str, int, str]] = Counter()
    named = {}
    for transfer in transfers:
        name = (transfer.operation_type, transfer.start_time, transfer.path)
        named[(*name, seen[name])] = transfer
        seen[name] += 1
    return named
