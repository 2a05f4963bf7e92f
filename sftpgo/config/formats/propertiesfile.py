"""Java properties: C{sftpd.bind_port = 2022}."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import javaproperties

from sftpgo.config.formats.content import Line, Lines, Malformed


def parse(text: str) -> Lines:
    """Read properties; nearly every text is some."""
    return Lines(tuple(_lines(text)))


def _lines(text: str) -> Iterator[Line]:
    number = 1
    try:
        for element in javaproperties.parse(StringIO(text)):
            if isinstance(element, javaproperties.KeyValue):
                yield Line(element.key, element.value, number)
            number += element.source.count("\n")
    except javaproperties.InvalidUEscapeError as error:
        raise Malformed(f"not a properties file: {error}", number) from None
