"""The command C{sftpgo check-config}: the configuration as the server would have it, and where each value is from."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sftpgo.commandline import Parser, configuration, parser, reasons
from sftpgo.config.bindings import several
from sftpgo.config.keys import Key, KeyTable
from sftpgo.config.load import Loaded
from sftpgo.config.model import Config
from sftpgo.errors import SFTPGoError, StartupError
from sftpgo.httpface import require_guarded
from sftpgo.reference.samples import literal, plain
from sftpgo.ssh.algorithms import choose_algorithms

_ABOUT = """Prints the effective configuration, with the file or the environment variable each value comes from; secrets
are masked.  Exit status: 0 the server would take it, 1 it would not: every problem is named."""

DEFAULT: Final = "default"
_MASK: Final = "********"
_URL_SECRETS: Final = re.compile(r"(?<=://)[^/?#]*(?=@)|(?<=\?)[^#]+")
"""What stands before the last @ of the authority (RFC 3986 section 3.2), and the query: tokens are given there."""


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = flags().parse_args(words)
    try:
        loaded = configuration(options)
    except SFTPGoError as error:
        return _refused(options, list(reasons(error)))
    if problems := list(startup_problems(loaded.config)):
        return _refused(options, problems)
    if options.json:
        print(json.dumps(_document(loaded), indent=2))
    else:
        _print_table(loaded)
    return 0


def flags() -> Parser:
    """The command's flags."""
    made = parser("check-config", _ABOUT, os.environ)
    made.add_argument("--json", action="store_true", help="print it as one JSON object")
    return made


def startup_problems(config: Config) -> Iterator[str]:
    """What is wrong with values that are each allowed: the server would not start with them."""
    sshd = config.sftpd
    try:
        choose_algorithms(sshd.kex_algorithms, sshd.ciphers, sshd.macs)
    except ValueError as error:
        yield f"sftpd.{error}"
    if config.httpd.bind_port:
        try:
            require_guarded(config.httpd, several(config.httpd.bind_address))
        except StartupError as error:
            yield str(error)


def effective(loaded: Loaded) -> Iterator[tuple[Key, Any, str]]:
    """Each key with its value as it may be shown, and where that comes from."""
    for key in KeyTable.of(Config).keys.values():
        value: Any = loaded.config
        for name in key.path:
            value = getattr(value, name)
        yield key, shown(key, value), loaded.origins.get(key.name, DEFAULT)


def shown(key: Key, value: Any) -> Any:
    """A value as anybody may see it: no secret, no password and no token in a URL."""
    if key.rule.secret:
        return _MASK if value else value
    value = plain(value)
    return _URL_SECRETS.sub(_MASK, value) if isinstance(value, str) and "://" in value else value


def _document(loaded: Loaded) -> dict[str, Any]:
    return {
        "file": loaded.path,
        "config_dir": loaded.config_dir,
        "warnings": list(loaded.warnings),
        "problems": [],
        "keys": {key.name: {"value": value, "source": source} for key, value, source in effective(loaded)},
    }


def _print_table(loaded: Loaded) -> None:
    for warning in loaded.warnings:
        print(f"sftpgo: warning: {warning}", file=sys.stderr)
    print(f"file: {loaded.path or 'none, built-in defaults are used'}")
    print(f"directory: {loaded.config_dir}\n")
    rows = [("KEY", "VALUE", "FROM")]
    rows += [(key.name, literal(value), source) for key, value, source in effective(loaded)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        print(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")


def _refused(options: Namespace, problems: Sequence[str]) -> int:
    if options.json:
        print(json.dumps({"problems": list(problems)}, indent=2))
    for line in problems:
        print(f"sftpgo: {line}", file=sys.stderr)
    return 1
