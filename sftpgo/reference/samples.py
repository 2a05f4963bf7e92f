"""The sample configuration as YAML and TOML: every key with its default, and what it means as a comment."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from sftpgo.config.keys import Key, KeyTable
from sftpgo.config.model import Config

_WIDTH: Final = 100
_HEAD: Final = (
    "All keys of the configuration with their defaults.  Every key may be left out.",
    "Made from the program's own list of keys by: make generated",
)


def yaml() -> str:
    """The sample as YAML."""
    lines = [*_comment(" ".join(_HEAD[:1]), 0), *_comment(_HEAD[1], 0)]
    for section, keys in sections():
        depth = section.count(".")
        lines += [""] if not depth else []
        lines.append(f"{'  ' * depth}{section.rpartition('.')[2]}:")
        for key in keys:
            lines += _comment(key.doc, depth + 1)
            lines.append(f"{'  ' * (depth + 1)}{key.path[-1]}: {literal(key.default)}")
    return "\n".join(lines) + "\n"


def toml() -> str:
    """The sample as TOML."""
    lines = [*_comment(_HEAD[0], 0), *_comment(_HEAD[1], 0)]
    for section, keys in sections():
        lines += ["", f"[{section}]"]
        for key in keys:
            lines += _comment(key.doc, 0)
            lines.append(f"{key.path[-1]} = {_inline(key.default)}")
    return "\n".join(lines) + "\n"


def sections() -> Iterator[tuple[str, list[Key]]]:
    """Each section's dotted name with the keys right in it; a section in another one follows that one's keys."""
    found: dict[str, list[Key]] = {}
    for key in KeyTable.of(Config).keys.values():
        found.setdefault(".".join(key.path[:-1]), []).append(key)
    tops = dict.fromkeys(name.partition(".")[0] for name in found)
    for top in tops:
        for name, keys in found.items():
            if name == top or name.startswith(top + "."):
                yield name, keys


def plain(value: Any) -> Any:
    """A value of the model as the formats have it: records as sections, tuples as lists."""
    if attrs.has(type(value)):
        return attrs.asdict(value)
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def literal(value: Any) -> str:
    """A value as JSON has it, which is YAML too."""
    return json.dumps(plain(value))


def _inline(value: Any) -> str:
    value = plain(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_inline(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)


def _comment(text: str, depth: int) -> list[str]:
    start = "  " * depth + "# "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False)
