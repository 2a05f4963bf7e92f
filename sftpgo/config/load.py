"""Reading the configuration: the file, the environment over it, and the model they make."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

from sftpgo.config import environ as environment
from sftpgo.config import search
from sftpgo.config.build import build
from sftpgo.config.entries import Entry, entries
from sftpgo.config.formats import MODULES, parse
from sftpgo.config.formats.content import Malformed
from sftpgo.config.keys import KeyTable
from sftpgo.config.model import Config
from sftpgo.config.problems import Report
from sftpgo.errors import ConfigurationError


@attrs.frozen
class Loaded:
    """A configuration and how it came about.

    @ivar path: absolute path of the file that was read, or C{None}: there is none.
    @ivar warnings: one line each, for the log.
    @ivar config_dir: absolute path of the directory that relative paths start from.
    @ivar origins: where each given key comes from, a file or an environment variable; the others have their defaults.
    """

    config: Config
    path: str | None
    warnings: tuple[str, ...]
    config_dir: str
    origins: Mapping[str, str] = attrs.field(factory=dict)


def load(
    config_dir: str,
    config_file: str = "sftpgo",
    *,
    environ: Mapping[str, str],
    home: str | None = None,
    explicit_path: str | None = None,
) -> Loaded:
    """Find and read the configuration; a missing file is a warning, and the defaults are used.

    @param config_dir: the first directory to look in, and the one that relative paths start from.
    @param config_file: name of the file, with a known extension or without one.
    @param environ: the environment, whose C{SFTPGO_SECTION__KEY} go before the file.
    @param home: home directory of the user who runs the server; C{None}: what C{environ} names.
    @param explicit_path: exactly this file, which must be there; its directory is the configuration directory.
    @raise ConfigurationError: with all that is wrong.
    """
    report = Report()
    table = KeyTable.of(Config)
    if explicit_path is not None:
        path: str | None = os.path.abspath(explicit_path)
        config_dir = os.path.dirname(explicit_path)
    else:
        where = search.directories(config_dir, home if home is not None else environ.get("HOME"))
        path = search.find(where, config_file)
        report.warnings.extend(search.closed(where, config_file, path))
        if path is None:
            report.warnings.append(search.not_found(where, config_file))
    given = _read(path, table, report) if path is not None else {}
    given.update(environment.entries(environ, table, report))
    config = build(given, table, report)
    if config is None or report.problems:
        raise ConfigurationError(report.problems)
    return Loaded(
        config=config,
        path=path,
        warnings=tuple(report.warnings),
        config_dir=os.path.abspath(config_dir),
        origins={name: entry.origin for name, entry in given.items()},
    )


def _read(path: str, table: KeyTable, report: Report) -> dict[str, Entry]:
    extension = search.extension(path)
    if extension is None:
        report.problems.append(f"{path}: unknown format: expected a name that ends in .{', .'.join(MODULES)}")
        return {}
    try:
        with open(path, "rb") as file:
            content = parse(extension, file.read())
    except OSError as error:
        report.problems.append(f"{path}: cannot be read: {error.strerror}")
    except Malformed as error:
        report.problems.append(f"{path}: {error}")
    else:
        return entries(content, path, table, report)
    return {}


def resolve(config_dir: str, path: str) -> str:
    """A path of the configuration made absolute; an empty one, which means that there is none, stays empty."""
    return os.path.join(os.path.abspath(config_dir), path) if path else ""
