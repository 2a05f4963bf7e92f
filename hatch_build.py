"""Notes in every wheel and source archive which commit it was built from, and when (see sftpgo/built.py)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NOTE = "sftpgo/_build.py"


class CustomBuildHook(BuildHookInterface):
    """Adds C{sftpgo/_build.py}; an editable installation asks its checkout instead."""

    _directory: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the note, unless the source archive that this is built from brought one."""
        if version == "editable" or os.path.exists(os.path.join(self.root, _NOTE)):
            return
        self._directory = tempfile.mkdtemp(prefix="sftpgo-build-")
        path = os.path.join(self._directory, "_build.py")
        with open(path, "w", encoding="ascii") as file:
            file.write(f'"""Written by the build."""\n\nCOMMIT = {commit(self.root)!r}\nDATE = {moment()!r}\n')
        build_data["force_include"][path] = _NOTE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what L{initialize} wrote."""
        if self._directory is not None:
            shutil.rmtree(self._directory)


def commit(root: str) -> str:
    """The short name of the commit, with C{-dirty} for uncommitted changes; empty outside of a checkout of ours."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top or not os.path.samefile(top, root):
        return ""
    return _git(root, "describe", "--always", "--dirty", "--exclude", "*")


def _git(root: str, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 -- the words are ours
            ["git", "-C", root, *words],  # noqa: S607 -- the git of whoever builds
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def moment() -> str:
    """Now in UTC, or what C{SOURCE_DATE_EPOCH} says where the build is to be reproducible."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
