"""The keys that a file gives, by dotted name in lower case, each with the place it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from sftpgo.config.formats.content import Blocks, Content, Lines, Tree
from sftpgo.config.keys import KeyTable, unknown
from sftpgo.config.problems import Report, describe


@attrs.frozen
class Entry:
    """One given value.

    @ivar origin: the file or the environment variable, for errors.
    @ivar text: whether the value is text that is yet to become a value of its key's kind.
    """

    value: Any
    origin: str
    text: bool


def entries(content: Content, origin: str, table: KeyTable, report: Report) -> dict[str, Entry]:
    """The known keys in the content of a file; what is unknown is a warning, what is given twice a problem."""
    match content:
        case Tree():
            reader = _TreeReader(origin, table, report, content.twice)
            reader.section(content.root, "")
            return reader.entries
        case Lines():
            return _from_lines(content, origin, table, report)


def _from_lines(content: Lines, origin: str, table: KeyTable, report: Report) -> dict[str, Entry]:
    result: dict[str, Entry] = {}
    for line in content.lines:
        place = f"{origin}: line {line.number}" if line.number is not None else origin
        name = line.name.lower()
        if name not in table.keys:
            report.warning(place, line.name, table.unknown_key(name))
        elif name in result:
            report.problem(place, line.name, f"given twice, first at {result[name].origin}")
        else:
            result[name] = Entry(line.text, place, text=True)
    return result


@attrs.define
class _TreeReader:
    """Walks down the sections of a file that are known.

    A key without a value (C{null}) counts as left out.
    """

    origin: str
    table: KeyTable
    report: Report
    twice: Mapping[tuple[str, str], Sequence[int]]
    entries: dict[str, Entry] = attrs.field(factory=dict)

    def section(self, section: Mapping[Any, Any], above: str) -> None:
        """Take in a section; C{above} is its dotted name with a dot, or empty at the top."""
        for name, value in self._folded(section, above):
            dotted = above + name
            if dotted in self.table.sections:
                self._subsection(value, dotted)
            elif dotted not in self.table.keys:
                self.report.warning(self.origin, dotted, self.table.unknown(dotted))
            elif value is not None:
                fields = self.table.keys[dotted].rule.fields
                kept = self._records(value, dotted, fields) if fields else value
                self.entries[dotted] = Entry(kept, self.origin, text=False)

    def _subsection(self, value: object, dotted: str) -> None:
        if isinstance(value, Blocks):
            value = self._merged(value, dotted)
        if isinstance(value, Mapping):
            self.section(value, dotted + ".")
        elif value is not None:
            self.report.problem(self.origin, dotted, f"expected a section of keys, found {describe(value)}")

    def _merged(self, blocks: Blocks, dotted: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for block in blocks:
            for name, value in self._folded(block, dotted + "."):
                if name not in result:
                    result[name] = value
                elif isinstance(value, Blocks) and isinstance(result[name], Blocks):
                    result[name] = Blocks([*result[name], *value])
                else:
                    self.report.problem(self.origin, f"{dotted}.{name}", "given twice")
        return result

    def _records(self, value: object, dotted: str, fields: tuple[str, ...]) -> object:
        if not isinstance(value, list):
            return value
        return [
            self._record(item, f"{dotted}[{index}]", fields) if isinstance(item, Mapping) else item
            for index, item in enumerate(value)
        ]

    def _record(self, item: Mapping[Any, Any], place: str, fields: tuple[str, ...]) -> dict[str, Any]:
        result = {}
        for name, value in self._folded(item, place + "."):
            if name in fields:
                result[name] = value
            else:
                self.report.warning(self.origin, f"{place}.{name}", unknown(name, list(fields)))
        return result

    def _folded(self, section: Mapping[Any, Any], above: str) -> Iterator[tuple[str, Any]]:
        """The names in lower case; the same name in another case is a problem, not a choice."""
        spelt: dict[str, object] = {}
        for key, value in section.items():
            name = str(key).lower()
            if name in spelt:
                lines = self.twice.get((str(spelt[name]), str(key)), ())
                place = f", line {' and '.join(map(str, lines))}" if lines else ""
                self.report.problem(self.origin, above + name, f"given twice, as {spelt[name]!r} and as {key!r}{place}")
            else:
                spelt[name] = key
                yield name, value
