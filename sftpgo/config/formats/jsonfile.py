"""JSON."""

from __future__ import annotations

import json
from typing import Any

from sftpgo.config.formats.content import Malformed, Tree, tree


def parse(text: str) -> Tree:
    """Read JSON; a name given twice in one object is refused, where the standard library takes the last."""
    try:
        return tree(json.loads(text, object_pairs_hook=_unique))
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg}", error.lineno, error.colno) from None
    except ValueError as error:  # an integer of thousands of digits
        raise Malformed(f"not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise Malformed(f"the key {name!r} is given twice in one section")
        result[name] = value
    return result
