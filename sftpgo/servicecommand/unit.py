"""The unit of systemd: the one of the package, with what this installation has of its own put into it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sftpgo.errors import StartupError
from sftpgo.servicecommand.model import Service

#: Below this directory, and the next one, systemd makes a service's own, with the right owner.
STATE = "/var/lib"
LOGS = "/var/log"

#: What ProtectHome=yes hides.
_HIDDEN = ("/home", "/root", "/run/user")

_PLAIN = re.compile(r"[A-Za-z0-9_./=:@+-]+")

#: What the path of a program may not hold, however it is quoted.
_SPECIAL = frozenset("\"'\\$%")


def unit_for(service: Service, text: str) -> str:
    """The unit with this service's command, account and directories; its other directives stay as they are.

    @param text: the unit of the package.
    @raise StartupError: for a program that systemd would not start, a directory that cannot be written there.
    """
    _check(service)
    own = {
        "User": [service.user],
        "Group": [],  # the account's own
        "ExecStart": [" ".join(map(_quoted, service.serve(f"{LOGS}/{service.name}/sftpgo.log")))],
        "LogsDirectory": [service.name],
        "StateDirectory": [service.name] if has_state_directory(service) else [],
        "StateDirectoryMode": None if has_state_directory(service) else [],
        "ReadWritePaths": list(_writable(service)),
        "ProtectHome": ["read-only"] if _needs_home(service) else None,
    }
    lines = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        key = line.partition("=")[0]
        values = own.get(key)
        lines += [line] if values is None else [f"{key}={value}" for value in values]
    return re.sub(r"\n{3,}", "\n\n", "\n".join([_HEAD, *lines])) + "\n"


_HEAD = """\
# Made by "sftpgo service install".  Change it with "systemctl edit", not here.
"""


def has_state_directory(service: Service) -> bool:
    """Whether systemd makes the configuration directory."""
    return service.config_dir == f"{STATE}/{service.name}"


def _check(service: Service) -> None:
    if not _SPECIAL.isdisjoint(service.program[0]):
        raise StartupError(f"--program: systemd takes no program with one of {' '.join(sorted(_SPECIAL))} in its path")
    if any("\\" in path for path in (service.config_dir, *service.homes)):
        raise StartupError("--config-dir, --home-dirs: systemd takes no directory with a backslash in its path")


def _writable(service: Service) -> Iterator[str]:
    """The directories that it may write; the configuration has to be there, homes may come later."""
    if not has_state_directory(service):
        yield _quoted(service.config_dir, dollars=False)
    for path in service.homes:
        yield _quoted(f"-{path}", dollars=False)


def _needs_home(service: Service) -> bool:
    used = (service.program[0], service.config_dir, *service.homes)
    return any(path == hidden or path.startswith(f"{hidden}/") for path in used for hidden in _HIDDEN)


def _quoted(word: str, *, dollars: bool = True) -> str:
    """A word as it stands in a unit (systemd.syntax(7), systemd.service(5))."""
    word = word.replace("%", "%%")
    if dollars:
        word = word.replace("$", "$$")
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
