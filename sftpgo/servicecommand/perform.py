"""Carries out the steps of a plan, and undoes what it wrote when one of them fails."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from sftpgo.errors import SFTPGoError
from sftpgo.servicecommand.model import Call, Done, RemoveFile, Run, Step, WriteFile

_MODE = 0o644

#: Lines of a program's output that are told when it fails.
_LAST_LINES = 3


class StepFailed(SFTPGoError):
    """A step could not be done; the text says which and why, in one line."""


class Runner(Protocol):
    """What carries out the steps that are not files."""

    def run(self, step: Run) -> Done:
        """Run a program to its end; raises L{OSError} when it cannot be started."""

    def call(self, step: Call) -> Done:
        """Call a function; what it raises becomes a L{Done} of status 1."""


class SystemRunner:
    """The real one."""

    def run(self, step: Run) -> Done:
        """Run it without input."""
        done = subprocess.run(  # noqa: S603 -- the words are a backend's
            step.words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def call(self, step: Call) -> Done:
        """Import its module and call it."""
        module, _, name = step.function.rpartition(".")
        try:
            function = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise StepFailed(f"{module} is missing; install sftpgo[windows]") from error
        try:
            return Done(value=function(*step.arguments))
        except Exception as error:  # pywintypes.error, which is only known where there is pywin32
            return Done(1, getattr(error, "strerror", None) or str(error))


def perform(steps: Sequence[Step], runner: Runner) -> None:
    """Do one after the other.

    @raise StepFailed: for the first that fails; files are then as they were before.
    """
    with contextlib.ExitStack() as undo:
        for step in steps:
            match step:
                case WriteFile() | RemoveFile():
                    undo.callback(_change(step))
                case _:
                    ask(step, runner)
        undo.pop_all()


def ask(step: Run | Call, runner: Runner) -> Done:
    """Run or call it; raises L{StepFailed} unless it may fail."""
    try:
        done = runner.run(step) if isinstance(step, Run) else runner.call(step)
    except OSError as error:
        raise StepFailed(f"{described(step)}: {error.strerror}") from error
    if done.status and not step.may_fail:
        last = "; ".join(line.strip() for line in done.output.strip().splitlines()[-_LAST_LINES:])
        raise StepFailed(f"{described(step)}: {last or f'exit status {done.status}'}")
    return done


def described(step: Step) -> str:
    """A step as one line: what a person would type, or the file."""
    match step:
        case WriteFile():
            return f"write {step.path}"
        case RemoveFile():
            return f"remove {step.path}"
        case Run():
            return shlex.join(step.words)
        case Call():
            return f"{step.function}({', '.join(map(repr, step.arguments))})"


def shown(steps: Sequence[Step]) -> Iterator[str]:
    """Every step, and the text of every file."""
    for step in steps:
        yield described(step)
        if isinstance(step, WriteFile):
            yield from (f"  | {line}" for line in step.content.decode("utf-8").splitlines())


def _change(step: WriteFile | RemoveFile) -> Callable[[], None]:
    """Write or remove a file; returns what undoes it."""
    try:
        restore = _restorer(step.path)
        if isinstance(step, WriteFile):
            _write(step.path, step.content, _MODE)
        else:
            _remove(step.path)
    except OSError as error:
        hint = "; run it as root" if isinstance(error, PermissionError) else ""
        raise StepFailed(f"{described(step)}: {error.strerror}{hint}") from error
    return restore


def _restorer(path: str) -> Callable[[], None]:
    """What makes a path what it is now: a link stays a link, for a masked unit is one to C{/dev/null}."""
    try:
        if os.path.islink(path):
            return partial(_link, path, os.readlink(path))
        with open(path, "rb") as file:
            return partial(_write, path, file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    except FileNotFoundError:
        return partial(_remove, path)


def _remove(path: str) -> None:
    if os.path.lexists(path):
        os.unlink(path)


def _link(path: str, target: str) -> None:
    with _in_place_of(path) as temporary:
        os.symlink(target, temporary)


def _write(path: str, content: bytes, mode: int) -> None:
    """The whole file at once."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with _in_place_of(path) as temporary, open(temporary, "xb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _in_place_of(path: str) -> Iterator[str]:
    """A name to make something under; it gets its own only when it is complete."""
    temporary = f"{path}.new.{os.getpid()}"
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
