"""Where people look: lines that stay, and on a terminal a block below them that is drawn anew.

A terminal may stop taking bytes at any time (Ctrl-S, a pipe nobody reads), so a thread of its own writes to it: the
server never waits for it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

#: Lines that may wait for a terminal that takes none.
_MOST_WAITING = 1000

#: Seconds until a terminal that is full and does not let wait for itself is tried again.
_FULL_PAUSE = 0.05


class Screen:
    """Writes to one descriptor, in order, without ever making its caller wait.

    @param descriptor: a terminal, a pipe or a file; it stays the caller's.
    @param live: whether the block is drawn; else only the lines are.
    """

    def __init__(self, descriptor: int, *, live: bool, encoding: str = "utf-8") -> None:
        self.live = live
        self._descriptor = descriptor
        self._encoding = encoding
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._left_out = 0
        self._block: tuple[str, ...] = ()
        self._drawn: tuple[str, ...] = ()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Write lines that stay."""
        with self._changed:
            if len(self._lines) >= _MOST_WAITING:
                self._left_out += 1
            else:
                self._lines.append(text)
            self._changed.notify()

    def show(self, rows: Sequence[str]) -> None:
        """Draw these rows in place of those shown now; each must fit into the terminal's width."""
        if not self.live or self._block == tuple(rows):
            return
        with self._changed:
            self._block = tuple(rows)
            self._changed.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Take the block away, write what is left to be written, for so many seconds at most."""
        with self._changed:
            self._closing = True
            self._block = ()
            self._changed.notify()
        self._thread.join(timeout)

    # In the thread.

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._pending)
                lines, self._lines = self._lines, []
                if self._left_out:
                    lines.append(f"({self._left_out} lines are left out here)")
                    self._left_out = 0
                block, closing = self._block, self._closing
            if not self._write(self._frame(lines, block)):
                return
            self._drawn = block
            if closing:
                return

    def _pending(self) -> bool:
        return bool(self._lines or self._closing or self._block != self._drawn)

    def _frame(self, lines: Sequence[str], block: Sequence[str]) -> str:
        # The cursor rests at the beginning of the line below the block: there the terminal echoes ^C.
        erase = f"\r\x1b[{len(self._drawn)}A\x1b[J" if self._drawn else ""
        if not self._drawn and self.live and lines:
            erase = "\r\x1b[K"
        return erase + "".join(f"{line}\n" for line in (*lines, *block))

    def _write(self, text: str) -> bool:
        """Write all of it; C{False} when nobody is there any more."""
        rest = memoryview(text.encode(self._encoding, "backslashreplace"))
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another program on this terminal has asked for that
                time.sleep(_FULL_PAUSE)
            except OSError:
                return False  # a closed terminal or pipe; there is nobody left to tell
        return True
