"""macOS: a property list for launchd."""

from __future__ import annotations

import os
import plistlib
import re

import attrs
from zope.interface import implementer

from sftpgo.servicecommand.model import (
    NOT_INSTALLED,
    RUNNING,
    STOPPED,
    Done,
    IServiceManager,
    Question,
    RemoveFile,
    Run,
    Service,
    Step,
    WriteFile,
)

DIRECTORY = "/Library/LaunchDaemons"


@implementer(IServiceManager)
@attrs.frozen
class Launchd:
    """launchd(8), through launchctl(1).

    A daemon whose list is loaded is running, and is started again when it fails: to stop it is to unload it.

    @ivar template: the property list of the package.
    """

    service: Service
    template: bytes

    @property
    def files(self) -> tuple[str, ...]:
        """The property list."""
        return (self.service.below_root(f"{DIRECTORY}/{self.service.name}.plist"),)

    def install(self) -> tuple[Step, ...]:
        """Write the list; what is in that directory is loaded with the machine."""
        (path,) = self.files
        written = WriteFile(path, property_list(self.service, self.template))
        return (written,) if self.service.root else (written, Run(("launchctl", "enable", self._target)))

    def uninstall(self) -> tuple[Step, ...]:
        """Unload the list, if it is loaded, and remove it."""
        (path,) = self.files
        removed = RemoveFile(path)
        return (removed,) if self.service.root else (self._unload(may_fail=True), removed)

    def start(self) -> tuple[Step, ...]:
        """Load the list."""
        return (Run(("launchctl", "bootstrap", "system", *self.files)),)

    def stop(self) -> tuple[Step, ...]:
        """Unload it."""
        return (self._unload(),)

    def restart(self) -> tuple[Step, ...]:
        """Unload it, if it is loaded, and load it: what is in the list may have changed."""
        return (self._unload(may_fail=True), *self.start())

    def status(self) -> Question:
        """Whether it is loaded, and its process."""
        return Question(Run(("launchctl", "print", self._target), may_fail=True), self._answer)

    def _answer(self, done: Done) -> tuple[int, str]:
        name = self.service.name
        if done.status and not os.path.exists(*self.files):
            return NOT_INSTALLED, f"{name} is not installed"
        if done.status:
            return STOPPED, f"{name} is not running"
        process = re.search(r"^\s*pid = (\d+)$", done.output, re.MULTILINE)
        if process:
            return RUNNING, f"{name} is running, process {process[1]}"
        return STOPPED, f"{name} is loaded and not running"

    @property
    def _target(self) -> str:
        return f"system/{self.service.name}"

    def _unload(self, *, may_fail: bool = False) -> Run:
        return Run(("launchctl", "bootout", self._target), may_fail)


def property_list(service: Service, template: bytes) -> bytes:
    """The daemon as launchd.plist(5) has it, with this service's command, account and directory.

    @param template: the list of the package.
    """
    directory = service.config_dir.rstrip("/")
    made: dict[str, object] = plistlib.loads(template)
    made |= {
        "Label": service.name,
        "ProgramArguments": list(service.serve(f"{directory}/sftpgo.log")),
        "WorkingDirectory": service.config_dir,
        "UserName": service.user,
        "StandardErrorPath": f"{directory}/stderr.log",
        "StandardOutPath": f"{directory}/stdout.log",
    }
    made.pop("GroupName", None)  # the account's own
    return plistlib.dumps(made, sort_keys=False)
