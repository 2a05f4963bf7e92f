"""What became of each account, in lines and in numbers, and how far the import is."""

from __future__ import annotations

import shutil
from collections import Counter
from enum import StrEnum
from typing import TextIO

import attrs

from sftpgo.importing.found import Found
from sftpgo.printable import printable


class Outcome(StrEnum):
    """What becomes of an account."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"


@attrs.frozen
class Result:
    """One account and what became of it.

    @ivar why: the fields that changed, or the reason it was skipped for.
    """

    found: Found
    outcome: Outcome
    why: str = ""
    notes: tuple[str, ...] = ()


class Report:
    """Writes a line for whatever is not as it was, and the numbers at the end.

    On a terminal a bar shows how far it is.
    """

    def __init__(self, output: TextIO | None, terminal: TextIO | None, *, dry_run: bool, quiet: bool) -> None:
        """Take where to write.

        @param output: None for nowhere: it is closed.
        @param terminal: where to draw the bar; None for nowhere.
        @param quiet: write the numbers only.
        """
        self.counts: Counter[Outcome] = Counter()
        self._output = output
        self._terminal = terminal
        self._dry_run = dry_run
        self._quiet = quiet
        self._drawn = ""

    def tell(self, result: Result) -> None:
        """One account is done."""
        self.counts[result.outcome] += 1
        if self._quiet:
            return
        name = printable(result.found.user.username)
        if result.outcome is not Outcome.UNCHANGED:
            what = f"would be {result.outcome}" if self._would(result.outcome) else str(result.outcome)
            self._write(f"{result.found.where}: {name}: {what}" + (f": {printable(result.why)}" if result.why else ""))
        for note in (*result.found.notes, *result.notes):
            self._write(f"{result.found.where}: {name}: note: {printable(note)}")

    def progress(self, share: float) -> None:
        """Draw the bar anew, with this share of the source read."""
        if self._terminal is None:
            return
        tail = f" {share:4.0%}  {self.counts.total():,} accounts"
        room = max(10, min(50, shutil.get_terminal_size().columns - len(tail) - 4))
        done = int(room * share)
        bar = f"[{'#' * done}{'.' * (room - done)}]{tail}"
        if bar != self._drawn:
            self._terminal.write("\r" + bar)
            self._terminal.flush()
            self._drawn = bar

    def end(self) -> None:
        """Write the numbers."""
        numbers = ", ".join(f"{self.counts[outcome]:,} {outcome}" for outcome in Outcome)
        self._write(f"{'would be: ' if self._dry_run else ''}{numbers}")

    def broken_off(self) -> None:
        """Write the numbers if there are any: beside an error they tell what had been done before it."""
        self._clear()
        if self.counts:
            self.end()

    def _clear(self) -> None:
        """Take the bar off the terminal."""
        if self._terminal is not None and self._drawn:
            self._terminal.write("\r" + " " * len(self._drawn) + "\r")
            self._terminal.flush()
            self._drawn = ""

    def _would(self, outcome: Outcome) -> bool:
        return self._dry_run and outcome is not Outcome.SKIPPED

    def _write(self, line: str) -> None:
        self._clear()
        if self._output is not None:
            self._output.write(line + "\n")
