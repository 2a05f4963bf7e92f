"""From an event to its line: one JSON object, everything invisible escaped, ended by one newline."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from json.encoder import encode_basestring

from twisted.logger import LogEvent, LogLevel, eventAsText

from sftpgo.log.records import APP, COMMAND, CONNECTION_FAILED, DIGESTED_TRANSFER, HTTP, TRANSFER, RecordKind

#: The level names that are written; every event has one of them.
LEVELS = {
    LogLevel.debug: "debug",
    LogLevel.info: "info",
    LogLevel.warn: "warn",
    LogLevel.error: "error",
    LogLevel.critical: "error",
}

#: Senders that are also the names of modules: events of C{sftpgo.ssh.scp} come from C{scp}.
_SENDERS = frozenset({"service", "config", "sftpd", "httpd", "scp", "ssh", "utils"})

_TEMPLATES = {
    kind: '{"level":"%s","time":"%s","sender":%s,' + ",".join(f'"{name}":%s' for name in kind.fields) + "}\n"
    for kind in (TRANSFER, DIGESTED_TRANSFER, COMMAND, HTTP, CONNECTION_FAILED)
}

_quote = encode_basestring
_DEL = "\x7f"
_NOT_PLAIN = re.compile(r"[^ -~]")


class LocalTime:
    """Writes a moment as local time, C{YYYY-MM-DDTHH:MM:SS.mmm}.

    @param local: unix seconds to broken-down local time.
    """

    def __init__(self, local: Callable[[float], time.struct_time] = time.localtime) -> None:
        self._local = local
        # Most lines fall into the second of the line before.  One attribute, so that threads see a matching pair.
        self._last = (-1, "")

    def __call__(self, when: float) -> str:
        """The text of C{when}, in unix seconds; raises ValueError, OverflowError or OSError for no real time."""
        second, micros = divmod(round(when * 1e6), 1_000_000)
        last, text = self._last
        if second != last:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", self._local(second))
            self._last = (second, text)
        return f"{text}.{micros // 1000:03d}"


class JsonLines:
    """Turns events into lines.

    @param now: the unix time in seconds, for events that carry no usable time of their own.
    @param local: unix seconds to broken-down local time.
    """

    def __init__(self, now: Callable[[], float], local: Callable[[float], time.struct_time] = time.localtime) -> None:
        self._now = now
        self._text_of = LocalTime(local)

    def line(self, level: str, event: LogEvent) -> bytes:
        """The line of an event, or nothing for a foreign event that has neither text nor failure.

        @param level: one of the values of L{LEVELS}.
        """
        kind = event.get("record")
        when = self._time(event.get("log_time"))
        if type(kind) is not RecordKind:
            return self._foreign(level, when, event)
        if kind is APP:
            text = event["text"]
            if "log_failure" in event:
                text = _with_traceback(event)
            return _app(level, when, event["sender"], event["connection_id"], text)
        values = [
            _quote(value) if type(value) is str else value if type(value) is int else _value(value)
            for value in kind.values(event)
        ]
        return _finish(_TEMPLATES[kind] % (level, when, _value(event["sender"]), *values))

    def app(self, level: str, sender: str, message: str) -> bytes:
        """An app line of this moment, made without an event."""
        return _app(level, self._time(None), sender, "", message)

    def moment(self) -> str:
        """The present local time as lines have it."""
        return self._text_of(self._now())

    def _foreign(self, level: str, when: str, event: LogEvent) -> bytes:
        text = _with_traceback(event)
        if not text:
            return b""
        return _app(level, when, _sender(event), event.get("connection_id", ""), text)

    def _time(self, when: object) -> str:
        if isinstance(when, float):
            try:
                return self._text_of(when)
            except (ValueError, OverflowError, OSError):
                pass  # A foreign event's infinite or absurd time: the line matters more.
        return self.moment()


def _app(level: str, when: str, sender: object, connection_id: object, message: object) -> bytes:
    return _finish(
        f'{{"level":"{level}","time":"{when}","sender":{_value(sender)},'
        f'"connection_id":{_value(connection_id)},"message":{_value(message)}}}\n'
    )


def _value(value: object) -> str:
    if isinstance(value, str):
        return _quote(value)
    # A caller who passes bytes or None has a fault, but must not lose the line for it.
    return str(value) if type(value) is int else _quote(str(value))


def _finish(line: str) -> bytes:
    """Escape what a terminal, a line splitter or UTF-8 would not carry as it is, and encode.

    JSON's own escapes leave DEL, C1, U+2028, bidi controls and lone surrogates alone; Unicode calls all of them (and
    whatever else shows nothing) not printable.  Outside strings the line is plain ASCII, so all of it may be searched.
    """
    if line.isascii() and _DEL not in line:
        return line.encode()  # nearly every line: JSON has escaped the other invisible ones
    body = line[:-1]
    if not body.isprintable():
        return (_NOT_PLAIN.sub(_escape, body) + "\n").encode()
    return line.encode()


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _with_traceback(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False, includeSystem=False).strip("\n")


def _sender(event: LogEvent) -> str:
    """Who a foreign event comes from: the part of this package that made it, or else the namespace as it is."""
    namespace = event.get("log_namespace")
    if not isinstance(namespace, str) or namespace in {"", "log_legacy"}:
        return "twisted"
    parts = namespace.split(".")
    if parts[0] != "sftpgo" or len(parts) == 1:
        return namespace
    return next((part for part in reversed(parts) if part in _SENDERS), parts[1])
