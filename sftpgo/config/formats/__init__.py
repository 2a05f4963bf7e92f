"""The formats of the configuration file: each module has C{parse} and is imported only when its format is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, Protocol, cast

from sftpgo.config.formats.content import Content, Malformed

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "json": "jsonfile",
        "toml": "tomlfile",
        "yaml": "yamlfile",
        "yml": "yamlfile",
        "properties": "propertiesfile",
        "props": "propertiesfile",
        "prop": "propertiesfile",
        "hcl": "hclfile",
        "dotenv": "envfile",
        "env": "envfile",
        "ini": "inifile",
    }
)
"""Known extensions, in the order in which a file is looked for, and the module that reads each."""


class _Format(Protocol):
    def parse(self, text: str) -> Content: ...


def parse(extension: str, data: bytes) -> Content:
    """Read a file of a known extension (UTF-8, with or without byte order mark); raises L{Malformed}."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed("not UTF-8 text", data.count(b"\n", 0, error.start) + 1) from None
    module = cast(_Format, import_module(f"{__name__}.{MODULES[extension]}"))
    try:
        return module.parse(text)
    except RecursionError:
        raise Malformed("nested too deeply") from None
