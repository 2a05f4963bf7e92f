"""The users' homes: whether they can be used, and whether one is inside another or holds the server's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sftpgo.doctor.disk import existing
from sftpgo.doctor.finding import Finding, Level, fail, ok, warn
from sftpgo.domain.user import User

_SHOWN: Final = 10
"""Findings of one kind that are told one by one."""

_LARGEST_ID: Final = 65535


def look(users: Sequence[User], config_dir: str, *, more: bool, euid: int | None = None) -> Iterator[Finding]:
    """Look at the homes of these users.

    @param more: there are users whose homes are not looked at.
    @param euid: the server's user; None for that of this process.
    """
    euid = os.geteuid() if euid is None else euid
    found = [finding for user in users for finding in _home(user, euid)]
    found += _nested(users)
    found += _around(users, config_dir)
    kinds: dict[tuple[Level, str], int] = {}
    for finding in found:
        kind = finding.level, finding.do
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] <= _SHOWN:
            yield finding
    for (level, do), count in kinds.items():
        if count > _SHOWN:
            yield Finding(level, "home", f"so it is with {count - _SHOWN} more", do)
    note = f" (the first {len(users)} users by name were looked at: --users N looks at more)" if more else ""
    if not found or more:
        yield ok("home", f"{len(users)} homes looked at{note}")


def _home(user: User, euid: int) -> Iterator[Finding]:
    path, name = user.home_dir, f"the home of {user.username!r}"
    if not os.path.isabs(path):
        yield fail("home", f"{name} is no absolute path: {path!r}", "mend the user's home_dir")
        return
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        yield from _missing(path, name)
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        yield fail("home", f"{name} cannot be looked at: {path!r}: {reason}", "mend the path or its permissions")
        return
    if stat.S_ISLNK(status.st_mode):
        text = f"{name} is a symbolic link, {path!r}: whoever can change it moves the home"
        yield warn("home", text, "name the directory itself as home_dir")
        if not os.path.isdir(path):
            yield fail("home", f"{name} leads to no directory: {path!r}", "mend the user's home_dir")
            return
        status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        yield fail("home", f"{name} is no directory: {path!r}", "move what is there away, or mend home_dir")
        return
    yield from _owner(user, status, name, euid)


def _missing(path: str, name: str) -> Iterator[Finding]:
    above = existing(path)
    if not os.access(above, os.W_OK | os.X_OK):
        text = f"{name} is not there and cannot be made: {path!r}; {above!r} may not be written"
        yield fail("home", text, "make it, or let the server's user write to the directory above")


def _owner(user: User, status: os.stat_result, name: str, euid: int) -> Iterator[Finding]:
    if not os.access(user.home_dir, os.R_OK | os.W_OK | os.X_OK):
        text = f"{name} is not for uid {euid} to read and write: {user.home_dir!r}"
        yield fail("home", text, "give it to the server's user, with chown or an ACL")
    if 0 < user.uid <= _LARGEST_ID and status.st_uid != user.uid and euid == 0:
        text = f"{name} belongs to uid {status.st_uid}, the user's files to uid {user.uid}: {user.home_dir!r}"
        yield warn("home", text, "chown it to the uid of the user")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        text = f"{name} may be written by everybody on this machine: {user.home_dir!r}"
        yield warn("home", text, "chmod o-w it")


def _nested(users: Iterable[User]) -> Iterator[Finding]:
    """Homes that others are in, by one pass over them in order: what is inside follows what is around it."""
    homes = sorted((_parts(user.home_dir), user.username) for user in users if os.path.isabs(user.home_dir))
    around: list[tuple[tuple[str, ...], str]] = []
    for parts, name in homes:
        while around and parts[: len(around[-1][0])] != around[-1][0]:
            around.pop()
        if around:
            outer, owner = around[-1]
            if outer == parts:
                text = f"{name!r} and {owner!r} have the same home: /{'/'.join(parts)}"
                yield warn("home", text, "fine where it is wanted; else give each user a home of their own")
                continue
            text = f"the home of {name!r} is inside that of {owner!r}: /{'/'.join(parts)}"
            yield warn("home", text, "fine where the other user is to see it; else move one of them")
        around.append((parts, name))


def _around(users: Iterable[User], config_dir: str) -> Iterator[Finding]:
    inner = _parts(config_dir)
    for user in users:
        if os.path.isabs(user.home_dir) and inner[: len(outer := _parts(user.home_dir))] == outer:
            text = f"the home of {user.username!r} holds the server's own files: {config_dir}"
            yield fail("home", text, "move the configuration directory out of every home")


def _parts(path: str) -> tuple[str, ...]:
    """The names of a path without links, so that one inside the other begins with it."""
    try:
        real = os.path.realpath(path)
    except (OSError, ValueError):
        real = os.path.normpath(path)
    return tuple(name for name in real.split("/") if name)
