"""Linux: a unit for systemd."""

from __future__ import annotations

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
from sftpgo.servicecommand.unit import unit_for

DIRECTORY = "/etc/systemd/system"

_ASKED = ("LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID")


@implementer(IServiceManager)
@attrs.frozen
class Systemd:
    """systemd(1), through systemctl(1).

    @ivar template: text of the unit of the package.
    """

    service: Service
    template: str

    @property
    def unit(self) -> str:
        """Its name, in systemd's words."""
        return f"{self.service.name}.service"

    @property
    def files(self) -> tuple[str, ...]:
        """The unit."""
        return (self.service.below_root(f"{DIRECTORY}/{self.unit}"),)

    def install(self) -> tuple[Step, ...]:
        """Write the unit and enable it; below another root systemd itself has nothing to be told."""
        (path,) = self.files
        written = WriteFile(path, unit_for(self.service, self.template).encode("utf-8"))
        if self.service.root:
            return written, self._systemctl(f"--root={self.service.root}", "enable", self.unit)
        return written, self._systemctl("daemon-reload"), self._systemctl("enable", self.unit)

    def uninstall(self) -> tuple[Step, ...]:
        """Disable the unit, stopping it, and remove it."""
        (path,) = self.files
        if self.service.root:
            return self._systemctl(f"--root={self.service.root}", "disable", self.unit), RemoveFile(path)
        disabled = self._systemctl("disable", "--now", self.unit)
        return disabled, RemoveFile(path), self._systemctl("daemon-reload")

    def start(self) -> tuple[Step, ...]:
        """Returns when the server accepts connections."""
        return (self._systemctl("start", self.unit),)

    def stop(self) -> tuple[Step, ...]:
        """Returns when the server is gone."""
        return (self._systemctl("stop", self.unit),)

    def restart(self) -> tuple[Step, ...]:
        """Both."""
        return (self._systemctl("restart", self.unit),)

    def status(self) -> Question:
        """Also tells whether it is started with the machine."""
        return Question(self._systemctl("show", self.unit, f"--property={','.join(_ASKED)}"), self._answer)

    def _answer(self, done: Done) -> tuple[int, str]:
        told = dict(line.partition("=")[::2] for line in done.output.splitlines())
        name = self.service.name
        if told.get("LoadState") != "loaded":
            return NOT_INSTALLED, f"{name} is not installed"
        boot = (
            "starts with the machine" if told.get("UnitFileState") == "enabled" else "does not start with the machine"
        )
        state = told.get("ActiveState", "unknown")
        if state in ("active", "reloading"):
            return RUNNING, f"{name} is running, process {told.get('MainPID', '?')}; it {boot}"
        return STOPPED, f"{name} is not running ({state}, {told.get('SubState', '?')}); it {boot}"

    @staticmethod
    def _systemctl(*words: str) -> Run:
        return Run(("systemctl", *words))
