"""Environment files: C{SFTPD__BIND_PORT=2022}, with or without the prefix C{SFTPGO_}; dots do as well as C{__}."""

from __future__ import annotations

from io import StringIO

from dotenv.parser import parse_stream

from sftpgo.config.environ import PREFIX, SEPARATOR
from sftpgo.config.formats.content import Line, Lines, Malformed


def parse(text: str) -> Lines:
    """Read an environment file; nothing in a value is expanded."""
    lines = []
    for binding in parse_stream(StringIO(text)):
        source = binding.original.string  # begins with the empty lines before the assignment
        number = binding.original.line + source[: len(source) - len(source.lstrip())].count("\n")
        if binding.error or (binding.key is not None and binding.value is None):
            raise Malformed("expected NAME=VALUE", number)
        if binding.key is not None and binding.value is not None:
            lines.append(Line(_dotted(binding.key), binding.value, number))
    return Lines(tuple(lines))


def _dotted(name: str) -> str:
    bare = name[len(PREFIX) :] if name.upper().startswith(PREFIX) else name
    return bare.replace(SEPARATOR, ".")
