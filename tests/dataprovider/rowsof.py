"""Rows as a test stores very many of them at once, past the provider."""

from __future__ import annotations

from collections.abc import Sequence

from sftpgo.dataprovider.sql import inserted
from tests.provider_case import a_user


def rows_of(names: Sequence[str]) -> tuple[list[str], list[tuple[object, ...]]]:
    """The columns, and a row for each name."""
    rows = [inserted(a_user(name)) for name in names]
    return list(rows[0]), [tuple(row.values()) for row in rows]
