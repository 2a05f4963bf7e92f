"""Shows what goes on: a line that stays for each finished transfer and each warning, and how the running ones move."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from sftpgo.domain.connection import UPLOAD, Connection, ConnectionRegistry, Transfer
from sftpgo.log.records import APP, DIGESTED_TRANSFER, TRANSFER
from sftpgo.portable.progress import Meter, Style, View, row
from sftpgo.portable.screen import Screen
from sftpgo.portable.shown import amount, quoted
from sftpgo.printable import printable

#: Seconds between two looks at the running transfers.
_INTERVAL = 0.25

_MOST_ROWS = 8
_BAD = (LogLevel.warn, LogLevel.error, LogLevel.critical)


@implementer(ILogObserver)
class Reporter:
    """Tells of what is in the log that the person at the terminal wants to know, from L{release} on.

    @param directory: what is shared; paths are shown as clients see them.
    @param registry: knows from where a connection came.
    """

    def __init__(self, say: Callable[[str], None], directory: str, registry: ConnectionRegistry | None = None) -> None:
        self.registry = registry
        self._say = say
        self._directory = directory.rstrip("/")
        self._held: list[str] | None = []

    def __call__(self, event: LogEvent) -> None:
        """Take one event."""
        record = event.get("record")
        if record is TRANSFER or record is DIGESTED_TRANSFER:
            self._tell(self._transfer(event))
        elif event.get("log_level") in _BAD:
            self._tell(printable(f"{event['log_level'].name}: {_text(event)}"))

    def release(self) -> None:
        """Tell what was held back: the server is up, and it will not be all there is to say."""
        held, self._held = self._held or [], None
        for line in held:
            self._say(line)

    def _tell(self, line: str) -> None:
        if self._held is None:
            self._say(line)
        else:
            self._held.append(line)

    def _transfer(self, event: LogEvent) -> str:
        size, seconds = event["size_bytes"], event["elapsed_ms"] / 1000
        speed = f", {amount(size / seconds)}/s" if seconds else ""
        path = event["file_path"].removeprefix(self._directory)
        verb = "uploaded" if event["sender"] == "Upload" else "downloaded"
        who = printable(event["username"]) + self._origin(event["connection_id"])
        return f"{verb} {quoted(path)}: {amount(size)} in {seconds:.1f} s{speed}, {who}"

    def _origin(self, connection_id: str) -> str:
        connection = self.registry.get(connection_id) if self.registry is not None else None
        return f" from {connection.remote_address}" if connection is not None else ""


def _text(event: LogEvent) -> str:
    text = event["text"] if event.get("record") is APP else formatEvent(event)
    failure = event.get("log_failure")
    return f"{text}: {failure.type.__name__}: {failure.getErrorMessage()}" if failure is not None else str(text)


class Watch:
    """Draws the running transfers, several times a second.

    @param terminal: a descriptor whose size is the screen's.
    """

    def __init__(self, registry: ConnectionRegistry, screen: Screen, style: Style, clock: Any, terminal: int) -> None:
        self._registry = registry
        self._screen = screen
        self._style = style
        self._clock = clock
        self._terminal = terminal
        self._meters: dict[Transfer, Meter] = {}
        self._loop = LoopingCall(self.look)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin to look."""
        self._loop.start(_INTERVAL)

    def stop(self) -> None:
        """Look no more, and show nothing."""
        if self._loop.running:
            self._loop.stop()
        self._screen.show(())

    def look(self) -> None:
        """Draw what is running now."""
        running = self._registry.running()
        self._meters = {transfer: self._meter(transfer) for _, transfer in running}
        columns, lines = self._size()
        most = max(1, min(_MOST_ROWS, lines - 2))
        rows = [row(self._view(*each), columns, self._style) for each in running[:most]]
        if len(running) > most:
            rows[-1] = f"and {len(running) - most + 1} more"[: columns - 1]
        self._screen.show(rows)

    def _meter(self, transfer: Transfer) -> Meter:
        return self._meters.get(transfer) or Meter(transfer.size, self._clock.seconds())

    def _view(self, connection: Connection, transfer: Transfer) -> View:
        return View(
            upload=transfer.operation_type == UPLOAD,
            path=transfer.path,
            user=f"{connection.username}@{connection.remote_address.rpartition(':')[0]}",
            size=transfer.size,
            total=transfer.total,
            speed=self._meters[transfer].measure(transfer.size, self._clock.seconds()),
        )

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self._terminal)
        except OSError:
            columns, lines = 0, 0
        usual = shutil.get_terminal_size()
        return columns or usual.columns, lines or usual.lines
