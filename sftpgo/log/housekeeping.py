"""The work on rotated log files, done in a thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from twisted.internet.defer import Deferred


class Housekeeping:
    """Runs one piece of work in a thread, never twice at once; safe to ask from any thread.

    @param work: blocks; returns what went wrong, a line each.
    @param report: takes the text of a warning; may be called in the thread.
    """

    def __init__(
        self,
        work: Callable[[], list[str]],
        run_in_thread: Callable[..., Deferred[Any]],
        report: Callable[[str], None],
    ) -> None:
        self._work = work
        self._run_in_thread = run_in_thread
        self._report = report
        self._lock = Lock()
        self._running = False
        self._again = False

    def request(self) -> None:
        """Have the work done, or done once more when it is being done."""
        with self._lock:
            if self._running:
                self._again = True
                return
            self._running = True
        try:
            # No callbacks: a line may be logged, and so a file rotated, in a thread, where a Deferred is not safe.
            self._run_in_thread(self._run)
        except Exception as error:
            self._running = False
            self._report(f"log backups: {error}")

    def _run(self) -> None:
        again = True
        while again:
            try:
                problems = self._work()
            except Exception as error:
                problems = [f"log backups: {error}"]
            for problem in problems:
                self._report(problem)
            with self._lock:
                again, self._again = self._again, False
                self._running = again
