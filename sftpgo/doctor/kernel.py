"""What the kernel offers to confine users and the programs that run for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from sftpgo.avatars.system import NAMES, SystemCommands
from sftpgo.config.model import Config
from sftpgo.doctor.finding import Finding, fail, ok, warn
from sftpgo.storage import landlock
from sftpgo.storage.support import Support, detect

_ISOLATE: Final = "from sftpgo.storage import isolation; isolation.isolate()"
_PATIENCE: Final = 30.0


def look(config: Config, support: Support | None = None) -> Iterator[Finding]:
    """All of it; what only system commands need is looked at where they are enabled."""
    support = support or detect()
    if support.openat2:
        yield ok("homes", "users are confined to their homes by the kernel (openat2)")
    else:
        text = "the kernel has no openat2: users are confined to their homes by a walk, which is slower and as safe"
        yield warn("homes", text, "run Linux 5.6 or newer, and let containers use openat2")
    if not support.proc:
        yield fail("/proc", "/proc is not there", "mount it: mount -t proc proc /proc")
    enabled = sorted(NAMES & config.sftpd.allowed_commands)
    if enabled:
        yield from _commands(config, support, enabled)


def _commands(config: Config, support: Support, enabled: list[str]) -> Iterator[Finding]:
    names = ", ".join(enabled)
    if support.landlock >= landlock.USABLE_ABI:
        yield ok("Landlock", f"ABI {support.landlock}: {names} can be confined")
    elif config.sftpd.system_commands_without_confinement:
        text = f"Landlock is not usable here, and {names} run without confinement, as the configuration asks"
        yield fail("Landlock", text, "run Linux 5.19 or newer with lsm=landlock, or disable those commands")
    else:
        text = f"Landlock is not usable here (ABI {support.landlock}): {names} are refused"
        yield warn("Landlock", text, "run Linux 5.19 or newer with lsm=landlock, or disable those commands")
    if namespaces():
        yield ok("namespaces", "the rest of the machine is hidden from the programs that run for users")
    else:
        text = "the rest of the machine cannot be hidden from programs: rsync with options that follow links is refused"
        yield warn("namespaces", text, "allow user namespaces: sysctl kernel.unprivileged_userns_clone, or AppArmor's")
    programs = {"rsync" if name == "rsync" else "git" for name in enabled}
    for program in sorted(programs):
        if shutil.which(program, path=SystemCommands(None).search_path) is None:
            yield fail("programs", f"{program} is enabled and not installed", f"install {program}, or disable it")


def namespaces() -> bool:
    """Whether a process may have a view of the file system of its own, found by a process that tries."""
    with tempfile.TemporaryDirectory(prefix="sftpgo-doctor-") as directory, suppress(subprocess.TimeoutExpired):
        done = subprocess.run(  # noqa: S603 -- our own interpreter
            [sys.executable, "-c", _ISOLATE],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
        return done.returncode == 0
    return False
