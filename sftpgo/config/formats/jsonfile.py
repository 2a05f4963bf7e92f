"""JSON."""

from __future__ import annotations

import json
import re
from typing import Final

from sftpgo.config.formats.content import Malformed, Tree, Twice, tree

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
    sections: list[tuple[set[str], dict[str, str]]] = []
    for token in _TOKEN.finditer(text):
        if token["colon"]:
            name = json.loads(token["string"])
            exactly, folded = sections[-1]
            line = text.count("\n", 0, token.start()) + 1
            if name in exactly:
                column = token.start() - text.rfind("\n", 0, token.start())
                raise Malformed(f"the key {name!r} is given twice in one section", line, column)
            exactly.add(name)
            twice.look(folded, name, line)
        elif token[0] == "{":
            sections.append((set(), {}))
        elif token[0] == "}":
            sections.pop()
    return twice.found
