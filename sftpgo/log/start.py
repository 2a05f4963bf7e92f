"""Putting the log together and to work: the one place that touches Twisted's publisher."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TextIO

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import LogBeginner, LogPublisher, globalLogPublisher

from sftpgo.errors import ConfigurationError, StartupError
from sftpgo.log.backups import Backups, Retention
from sftpgo.log.console import Console, Level
from sftpgo.log.housekeeping import Housekeeping
from sftpgo.log.lines import JsonLines
from sftpgo.log.observer import JsonObserver, LineSink, StreamSink
from sftpgo.log.records import Log
from sftpgo.log.rotation import RotatingFile

_DAY = 86400.0


@frozen
class LogSettings:
    """Where the log goes and how much of it is kept.  Raises L{ConfigurationError} for a negative number.

    @ivar path: the log file, relative to the current directory; empty for JSON lines on standard output.
    @ivar max_size_mb: rotate at this many times 1024*1024 bytes; 0 for never.
    @ivar max_backups: how many rotated files to keep; 0 for all.
    @ivar max_age_days: how long to keep rotated files; 0 for ever.
    @ivar compress: gzip rotated files.
    @ivar verbose: write debug events too, to the file and to the terminal.
    """

    path: str
    max_size_mb: int = 10
    max_backups: int = 5
    max_age_days: int = 28
    compress: bool = False
    verbose: bool = True

    def __attrs_post_init__(self) -> None:
        numbers = {
            "log-max-size": self.max_size_mb,
            "log-max-backups": self.max_backups,
            "log-max-age": self.max_age_days,
        }
        problems = [f"{name}: expected 0 or more, got {value}" for name, value in numbers.items() if value < 0]
        if problems:
            raise ConfigurationError(problems)


def start_logging(
    settings: LogSettings,
    *,
    clock: IReactorTime,
    now: Callable[[], float],
    run_in_thread: Callable[..., Deferred[Any]],
    stdout: TextIO,
    publisher: LogPublisher = globalLogPublisher,
    beginner: LogBeginner | None = None,
) -> Logging:
    """Open the log and have all events written to it.

    @param clock: for the daily clearing of old backups.
    @param now: unix seconds.
    @param run_in_thread: calls a function with arguments in a thread, as L{twisted.internet.threads.deferToThread}.
    @param publisher: whose events are written.
    @param beginner: given by a program that owns its process (L{twisted.logger.globalLogBeginner}): what was logged
        before this call is written too, and warnings of Python's become events.  It must be of the same publisher.
        Under C{twistd}, which has begun logging already, leave it out.
    @raise StartupError: the log file cannot be opened.
    """
    logging = Logging(settings, clock=clock, now=now, run_in_thread=run_in_thread, stdout=stdout, publisher=publisher)
    if beginner is None:
        publisher.addObserver(logging.observer)
    else:
        beginner.beginLoggingTo([logging.observer], redirectStandardIO=False)
    return logging


class Logging:
    """A log at work; made by L{start_logging}.

    @ivar observer: takes events and writes their lines.
    """

    def __init__(
        self,
        settings: LogSettings,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        run_in_thread: Callable[..., Deferred[Any]],
        stdout: TextIO,
        publisher: LogPublisher,
    ) -> None:
        self._clock = clock
        self._publisher = publisher
        self._daily: IDelayedCall | None = None
        self._console: Console | None = None
        self._tidy: Callable[[], None] | None = None
        lines = JsonLines(now)
        sink: LineSink = StreamSink(stdout)
        if settings.path:
            path = os.path.abspath(settings.path)
            retention = Retention(settings.max_backups, settings.max_age_days, settings.compress)
            self._tidy = Housekeeping(lambda: Backups(path).tidy(retention, now()), run_in_thread, self._report).request
            try:
                sink = RotatingFile(
                    path,
                    max_bytes=settings.max_size_mb * 1024 * 1024,
                    now=now,
                    seconds=clock.seconds,
                    rotated=self._tidy,
                    report=self._report,
                )
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                raise StartupError(f"cannot open the log file {path!r}: {reason}") from error
            self._console = Console(stdout, lines.moment, settings.verbose)
        self.observer = JsonObserver(lines, sink, settings.verbose)
        self._log = Log("log", self.observer)
        self._tidy_daily()

    @property
    def dropped(self) -> int:
        """How many lines could not be written since the start."""
        return self.observer.dropped

    def reopen(self) -> None:
        """Go on in a fresh file, after another program has moved the old one away (SIGUSR1, SIGHUP)."""
        try:
            self.observer.reopen()
        except OSError as error:
            self._report(f"the log file cannot be reopened, the old one stays in use: {error.strerror or error}")

    def close(self) -> None:
        """Take no more events and close the file.  May be called twice."""
        self._publisher.removeObserver(self.observer)
        if self._daily is not None:
            self._daily.cancel()
            self._daily = None
        self.observer.close()

    def console(self, message: str, level: Level = "info") -> None:
        """Show a start-up message on standard output; without a log file, where the lines are, nothing."""
        if self._console is not None:
            try:
                self._console.write(message, level)
            except (OSError, ValueError) as error:
                self._report(f"standard output cannot be written: {error}")

    def _report(self, text: str) -> None:
        # Straight to the observer: this may run while a line is being written, which is no time for foreign code.
        self._log.warn(text)

    def _tidy_daily(self) -> None:
        """Clear old backups now and every day: a quiet log rotates too rarely to do it then alone."""
        if self._tidy is not None:
            self._tidy()
            self._daily = self._clock.callLater(_DAY, self._tidy_daily)
