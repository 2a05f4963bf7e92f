"""HCL 2: sections as blocks (C{sftpd { ... }}) or as assignments (C{sftpd = { ... }}); literal values only."""

from __future__ import annotations

import re
from typing import Any, Final

import hcl2
from lark import Token
from lark import Tree as ParseTree
from lark.exceptions import LarkError

from sftpgo.config.formats.content import Blocks, Malformed, Tree, Twice, tree

_BLOCK: Final = "__is_block__"
_OPTIONS: Final = hcl2.SerializationOptions(with_comments=False, preserve_heredocs=False)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|\$\$\{|%%\{|([$%]\{)", re.DOTALL)
_SHORT: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def parse(text: str) -> Tree:
    """Read HCL; an expression or a template would need something to evaluate it, so it is refused."""
    try:
        parsed = hcl2.parses_to_tree(text)
        twice = _look_for_twice(parsed)
        root = hcl2.serialize(hcl2.transform(parsed), serialization_options=_OPTIONS)
    except LarkError as error:
        line, column = getattr(error, "line", -1), getattr(error, "column", -1)
        known = isinstance(line, int) and line > 0
        raise Malformed("not HCL", *((line, column) if known else ())) from None
    return tree(_plain(root, ""), twice)


def _look_for_twice(parsed: ParseTree[Token]) -> dict[tuple[str, str], list[int]]:
    """The library takes the last of several assignments to one name; blocks of one name may follow each other."""
    twice = Twice()
    for section in parsed.find_pred(lambda node: node.data in ("body", "object")):
        names = twice.section()
        for child in section.children:
            if not isinstance(child, ParseTree) or child.data not in ("attribute", "object_elem", "block"):
                continue
            tokens = list(child.children[0].scan_values(lambda _: True))  # type: ignore[union-attr]
            name = "".join(tokens).strip('"')
            (names.look if child.data == "block" else names.take)(name, tokens[0].line)
    return twice.found


def _plain(value: Any, place: str) -> Any:
    """The value without the library's marks; C{place} is its dotted name, for errors."""
    if isinstance(value, dict):
        return {
            name: _plain(item, f"{place}.{name}" if place else name)
            for name, item in ((_name(key), item) for key, item in value.items())
            if name != _BLOCK
        }
    if isinstance(value, list):
        items = [_plain(item, place) for item in value]
        blocks = any(isinstance(item, dict) and _BLOCK in item for item in value)
        return Blocks(items) if blocks else items
    return _literal(value, place) if isinstance(value, str) else value


def _name(key: str) -> str:
    return key.strip('"')


def _literal(source: str, place: str) -> str:
    if not (len(source) >= 2 and source[0] == source[-1] == '"'):
        raise Malformed(f"{place} is an expression; only literal values are read, and text stands in quotes")

    def character(match: re.Match[str]) -> str:
        escape, template = match.groups()
        if template:
            raise Malformed(f"{place} holds a template; write $${{ or %%{{ for the characters themselves")
        if escape is None:
            return match[0][1:]
        if escape[0] in "uU":
            return chr(int(escape[1:], 16))
        try:
            return _SHORT[escape]
        except KeyError:
            raise Malformed(f"{place} holds the unknown escape \\{escape}") from None

    return _ESCAPE.sub(character, source[1:-1])
