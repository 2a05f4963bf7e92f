"""What is told of a dump that was loaded, and of one that was refused."""

from __future__ import annotations

import attrs

from sftpgo.errors import SFTPGoError

ADDED = "added"
UPDATED = "updated"
REFUSED = "refused"

#: Outcomes that a report lists one by one; it counts them all.
MAX_OUTCOMES = 1000


@attrs.frozen
class Outcome:
    """What became of one user of a dump.

    @ivar index: its place in the file, from 0.
    @ivar result: C{added}, C{updated} or C{refused}.
    @ivar id: in the data provider; 0 when refused.
    @ivar error: why it was refused.
    """

    index: int
    username: str
    result: str
    id: int = 0
    error: str = ""


@attrs.define
class LoadReport:
    """What became of a dump.

    @ivar outcomes: of the first L{MAX_OUTCOMES} users that were changed or refused, in the order of the file.
    """

    added: int = 0
    updated: int = 0
    refused: int = 0
    outcomes: list[Outcome] = attrs.field(factory=list)

    def note(self, outcome: Outcome) -> None:
        """Count one more user."""
        setattr(self, outcome.result, getattr(self, outcome.result) + 1)
        if len(self.outcomes) < MAX_OUTCOMES:
            self.outcomes.append(outcome)


class BackupRefused(SFTPGoError):
    """A dump that is not written, or not loaded, for what was asked or what the file holds.  REST answers 400.

    @ivar error: what is wrong in detail; may be empty.
    @ivar message: what is wrong in general; may be empty.
    @ivar report: about the users of the file, if it came that far.
    """

    def __init__(self, error: str = "", message: str = "", report: LoadReport | None = None) -> None:
        super().__init__(error or message)
        self.error = error
        self.message = message
        self.report = report
