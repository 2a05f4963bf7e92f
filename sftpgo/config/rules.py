"""What a value may be: one small rule for each kind, used by the model, by the file and by the environment alike.

C{parse} takes a value as a file format gives it and returns the one the model keeps; C{from_text} turns the text of
a format that knows nothing but text into what C{parse} takes.  Both raise L{sftpgo.config.problems.Unfit}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import ClassVar, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import attrs

from sftpgo.config.problems import Unfit

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

LARGEST: Final = 2**31 - 1
"""The largest integer that every timer, counter and driver behind a key can take."""

_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,20}")
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


class Rule(Protocol[T_co]):
    """What one key accepts."""

    @property
    def expected(self) -> str:
        """The accepted values in words, fit to follow "expected"."""

    @property
    def secret(self) -> bool:
        """Whether values must never be shown."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The keys of each item, where the value is a list of sections."""

    def parse(self, value: object) -> T_co:
        """The value for the model."""

    def from_text(self, text: str) -> object:
        """What C{parse} takes, from text."""


@attrs.frozen
class Integer:
    """An integer within bounds; a boolean is none."""

    low: int = 0
    high: int = LARGEST
    secret: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ()

    @property
    def expected(self) -> str:
        """The bounds in words."""
        return f"an integer from {self.low} to {self.high}"

    def parse(self, value: object) -> int:
        """The integer itself."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.low <= value <= self.high:
            raise Unfit.expected(self.expected, value)
        return value

    def from_text(self, text: str) -> int:
        """Decimal digits with an optional sign."""
        if not _DECIMAL.fullmatch(text.strip()):
            raise Unfit.expected(self.expected, text)
        return int(text)


@attrs.frozen
class Boolean:
    """True or false, and no number."""

    expected: ClassVar[str] = "true or false"
    secret: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ()

    def parse(self, value: object) -> bool:
        """The boolean itself."""
        if not isinstance(value, bool):
            raise Unfit.expected(self.expected, value)
        return value

    def from_text(self, text: str) -> bool:
        """C{true}, C{false}, C{1} or C{0}, in any case."""
        try:
            return _BOOLEANS[text.strip().lower()]
        except KeyError:
            raise Unfit.expected(f"{self.expected} (or 1 or 0)", text) from None


@attrs.frozen
class Text:
    """A text that passes a test.

    @ivar normal: brings a text into the one form that the model keeps, before the test.
    """

    expected: str
    fits: Callable[[str], object]
    normal: Callable[[str], str] = str
    secret: bool = False
    fields: ClassVar[tuple[str, ...]] = ()

    def parse(self, value: object) -> str:
        """The text in its normal form."""
        if not isinstance(value, str):
            raise Unfit.expected(self.expected, value, self.secret)
        normal = self.normal(value)
        if not self.fits(normal):
            raise Unfit.expected(self.expected, value, self.secret)
        return normal

    def from_text(self, text: str) -> str:
        """The text itself."""
        return text


@attrs.frozen
class ListOf(Generic[T]):
    """A list of values of one kind; text is split at commas."""

    item: Rule[T]
    secret: ClassVar[bool] = False

    @property
    def expected(self) -> str:
        """The items in words."""
        return f"a list, each item {self.item.expected}"

    @property
    def fields(self) -> tuple[str, ...]:
        """The keys of each item."""
        return self.item.fields

    def parse(self, value: object) -> tuple[T, ...]:
        """All items; the faults of every wrong one are told at once."""
        if not isinstance(value, (list, tuple)):
            raise Unfit.expected(self.expected, value)
        return tuple(_each(self.item.parse, value))

    def from_text(self, text: str) -> list[object]:
        """The items between commas, without blanks around them; blank text is the empty list."""
        items = [item.strip() for item in text.split(",")] if text.strip() else []
        return _each(self.item.from_text, items)


A = TypeVar("A")


def _each(function: Callable[[A], T], items: list[A] | tuple[A, ...]) -> list[T]:
    results: list[T] = []
    faults: list[tuple[str, str]] = []
    for index, item in enumerate(items):
        try:
            results.append(function(item))
        except Unfit as unfit:
            faults.extend((f"[{index}]{place}", text) for place, text in unfit.faults)
    if faults:
        raise Unfit(faults)
    return results


def matching(pattern: str) -> Callable[[str], object]:
    """A test for texts that match a regular expression from end to end."""
    return re.compile(pattern).fullmatch


def choice(*names: str) -> Text:
    """A rule for one of a few names."""
    return Text("one of " + ", ".join(names), frozenset(names).__contains__)


def _is_url(text: str) -> bool:
    if not text:
        return True
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        return False


_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


def _is_hostname(text: str) -> bool:
    labels = text.split(".")
    return len(text) <= 253 and not labels[-1].isdigit() and all(map(_LABEL.fullmatch, labels))


def _is_address(text: str) -> bool:
    if not text:
        return True
    try:
        ip_address(text)
    except ValueError:
        return _is_hostname(text)
    return True


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return text.endswith("]") and ":" in text and _is_address(text[1:-1])
    return bool(text) and ":" not in text and _is_address(text)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "%" not in text


def without_brackets(text: str) -> str:
    """An IPv6 address as it is; others stay as they are."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _empty_if_blank(text: str) -> str:
    return text if text.strip() else ""


PORT: Final = Integer(0, 65535)
ADDRESS: Final = Text("an IP address, a host name or an empty text", _is_address, without_brackets)
HOST: Final = Text("a host name or an IP address, IPv6 in brackets, without a port", _is_host, str.lower)
NETWORK: Final = Text("an IP address or a network as 10.0.0.0/8", _is_network)
URL: Final = Text("an http or https URL or an empty text", _is_url)
LINE: Final = Text("a text without NUL characters", matching(r"[^\0]*"))
SECRET: Final = Text("a text without NUL characters", matching(r"[^\0]*"), secret=True)
PATH: Final = Text("a path", matching(r"[^\0]*[^\0\s][^\0]*"))
OPTIONAL_PATH: Final = Text("a path or an empty text", matching(r"[^\0]*"))
OPTIONAL_ABSOLUTE_PATH: Final = Text("an absolute path or an empty text", matching(r"(?:/[^\0]*)?"))
OCTAL_MODE: Final = Text('an octal number as text in quotes, such as "0022", at most "0777"', matching(r"0*[0-7]{1,3}"))
IDENTIFIER: Final = Text(
    "an SQL identifier: a letter or underscore, then letters, digits and underscores, at most 63",
    matching(r"[A-Za-z_][A-Za-z0-9_]{0,62}"),
)
ALGORITHM: Final = Text("the name of an SSH algorithm (RFC 4251, section 6)", matching(r"[!-+\--~]{1,64}"))
SSH_BANNER: Final = Text(
    "at most 245 printable ASCII characters (RFC 4253, section 4.2)",
    matching(r"(?:[!-~][ -~]{0,244})?"),
    _empty_if_blank,
)
