"""Files of the SQLite provider: made, read, and looked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sftpgo.dataprovider.sqlite import SQLiteProvider


def sqlite_provider(path: str, **options: Any) -> SQLiteProvider:
    warn = options.pop("warn", lambda text: None)
    return SQLiteProvider(path, reactor=reactor, warn=warn, **options)  # type: ignore[arg-type]


def new_path(test: TestCase) -> str:
    """Where nothing is yet."""
    return os.path.abspath(test.mktemp())


def put(path: str, data: bytes = b"", mode: int = 0o600) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    os.write(descriptor, data)
    os.close(descriptor)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def overwrite(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def beside(path: str) -> list[str]:
    """What is in the directory of this file."""
    return os.listdir(os.path.dirname(path))
