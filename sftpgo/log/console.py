"""Start-up messages for the person at the terminal: C{TIME LVL text}."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TextIO

Level = Literal["debug", "info", "warn", "error"]

_SHORT = {"debug": "DBG", "info": "INF", "warn": "WRN", "error": "ERR"}
_COLOURS = {"debug": "36", "info": "32", "warn": "33", "error": "31"}


class Console:
    """Writes messages for people.

    @param stdout: where to; colours are used only when it is a terminal.
    @param moment: the present local time as text.
    @param verbose: whether debug messages are shown.
    """

    def __init__(self, stdout: TextIO, moment: Callable[[], str], verbose: bool) -> None:
        self._stdout = stdout
        self._moment = moment
        self._verbose = verbose

    def write(self, message: str, level: Level) -> None:
        """Show one message on one line; raises OSError or ValueError when the stream is gone."""
        if level == "debug" and not self._verbose:
            return
        moment, short, text = self._moment(), _SHORT[level], _shown(message)
        if self._stdout.isatty():
            line = f"\x1b[90m{moment}\x1b[0m \x1b[{_COLOURS[level]}m{short}\x1b[0m {text}\n"
        else:
            line = f"{moment} {short} {text}\n"
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        self._stdout.write(line.encode(encoding, "backslashreplace").decode(encoding))
        self._stdout.flush()


def _shown(message: str) -> str:
    """The message without anything that could move the cursor or forge a line."""
    if message.isprintable():
        return message
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
