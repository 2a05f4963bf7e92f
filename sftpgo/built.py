"""What this was built from: told by the build (C{hatch_build.py}), or by the checkout that it runs from.

A checkout is asked by reading a few small files of its own, never by running git: the server's start must not wait.
Whether there are changes that are not committed is known to a build only, whose commit then ends with C{-dirty}.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
from datetime import UTC, datetime

import attrs

_HASH = re.compile(r"[0-9a-f]{40,64}")

#: As many digits as git shows of a repository of this size.
_SHOWN = 7

#: Bytes at the end of a reflog that hold its last line.
_TAIL = 4096


@attrs.frozen
class Built:
    """Commit, and when: that of the build, of a checkout when it came to this commit; both empty where nobody knows."""

    commit: str = ""
    date: str = ""


@functools.cache
def built() -> Built:
    """What this process runs, as it was when it was first asked."""
    try:
        made = importlib.import_module("sftpgo._build")
    except ImportError:
        return checkout(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return Built(made.COMMIT, made.DATE)


def checkout(root: str) -> Built:
    """The commit that a working tree is at; nothing where C{root} is not the top of one."""
    try:
        directory = _git_directory(root)
        commit = _commit(directory)
        moved = _moved(os.path.join(directory, "logs", "HEAD"), commit)
    except (OSError, ValueError):
        return Built()
    return Built(commit[:_SHOWN], moved)


def _git_directory(root: str) -> str:
    """Of the working tree itself: of one that C{git worktree} made, C{.git} is a file that names it."""
    path = os.path.join(root, ".git")
    if os.path.isdir(path):
        return path
    return os.path.join(root, _read(path).removeprefix("gitdir: "))


def _commit(directory: str) -> str:
    head = _read(os.path.join(directory, "HEAD"))
    if not head.startswith("ref: "):
        return _checked(head)
    name = head.removeprefix("ref: ")
    try:
        common = os.path.join(directory, _read(os.path.join(directory, "commondir")))
    except FileNotFoundError:
        common = directory
    try:
        return _checked(_read(os.path.join(common, name)))
    except FileNotFoundError:
        return _packed(os.path.join(common, "packed-refs"), name)


def _packed(path: str, name: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            commit, _, of = line.rstrip("\n").partition(" ")
            if of == name:
                return _checked(commit)
    raise ValueError(f"{name} is no branch")


def _checked(commit: str) -> str:
    if not _HASH.fullmatch(commit):
        raise ValueError(f"{commit!r} is no commit")
    return commit


def _moved(reflog: str, commit: str) -> str:
    """When HEAD came to be at C{commit}; empty where the reflog does not tell."""
    try:
        with open(reflog, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            last = file.read().decode("utf-8", "replace").rstrip("\n").rpartition("\n")[2]
    except FileNotFoundError:
        return ""
    fields = last.partition("\t")[0].split(" ")
    if len(fields) < 4 or fields[1] != commit or not fields[-2].isdecimal():
        return ""
    return datetime.fromtimestamp(int(fields[-2]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(_TAIL).strip()
