"""What a service is, and the steps that make it one: planned by a backend, then carried out or only shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

import attrs
from zope.interface import Attribute, Interface

RUNNING, STOPPED, NOT_INSTALLED = 0, 3, 4
"""Exit statuses of C{sftpgo service status}, as the Linux Standard Base has them for init scripts."""


@attrs.frozen
class Service:
    """The service.

    @ivar name: by which the system knows it.
    @ivar program: absolute path of C{sftpgo}, or the interpreter and what it is to run.
    @ivar config_dir: absolute path of the configuration directory, where the server may write.
    @ivar user: the account it runs as.
    @ivar homes: absolute paths of directories it may write beside that one.
    @ivar root: directory that stands for C{/} where files are written; empty for the running system.
    """

    name: str
    program: tuple[str, ...]
    config_dir: str
    user: str
    homes: tuple[str, ...] = ()
    root: str = ""

    def below_root(self, path: str) -> str:
        """Where a file of the system is written."""
        return os.path.join(self.root, path.lstrip("/")) if self.root else path

    def serve(self, log_file: str) -> tuple[str, ...]:
        """The command line of the server; C{log_file} is an absolute path."""
        return (*self.program, "serve", "--config-dir", self.config_dir, "--log-file-path", log_file)


@attrs.frozen
class WriteFile:
    """Put a file in place, mode 0644; its directories are made."""

    path: str
    content: bytes


@attrs.frozen
class RemoveFile:
    """Take a file away; it need not be there."""

    path: str


@attrs.frozen
class Run:
    """Run a program.

    @ivar may_fail: whether it is fine when there was nothing to do for it.
    """

    words: tuple[str, ...]
    may_fail: bool = False


@attrs.frozen
class Call:
    """Call a function of Python's, where a system has no program for it.

    @ivar function: its module and its name.
    @ivar arguments: in their order.
    """

    function: str
    arguments: tuple[object, ...]
    may_fail: bool = False


Step: TypeAlias = WriteFile | RemoveFile | Run | Call


@attrs.frozen
class Done:
    """How a step ended: exit status and output of a program, or what a function gave."""

    status: int = 0
    output: str = ""
    value: object = None


@attrs.frozen
class Question:
    """How to find out about the service.

    @ivar asked: is asked this; it changes nothing.
    @ivar answer: makes of it an exit status (L{RUNNING} ...) and a line for people.
    """

    asked: Run | Call
    answer: Callable[[Done], tuple[int, str]]


class IServiceManager(Interface):
    """What looks after services on one kind of system.  Nothing happens here: these are the steps."""

    files = Attribute("Paths of the files that make the service known; empty where no files do.")
    service = Attribute("The L{Service} it looks after.")

    def install() -> tuple[Step, ...]:
        """Make it known, and have it started with the machine; it is not started now."""

    def uninstall() -> tuple[Step, ...]:
        """Stop it, and forget it."""

    def start() -> tuple[Step, ...]:
        """Start it now."""

    def stop() -> tuple[Step, ...]:
        """Stop it now; it lets transfers end first."""

    def restart() -> tuple[Step, ...]:
        """Stop it, if it runs, and start it."""

    def status() -> Question:
        """Whether it runs."""
