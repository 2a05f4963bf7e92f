"""What is wrong with a configuration, in words: every fault is collected, none stops the search for the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

_LONGEST: Final = 60
"""Characters of a wrong value that an error shows."""


def describe(value: object) -> str:
    """What was found instead, in the words of a person editing a file; never longer than a line."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return _number(value)
        case str():
            return repr(value if len(value) <= _LONGEST else value[:_LONGEST] + "...")
        case _:
            return _kind(value)


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a section of keys"
    return "a list" if isinstance(value, (list, tuple)) else f"a value of type {type(value).__name__}"


def _number(value: float) -> str:
    kind = "integer" if isinstance(value, int) else "number"
    try:
        digits = str(value)
    except ValueError:  # Python refuses to write integers of more than 4300 digits
        return f"an {kind} too large to show"
    return f"the {kind} {digits}" if len(digits) <= _LONGEST else f"the {kind} {digits[:_LONGEST]}..."


def _printable(name: str) -> str:
    """A name on one line, whatever a file has in its keys."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()


class Unfit(ValueError):
    """A value that does not fit its key.

    @ivar faults: pairs of the place below the key (C{""}, C{"[1]"}, C{".name"}) and the text of the fault.
    """

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{place.lstrip('.')}: {text}" if place else text for place, text in self.faults))

    @classmethod
    def expected(cls, what: str, value: object, secret: bool = False) -> Unfit:
        """The usual fault: one thing was expected and another one found, which is not shown if it is a secret."""
        found = f"a value of type {type(value).__name__} that is not shown" if secret else describe(value)
        return cls([("", f"expected {what}, found {found}")])


@attrs.frozen
class Report:
    """Collects problems, which make a configuration unusable, and warnings, which do not; one line each."""

    problems: list[str] = attrs.field(factory=list)
    warnings: list[str] = attrs.field(factory=list)

    def problem(self, origin: str, key: str, text: str) -> None:
        """Add a problem of a dotted key; C{origin} is the file or the environment variable it stands in."""
        self.problems.append(f"{origin}: {_printable(key)}: {text}")

    def warning(self, origin: str, key: str, text: str) -> None:
        """Add a warning about a dotted key."""
        self.warnings.append(f"{origin}: {_printable(key)}: {text}")

    def unfit(self, origin: str, key: str, unfit: Unfit) -> None:
        """Add each fault of a value as a problem."""
        for place, text in unfit.faults:
            self.problem(origin, key + place, text)
