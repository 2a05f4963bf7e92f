"""Where a server listens, as the configuration says it: one address, several, or sections with a port each."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import attrs

from sftpgo.config import rules
from sftpgo.config.problems import Unfit
from sftpgo.config.rules import Integer, ListOf, Rule

PROXY_PROTOCOL: Final = Integer(0, 2)

_WRITTEN: Final = re.compile(r"(?P<address>[^\[\]]*|\[[^\[\]]*\]):(?P<port>[0-9]{1,5})")


@attrs.frozen
class OneOrMore:
    """One value, or a list of them with at least one; in text they are split at commas."""

    item: Rule[str]
    secret: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ()

    @property
    def expected(self) -> str:
        """The item in words."""
        return f"{self.item.expected}, or a list of such"

    def parse(self, value: object) -> str | tuple[str, ...]:
        """The text, or a tuple of them."""
        if isinstance(value, (list, tuple)):
            found = ListOf(self.item).parse(value)
            if not found:
                raise Unfit([("", f"expected {self.expected}, found an empty list")])
            return found
        try:
            return self.item.parse(value)
        except Unfit:
            raise Unfit.expected(self.expected, value) from None

    def from_text(self, text: str) -> object:
        """A text without a comma is one value."""
        return [part.strip() for part in text.split(",")] if "," in text else text


ADDRESSES: Final = OneOrMore(rules.ADDRESS)


def several(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """What L{OneOrMore} gives, as a tuple in any case."""
    return (value,) if isinstance(value, str) else value


@attrs.frozen(kw_only=True)
class Binding:
    """One place that the SSH server listens on.

    @ivar address: empty for all.
    @ivar port: 0 for any free one.
    @ivar proxy_protocol: as the key of that name; None for what that says.
    """

    port: int
    address: str = ""
    proxy_protocol: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what fits no rule."""
        faults: list[tuple[str, str]] = []
        _check(faults, ".port", rules.PORT, self.port)
        _check(faults, ".address", rules.ADDRESS, self.address)
        if self.proxy_protocol is not None:
            _check(faults, ".proxy_protocol", PROXY_PROTOCOL, self.proxy_protocol)
        if not faults and rules.ADDRESS.parse(self.address) != self.address:
            faults.append((".address", "expected an address without brackets"))
        if faults:
            raise Unfit(faults)


def _check(faults: list[tuple[str, str]], place: str, rule: Rule[object], value: object) -> None:
    try:
        rule.parse(value)
    except Unfit as unfit:
        faults.extend((f"{place}{below}", text) for below, text in unfit.faults)


@attrs.frozen
class BindingRule:
    """A section of these keys; in text C{address:port}, IPv6 addresses in brackets."""

    expected: ClassVar[str] = "a section with a port"
    secret: ClassVar[bool] = False
    fields: ClassVar[tuple[str, ...]] = ("address", "port", "proxy_protocol")

    def parse(self, value: object) -> Binding:
        """The binding."""
        if isinstance(value, Binding):
            return value
        if not isinstance(value, Mapping):
            raise Unfit.expected(self.expected, value)
        given = {name: value[name] for name in self.fields if value.get(name) is not None}
        if "port" not in given:
            raise Unfit([("", f"expected {self.expected}, found one without")])
        if isinstance(given.get("address"), str):
            given["address"] = rules.without_brackets(given["address"])
        return Binding(**given)

    def from_text(self, text: str) -> Mapping[str, object]:
        """A section of that address and port."""
        found = _WRITTEN.fullmatch(text)
        if found is None or (":" in found["address"] and not found["address"].startswith("[")):
            raise Unfit.expected("address:port, IPv6 addresses in brackets", text)
        return {"address": found["address"], "port": int(found["port"])}


def needs_proxies(proxy_protocol: int, bindings: Sequence[Binding]) -> bool:
    """Whether a PROXY header is believed, or waited for, anywhere."""
    return any(proxy_protocol if each.proxy_protocol is None else each.proxy_protocol for each in bindings) or (
        bool(proxy_protocol) and not bindings
    )
