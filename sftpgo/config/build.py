"""From given values to the model, with every fault told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import attrs
from cattrs import ClassValidationError, Converter
from cattrs.gen import make_dict_structure_fn, override

from sftpgo.config.entries import Entry
from sftpgo.config.keys import KeyTable, rule_of
from sftpgo.config.model import ALL_COMMANDS, SSH_COMMANDS, Config
from sftpgo.config.problems import Report, Unfit, describe
from sftpgo.config.rules import Rule

T = TypeVar("T")


def build(entries: Mapping[str, Entry], table: KeyTable, report: Report) -> Config | None:
    """The configuration that these entries make of the defaults; C{None} if one does not fit, told in the report."""
    values: dict[str, Any] = {}
    for name, entry in entries.items():
        try:
            value = table.keys[name].rule.from_text(entry.value) if entry.text else entry.value
        except Unfit as unfit:
            report.unfit(entry.origin, name, unfit)
        else:
            values[name] = _tolerated(name, value, entry.origin, report)
    try:
        return _converter(Config).structure(_nested(values, table), Config)
    except ClassValidationError as error:
        for name, fault in _faults(error, ""):
            report.unfit(_origin(entries, name, fault), name, fault)
        return None


def _origin(entries: Mapping[str, Entry], name: str, unfit: Unfit) -> str:
    """Where the key of a fault was given; a fault between several keys names the one to change in its place."""
    for candidate in (name, name + unfit.faults[0][0]):
        if candidate in entries:
            return entries[candidate].origin
    return "built-in default"


def _nested(values: Mapping[str, Any], table: KeyTable) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = table.keys[name].path
        section = root
        for part in sections:
            section = section.setdefault(part, {})
        section[last] = value
    return root


def _converter(root: type[attrs.AttrsInstance]) -> Converter:
    converter = Converter(detailed_validation=True)

    def register(section: type[attrs.AttrsInstance]) -> None:
        overrides: dict[str, Any] = {}
        for attribute in attrs.fields(section):
            rule = rule_of(attribute)
            if rule is None:
                register(type(attribute.default))
            else:
                overrides[attribute.name] = override(struct_hook=_hook(rule))
        converter.register_structure_hook(section, make_dict_structure_fn(section, converter, **overrides))

    register(root)
    return converter


def _hook(rule: Rule[T]) -> Callable[[object, object], T]:
    return lambda value, _type: rule.parse(value)


def _faults(error: ClassValidationError, above: str) -> Iterator[tuple[str, Unfit]]:
    """Every fault with the dotted name of its key (of its section, if it lies between keys)."""
    noted, unnoted = error.group_exceptions()
    pairs = [(fault, f"{above}.{note.name}" if above else note.name) for fault, note in noted]
    for fault, name in [*pairs, *((fault, above) for fault in unnoted)]:
        if isinstance(fault, ClassValidationError):
            yield from _faults(fault, name)
        elif isinstance(fault, Unfit):
            yield name, fault
        else:
            raise fault


def _tolerated(name: str, value: Any, origin: str, report: Report) -> Any:
    """The two wrong values that the original only warns of; every other one is a problem."""
    if name == "sftpd.upload_mode" and type(value) is int and value not in (0, 1, 2):
        report.warning(origin, name, f"expected 0, 1 or 2, found {describe(value)}: 0 is used")
        return 0
    if (
        name == "sftpd.enabled_ssh_commands"
        and isinstance(value, list)
        and all(isinstance(each, str) for each in value)
    ):
        known = (*SSH_COMMANDS, ALL_COMMANDS)
        for command in value:
            if command not in known:
                report.warning(origin, name, f"{describe(command)} is no supported SSH command, ignored")
        return [command for command in value if command in known]
    return value
