"""JSON."""

from __future__ import annotations

import json
import re
from typing import Final

from sftpgo.config.formats.content import Malformed, Names, Tree, Twice, tree

#: In what is known to be JSON: a string, with the colon that makes a name of it, and where objects begin and end.
_TOKEN: Final = re.compile(r'(?P<string>"[^"\\]*(?:\\.[^"\\]*)*")(?P<colon>\s*:)?|[{}]')


def parse(text: str) -> Tree:
    """Read JSON; a name given twice in one object is refused, where the standard library takes the last."""
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg}", error.lineno, error.colno) from None
    except ValueError as error:  # an integer of thousands of digits
        raise Malformed(f"not JSON: {error}") from None
    return tree(root, _look_for_twice(text))


def _look_for_twice(text: str) -> dict[tuple[str, str], list[int]]:
    """Look through the text, because what the standard library reads does not know its line."""
    twice = Twice()
    sections: list[Names] = []
    for token in _TOKEN.finditer(text):
        if token["colon"]:
            line = text.count("\n", 0, token.start()) + 1
            column = token.start() - text.rfind("\n", 0, token.start())
            sections[-1].take(json.loads(token["string"]), line, column)
        elif token[0] == "{":
            sections.append(twice.section())
        elif token[0] == "}":
            sections.pop()
    return twice.found
