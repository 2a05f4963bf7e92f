"""C{/api/v1/providerstatus}: whether the data provider answers; C{/api/v1/status}: how the whole server is."""

from __future__ import annotations

import platform

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from sftpgo.disks import DiskReport, Disks
from sftpgo.domain.activity import Totals
from sftpgo.errors import SFTPGoError
from sftpgo.interfaces import IDataProvider
from sftpgo.version import VersionInfo
from sftpgo.web.activity import Activity
from sftpgo.web.respond import Answer, status_answer
from sftpgo.web.routes import Route
from twisted import __version__ as twisted_version

#: Seconds that a data provider may take for its sign of life before it is called dead.
_PATIENCE = 5.0


class ProviderStatus:
    """Asks the data provider for a sign of life."""

    def __init__(self, provider: IDataProvider) -> None:
        self._provider = provider

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/providerstatus", self.get),)

    async def get(self, _request: Request) -> Answer:
        """C{Alive}, or 500 with what is wrong."""
        await self._provider.check()
        return status_answer(200, message="Alive")


@attrs.frozen
class ProviderHealth:
    """The data provider's sign of life.

    @ivar error: what is wrong; empty when it answered.
    @ivar elapsed_ms: how long the answer took.
    """

    available: bool
    error: str
    elapsed_ms: int


@attrs.frozen
class ServerStatus:
    """How the server is, as the API and the dashboard show it, in that order.

    @ivar start_time: unix milliseconds.
    @ivar history: the last minutes, oldest first.
    """

    version: str
    python_version: str
    twisted_version: str
    start_time: int
    provider: ProviderHealth
    totals: Totals
    history: tuple[Totals, ...]
    disks: DiskReport


class _NoAnswer(SFTPGoError):
    """The data provider did not answer in time."""


class Status:
    """Takes together how the server is."""

    def __init__(
        self, provider: IDataProvider, activity: Activity, disks: Disks, version: VersionInfo, clock: IReactorTime
    ) -> None:
        self._provider = provider
        self._activity = activity
        self._disks = disks
        self._version = version
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", "/api/v1/status", self.get),)

    async def get(self, _request: Request) -> Answer:
        """L{ServerStatus} as JSON."""
        return Answer(attrs.asdict(await self.now()))

    async def now(self) -> ServerStatus:
        """How it is now.  Does not fail when the data provider does: that is something to show."""
        # One after the other: the disks' walk would only be waited for longer by a store that does not answer.
        provider = await self._health()
        disks = await self._disks.report()
        return ServerStatus(
            str(self._version),
            platform.python_version(),
            twisted_version,
            self._activity.started,
            provider,
            self._activity.totals(),
            self._activity.history(),
            disks,
        )

    async def _health(self) -> ProviderHealth:
        asked = self._clock.seconds()
        error = ""
        asking: Deferred[None] = Deferred.fromCoroutine(_ask(self._provider))
        try:
            await asking.addTimeout(_PATIENCE, self._clock, _too_late)
        except SFTPGoError as wrong:
            error = str(wrong)
        return ProviderHealth(not error, error, max(0, round((self._clock.seconds() - asked) * 1000)))


async def _ask(provider: IDataProvider) -> None:
    await provider.check()


def _too_late(_result: object, seconds: float) -> None:
    raise _NoAnswer(f"no answer within {seconds:g} s")
