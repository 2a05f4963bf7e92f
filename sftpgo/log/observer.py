"""The observer that writes JSON lines, and never fails for want of a place to write them."""

from __future__ import annotations

from threading import RLock
from typing import Protocol, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from sftpgo.log.descriptor import LineDescriptor
from sftpgo.log.lines import LEVELS, JsonLines

_INFO = LogLevel.info  # looking it up costs a call


class LineSink(Protocol):
    """A place for lines.  Every method raises OSError or ValueError when it cannot do its work."""

    def write(self, line: bytes) -> None:
        """Write all of the line or nothing of it."""

    def reopen(self) -> None:
        """Go on in a fresh file of the same name."""

    def close(self) -> None:
        """Let go of the file.  May be called twice."""


class StreamSink:
    """Lines on standard output, which stays the caller's: it is never closed.

    Lines are UTF-8 whatever the locale says, and pass by the stream's own buffer, which would keep a line that it
    reported as not written.  Only a stream without a descriptor (StringIO) gets them as text.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        try:
            self._descriptor = LineDescriptor(stream.fileno())
        except (OSError, ValueError, AttributeError):
            self._descriptor = None

    _descriptor: LineDescriptor | None

    def write(self, line: bytes) -> None:
        """Write one line, after what the stream still holds."""
        if self._descriptor is None:
            self._stream.write(line.decode())
        self._stream.flush()
        if self._descriptor is not None:
            self._descriptor.append(line)

    def reopen(self) -> None:
        """Nothing to do: a stream has no name."""

    def close(self) -> None:
        """Nothing to do: the stream is the caller's."""


@implementer(ILogObserver)
class JsonObserver:
    """Writes each event as one line.

    Threads may log: one lock orders the lines.  It may be taken again by the thread that holds it, because writing
    can itself log (a rotation that failed, a Deferred's unhandled error found by the garbage collector).

    @param verbose: whether debug events are written.
    @ivar dropped: how many lines could not be written since the start.
    """

    def __init__(self, lines: JsonLines, sink: LineSink, verbose: bool) -> None:
        self.dropped = 0
        self._lines = lines
        self._sink = sink
        self._verbose = verbose
        self._lock = RLock()
        self._untold = 0
        self._reason = ""

    def __call__(self, event: LogEvent) -> None:
        """Write the event's line, or count it as dropped; never raises for the file's sake."""
        level = LEVELS.get(event.get("log_level", _INFO), "info")
        if level == "debug" and not self._verbose:
            return
        line = self._lines.line(level, event)
        if line:
            with self._lock:
                if not self._untold or self._tell_dropped():
                    self._write(line)
                else:
                    self._drop(self._reason)

    def reopen(self) -> None:
        """Go on in a fresh file of the same name; raises OSError, and then the old file is still in use."""
        with self._lock:
            self._sink.reopen()

    def close(self) -> None:
        """Stop writing; what comes later is counted as dropped."""
        with self._lock:
            if self._untold:
                self._tell_dropped()
            self._sink.close()

    def _write(self, line: bytes) -> None:
        try:
            self._sink.write(line)
        except (OSError, ValueError) as error:
            self._drop(getattr(error, "strerror", None) or str(error))

    def _drop(self, reason: str) -> None:
        self.dropped += 1
        self._untold += 1
        self._reason = reason

    def _tell_dropped(self) -> bool:
        """Try to write how many lines are missing; tells whether that worked."""
        text = f"{self._untold} log lines could not be written: {self._reason}"
        try:
            self._sink.write(self._lines.app("warn", "log", text))
        except (OSError, ValueError):
            return False
        self._untold = 0
        return True
