"""Windows: a service of the Service Control Manager, through pywin32."""

from __future__ import annotations

import json

import attrs
from zope.interface import implementer

from sftpgo.servicecommand.model import (
    NOT_INSTALLED,
    RUNNING,
    STOPPED,
    Call,
    Done,
    IServiceManager,
    Question,
    Service,
    Step,
)

#: What pywin32 is to load in the service's process.
HOST = "sftpgo.servicecommand.windowshost.Host"

#: In the registry, below the service: the command line of the server as JSON.
OPTION = "command"

_AUTO_START = 2  # SERVICE_AUTO_START
_IS_RUNNING = 4  # SERVICE_RUNNING


@implementer(IServiceManager)
@attrs.frozen
class Windows:
    """The functions of C{win32serviceutil}."""

    service: Service
    files = ()

    def install(self) -> tuple[Step, ...]:
        """Enter it, to be started with the machine, and note what it is to run."""
        name = self.service.name
        log_file = self.service.config_dir.rstrip("\\/") + "\\sftpgo.log"
        command = json.dumps(self.service.serve(log_file))
        # Python class, name, display name, start type, error control, interactive, dependencies, user
        entered = Call(
            "win32serviceutil.InstallService", (HOST, name, name, _AUTO_START, None, 0, None, self.service.user)
        )
        return entered, Call("win32serviceutil.SetServiceCustomOption", (name, OPTION, command))

    def uninstall(self) -> tuple[Step, ...]:
        """Stop it, if it runs, and take it out."""
        name = (self.service.name,)
        return (
            Call("win32serviceutil.StopService", name, may_fail=True),
            Call("win32serviceutil.RemoveService", name),
        )

    def start(self) -> tuple[Step, ...]:
        """Returns when it is on its way."""
        return (Call("win32serviceutil.StartService", (self.service.name,)),)

    def stop(self) -> tuple[Step, ...]:
        """Returns when it has been told."""
        return (Call("win32serviceutil.StopService", (self.service.name,)),)

    def restart(self) -> tuple[Step, ...]:
        """Both."""
        return (Call("win32serviceutil.RestartService", (self.service.name,)),)

    def status(self) -> Question:
        """Whether it is entered, and runs."""
        return Question(Call("win32serviceutil.QueryServiceStatus", (self.service.name,), may_fail=True), self._answer)

    def _answer(self, done: Done) -> tuple[int, str]:
        name = self.service.name
        if done.status or not isinstance(done.value, tuple):
            return NOT_INSTALLED, f"{name} is not installed"
        if done.value[1] == _IS_RUNNING:
            return RUNNING, f"{name} is running"
        return STOPPED, f"{name} is not running"
