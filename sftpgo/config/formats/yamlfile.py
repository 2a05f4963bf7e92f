"""YAML 1.1 of plain data."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from sftpgo.config.formats.content import Malformed, Tree, Twice, tree


class _Loader(yaml.SafeLoader):
    """The safe loader, which in addition refuses a name given twice in one mapping.

    @ivar twice: the names that differ in case only.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.twice = Twice()

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Look at the names before merge keys bring in others, which may be given again."""
        names = self.twice.section()
        for name, _ in node.value:
            if isinstance(name, yaml.ScalarNode):
                mark = name.start_mark
                names.take(name.value, mark.line + 1, mark.column + 1)
        return super().construct_mapping(node, deep)


def _without_names(error: yaml.MarkedYAMLError) -> str:
    """What is wrong, without the alias or tag: a password that begins with C{*} or C{!} and lacks quotes is one."""
    problem = error.problem or "unreadable"
    named = isinstance(error, (yaml.composer.ComposerError, yaml.constructor.ConstructorError))
    return problem.partition(" '")[0] if named else problem


def parse(text: str) -> Tree:
    """Read one YAML document."""
    try:
        loader = _Loader(text)
        try:
            return tree(loader.get_single_data(), loader.twice.found)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise Malformed(f"not YAML: {_without_names(error)}", *place) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Malformed(f"not YAML: {error.reason}", line) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise Malformed(f"not YAML: {error}") from None
