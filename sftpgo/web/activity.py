"""What the server does, in numbers: as it is now, and as it was in the last minutes."""

from __future__ import annotations

from collections import deque

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from sftpgo.domain.activity import Totals
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.metrics import Metrics

#: Seconds between two remembered moments, and how many of them are remembered: ten minutes.
STEP = 5.0
REMEMBERED = 121


class Activity:
    """Takes the numbers together, and remembers some so that a dashboard need not begin with an empty plot.

    @param clock: tells unix time in seconds.
    @ivar started: when the server started, unix milliseconds.
    """

    def __init__(self, registry: ConnectionRegistry, metrics: Metrics, clock: IReactorTime) -> None:
        self._registry = registry
        self._metrics = metrics
        self._clock = clock
        self._remembered: deque[Totals] = deque(maxlen=REMEMBERED)
        self._looking = LoopingCall(self._remember)
        self._looking.clock = clock
        self.started = self._now()

    def start(self) -> None:
        """Begin to remember."""
        if not self._looking.running:
            self._looking.start(STEP)

    def stop(self) -> None:
        """Remember no more."""
        if self._looking.running:
            self._looking.stop()

    def totals(self) -> Totals:
        """As it is now."""
        registry, count = self._registry, self._metrics.count
        uploaded, downloaded = registry.moved()
        return Totals(
            time=self._now(),
            connections=registry.active(),
            transfers=registry.transfers(),
            uploaded=uploaded,
            downloaded=downloaded,
            uploads=count("sftpgo_uploads_total"),
            downloads=count("sftpgo_downloads_total"),
            upload_errors=count("sftpgo_upload_errors_total"),
            download_errors=count("sftpgo_download_errors_total"),
            logins_ok=count("sftpgo_login_ok_total"),
            logins_failed=count("sftpgo_login_ko_total"),
            provider_available=self._metrics.available,
        )

    def history(self) -> tuple[Totals, ...]:
        """The remembered moments, oldest first."""
        return tuple(self._remembered)

    def _remember(self) -> None:
        self._remembered.append(self.totals())

    def _now(self) -> int:
        return round(self._clock.seconds() * 1000)
