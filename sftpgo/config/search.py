"""Where the configuration file is looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sftpgo.config.formats import MODULES


def extension(path: str) -> str | None:
    """The known extension of a file name, in lower case and without the dot."""
    found = os.path.splitext(path)[1][1:].lower()
    return found if found in MODULES else None


def directories(config_dir: str, home: str | None) -> tuple[str, ...]:
    """The directories in their order: the given one, those of the user and of the system, the current one."""
    user = (os.path.join(home, ".config", "sftpgo"),) if home else ()
    return tuple(dict.fromkeys((config_dir, *user, "/etc/sftpgo", ".")))


def names(config_file: str) -> tuple[str, ...]:
    """The file names to look for in each: exactly the given one if its extension is known, else each extension."""
    if extension(config_file):
        return (config_file,)
    return tuple(f"{config_file}.{each}" for each in MODULES)


def find(where: tuple[str, ...], config_file: str) -> str | None:
    """The absolute path of the first file there is; the order of directories goes before that of extensions."""
    return next((os.path.abspath(path) for path in _candidates(where, config_file) if os.path.isfile(path)), None)


def _candidates(where: tuple[str, ...], config_file: str) -> Iterator[str]:
    for directory in where:
        for name in names(config_file):
            yield os.path.join(directory, name)


def closed(where: tuple[str, ...], config_file: str, found: str | None) -> list[str]:
    """What to say of directories that come before the one it was found in, and that this user may not look into."""
    warnings = []
    for directory in where:
        paths = [os.path.join(directory, name) for name in names(config_file)]
        if any(os.path.abspath(path) == found for path in paths):
            break
        try:
            os.stat(paths[0])
        except PermissionError as error:
            warnings.append(f"no configuration file could be looked for in {directory}: {error.strerror}")
        except (OSError, ValueError):
            continue
    return warnings


def not_found(where: tuple[str, ...], config_file: str) -> str:
    """What to say when there is none."""
    text = f"no configuration file {config_file} in {', '.join(where)}: built-in defaults are used"
    for directory in where:
        path = os.path.join(directory, config_file)
        if not extension(config_file) and os.path.isfile(path):
            return f"{text}; {path} was not read, its name has no known extension"
    return text
