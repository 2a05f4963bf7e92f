"""INI: C{[sftpd]}, and C{[sftpd.actions]} for a section in a section."""

from __future__ import annotations

import configparser
import re
from typing import Final

from sftpgo.config.formats.content import Line, Lines, Malformed

_HEADER: Final = re.compile(r"\[(.+)\]")
_OPTION: Final = re.compile(r"([^#;=:]*[^#;=:\s])\s*[=:]")


def parse(text: str) -> Lines:
    """Read INI; nothing in a value is expanded, and a pair of quotes around it is dropped."""
    # An empty name for the section of defaults can never be written: [DEFAULT] is a section like any other.
    parser = configparser.ConfigParser(interpolation=None, default_section="", empty_lines_in_values=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keeps the case, to find a key given twice
    try:
        parser.read_string(text)
    except configparser.DuplicateOptionError as error:
        raise Malformed(f"the key {error.option!r} is given twice in one section", error.lineno) from None
    except configparser.DuplicateSectionError as error:
        raise Malformed(f"the section {error.section!r} is given twice", error.lineno) from None
    except configparser.MissingSectionHeaderError as error:
        raise Malformed("expected a [section] before the first key", error.lineno) from None
    except configparser.ParsingError as error:
        raise Malformed("expected [section] or key = value", error.errors[0][0]) from None
    numbers = _numbers(text)
    return Lines(
        tuple(
            Line(f"{section}.{option}", _unquoted(value), numbers.get((section, option)))
            for section in parser.sections()
            for option, value in parser[section].items()
        )
    )


def _numbers(text: str) -> dict[tuple[str, str], int]:
    """Section and key -> line, from 1, of what the library has found to be INI."""
    section, deepest = "", len(text)
    found: dict[tuple[str, str], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        indent = len(line) - len(line.lstrip())
        if indent > deepest:
            continue  # the value above goes on
        if header := _HEADER.match(line.strip()):
            section, deepest = header[1], len(text)
        elif option := _OPTION.match(line.strip()):
            found.setdefault((section, option[1]), number)
            deepest = indent
    return found


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text
