"""Answers for people and programs: JSON, coloured on a terminal, or a table."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

_RESET = "\x1b[0m"
_KEY, _TEXT, _NUMBER, _WORD = "\x1b[34m", "\x1b[32m", "\x1b[36m", "\x1b[35m"
_TOKEN = re.compile(
    r'(?P<key>"(?:\\.|[^"\\])*")(?=:)|(?P<text>"(?:\\.|[^"\\])*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)'
)
_COLOURS = {"key": _KEY, "text": _TEXT, "number": _NUMBER, "word": _WORD}

#: Columns of the tables: of users, of connections, of quota scans.
_COLUMNS = (
    (
        "id",
        "username",
        "status",
        "expiration_date",
        "home_dir",
        "permissions",
        "quota_files",
        "quota_size",
        "last_login",
    ),
    ("username", "protocol", "remote_address", "connection_time", "ssh_command", "active_transfers", "connection_id"),
    ("username", "start_time", "files", "size"),
)
_TIMES = {"expiration_date", "last_login", "connection_time", "start_time", "last_quota_update"}


def show(value: Any, stream: TextIO, *, table: bool, colours: bool) -> None:
    """Write an answer."""
    if table:
        stream.write(_table(value))
        return
    # All but ASCII is escaped: no name can send a terminal control characters.
    text = json.dumps(value, indent=2)
    stream.write((_coloured(text) if colours else text) + "\n")


def _coloured(text: str) -> str:
    return _TOKEN.sub(lambda found: f"{_COLOURS[found.lastgroup or 'text']}{found[0]}{_RESET}", text)


def _table(value: Any) -> str:
    if isinstance(value, Mapping):
        return _rows([[str(name), _cell(str(name), item)] for name, item in value.items()])
    if not value:
        return "none\n"
    names = next((columns for columns in _COLUMNS if set(columns) <= set(value[0])), tuple(value[0]))
    header = [name.replace("_", " ").upper() for name in names]
    return _rows([header, *([_cell(name, row.get(name)) for name in names] for row in value)])


def _rows(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def _cell(name: str, value: Any) -> str:
    if name in _TIMES and isinstance(value, int):
        return _time(value)
    if name == "permissions" and isinstance(value, Mapping):
        return " ".join(f"{directory}:{','.join(names)}" for directory, names in value.items())
    if name == "active_transfers" and isinstance(value, list):
        return _printable(" ".join(f"{item['operation_type']} {item['path']} {item['size']}" for item in value))
    return _printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _time(milliseconds: int) -> str:
    if not milliseconds:
        return "-"
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def _printable(text: str) -> str:
    """What a terminal may be given: no control characters, nothing that turns the direction of writing."""
    return "".join(
        character if unicodedata.category(character)[0] != "C" else f"\\u{ord(character):04x}" for character in text
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
