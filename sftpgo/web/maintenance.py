"""C{/api/v1/dumpdata} and C{/api/v1/loaddata}: all users into a file of the server, and back."""

from __future__ import annotations

import attrs
from twisted.internet.defer import DeferredLock
from twisted.web.server import Request

from sftpgo.domain.backups import BackupRefused, LoadReport
from sftpgo.interfaces import IBackups
from sftpgo.log import Log
from sftpgo.web import body, parameters
from sftpgo.web.respond import Answer, Refused, status_answer
from sftpgo.web.routes import Route

_DUMP = "/api/v1/dumpdata"
_LOAD = "/api/v1/loaddata"

#: Bytes of a file that GET loads; POST loads any.
MAX_SIZE = 10 * 1024 * 1024


class Maintenance:
    """Writes and loads dumps.

    @param changes: held while a dump is loaded: no other change of a user comes in between.
    """

    def __init__(self, backups: IBackups, changes: DeferredLock, log: Log) -> None:
        self._backups = backups
        self._changes = changes
        self._log = log

    def routes(self) -> tuple[Route, ...]:
        """What this answers: GET as the original does, and POST as it should be."""
        return (
            Route("GET", _DUMP, self.dump, changes=True),
            Route("POST", _DUMP, self.dump_posted),
            Route("GET", _LOAD, self.load, changes=True),
            Route("POST", _LOAD, self.load_posted),
        )

    async def dump(self, request: Request) -> Answer:
        """Write all users to C{output_file} below the directory of backups."""
        return await self._dump(parameters.Query(request).text("output_file"))

    async def dump_posted(self, request: Request) -> Answer:
        """The same, with C{output_file} in a JSON object."""
        return await self._dump(_Fields(body.read(request)).text("output_file"))

    async def load(self, request: Request) -> Answer:
        """Add or replace the users of C{input_file}; C{scan_quota} says whose homes are scanned then."""
        query = parameters.Query(request)
        scan_quota = query.integer("scan_quota", 0)
        await self._load(query.text("input_file"), scan_quota, max_size=MAX_SIZE)
        return status_answer(200, message="Data restored")

    async def load_posted(self, request: Request) -> Answer:
        """The same with a JSON object, for files of any size, and with a report on the users."""
        fields = _Fields(body.read(request))
        scan_quota, partial = fields.integer("scan_quota"), fields.flag("partial")
        try:
            report = await self._load(fields.text("input_file"), scan_quota, partial)
        except BackupRefused as error:
            if error.report is None:
                raise
            return _with_report(status_answer(400, error=error.error, message=error.message), error.report)
        return _with_report(status_answer(200, message="Data restored"), report)

    async def _dump(self, name: str) -> Answer:
        try:
            count = await self._backups.save(name)
        except OSError as error:
            raise Refused(500, f"the dump cannot be written: {error.strerror}") from error
        self._log.info(f"{count} users dumped to {name!r}")
        return status_answer(200, message="Data saved")

    async def _load(self, path: str, scan_quota: int, partial: bool = False, max_size: int | None = None) -> LoadReport:
        async with self._changes:
            try:
                report = await self._backups.load(path, scan_quota, partial, max_size)
            except OSError as error:
                raise Refused(500, f"input_file cannot be read: {error.strerror}") from error
        self._log.info(
            f"{path!r} loaded: {report.added} users added, {report.updated} updated, {report.refused} refused"
        )
        return report


class _Fields:
    """What a posted object names; keys are matched without regard to case."""

    def __init__(self, content: bytes) -> None:
        value = body.decode(content)
        if not isinstance(value, dict):
            raise Refused(400, "the body must be an object")
        self._values = {name.lower(): given for name, given in value.items()}

    def text(self, name: str) -> str:
        """A string; the empty one when it is not there."""
        value = self._values.get(name)
        if not isinstance(value, str | None):
            raise Refused(400, f"{name}: expected a string")
        return value or ""

    def integer(self, name: str) -> int:
        """An integer; 0 when it is not there."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise Refused(400, f"Invalid {name}")
        return value or 0

    def flag(self, name: str) -> bool:
        """A boolean; false when it is not there."""
        value = self._values.get(name)
        if not isinstance(value, bool | None):
            raise Refused(400, f"{name}: expected a boolean")
        return bool(value)


def _with_report(answer: Answer, report: LoadReport) -> Answer:
    assert isinstance(answer.value, dict)  # noqa: S101 -- a status object
    counts = {"added": report.added, "updated": report.updated, "refused": report.refused}
    users = [attrs.asdict(outcome) for outcome in report.outcomes]
    return Answer({**answer.value, **counts, "users": users}, answer.status)
