"""The process of the Windows service: starts the server, and ends it when the Service Control Manager says so.

It is loaded by pywin32's C{pythonservice.exe}, on Windows only.
"""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import win32serviceutil

from sftpgo.servicecommand.windows import OPTION

#: Seconds the server gets after CTRL_BREAK, which it takes for SIGTERM.
_PATIENCE = 60


class Host(win32serviceutil.ServiceFramework):
    """The service; its name is that of the entry it was started by."""

    _svc_name_ = "sftpgo"
    _svc_display_name_ = "sftpgo"

    def __init__(self, words: Any) -> None:
        super().__init__(words)
        self._name = words[0]
        self._server: subprocess.Popen[bytes] | None = None

    def SvcDoRun(self) -> None:
        """Run the server to its end."""
        command = json.loads(win32serviceutil.GetServiceCustomOption(self._name, OPTION))
        # In a group of its own it can be told to end without this process being told too.
        group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self._server = subprocess.Popen(  # noqa: S603 -- as it was installed
            command, stdin=subprocess.DEVNULL, creationflags=group
        )
        self._server.wait()

    def SvcStop(self) -> None:
        """End it: politely, then at once."""
        if self._server is None:
            return
        self._server.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        try:
            self._server.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._server.kill()
