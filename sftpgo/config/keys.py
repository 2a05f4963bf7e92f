"""The keys of the configuration as a table read from the model, so that nothing about a key is written twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import attrs

from sftpgo.config.problems import Unfit
from sftpgo.config.rules import Rule

T = TypeVar("T")

_RULE: Final = "sftpgo.rule"
_DOC: Final = "sftpgo.doc"


def key(default: T, rule: Rule[T], doc: str) -> T:
    """An attribute of a section: its default, what it accepts, and what it means with its unit."""
    return attrs.field(
        default=default,
        validator=_in_normal_form,
        repr=not rule.secret,
        metadata={_RULE: rule, _DOC: doc},
    )


def _in_normal_form(_record: object, attribute: attrs.Attribute[Any], value: object) -> None:
    rule: Rule[object] = attribute.metadata[_RULE]
    try:
        normal = rule.parse(value)
    except Unfit as unfit:
        raise ValueError(f"{attribute.name}: {unfit}") from unfit
    if normal != value:
        raise ValueError(f"{attribute.name}: expected {rule.expected}, in its normal form")


@attrs.frozen
class Key:
    """One key: its place, its rule, its default and what it means."""

    path: tuple[str, ...]
    rule: Rule[Any]
    default: Any
    doc: str

    @property
    def name(self) -> str:
        """The dotted name, as C{sftpd.actions.command}."""
        return ".".join(self.path)


def rule_of(attribute: attrs.Attribute[Any]) -> Rule[Any] | None:
    """The rule of an attribute, or C{None} where the attribute is a section of its own."""
    return attribute.metadata.get(_RULE)


def walk(section: type[attrs.AttrsInstance], above: tuple[str, ...] = ()) -> Iterator[Key]:
    """All keys of a section and of those in it, in order of definition."""
    for attribute in attrs.fields(section):
        path = (*above, attribute.name)
        rule = rule_of(attribute)
        if rule is None:
            yield from walk(type(attribute.default), path)
        else:
            yield Key(path, rule, attribute.default, attribute.metadata[_DOC])


@attrs.frozen
class KeyTable:
    """The known keys by dotted name, and the dotted names of the sections they stand in."""

    keys: Mapping[str, Key]
    sections: frozenset[str]

    @classmethod
    def of(cls, section: type[attrs.AttrsInstance]) -> KeyTable:
        """The table of a model."""
        keys = {key.name: key for key in walk(section)}
        above = {".".join(key.path[:depth]) for key in keys.values() for depth in range(1, len(key.path))}
        return cls(keys, frozenset(above))

    def unknown(self, name: str) -> str:
        """What to say about a name in a tree, where sections have names too."""
        return unknown(name, [*self.keys, *self.sections])

    def unknown_key(self, name: str) -> str:
        """What to say about a name in a flat list, where only keys can be given."""
        if name in self.sections:
            return (
                f"a section, ignored; give its keys, as {next(key for key in self.keys if key.startswith(name + '.'))}"
            )
        return unknown(name, list(self.keys))


def unknown(name: str, known: list[str]) -> str:
    """What to say about a name that is none of the known ones: the nearest of them, if any is near."""
    nearest = get_close_matches(name.lower(), known, n=1)
    return f"unknown key, ignored; did you mean {nearest[0]}?" if nearest else "unknown key, ignored"
