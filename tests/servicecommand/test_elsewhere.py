"""The services of macOS and Windows, by the files and the calls they make: neither system is here to be asked."""

from __future__ import annotations

import getpass
import json
import plistlib
import sys

from sftpgo.servicecommand.model import Done
from tests.servicecommand.doubles import Recorder
from tests.servicecommand.test_systemd import CommandTestCase


class LaunchdTests(CommandTestCase):
    """A property list, and launchctl."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(sys.modules["sftpgo.servicecommand.launchd"], "DIRECTORY", str(self.root))

    def launchd(self, *words: str, status: int = 0, runner: Recorder) -> str:
        return self.service(*words, status=status, runner=runner, platform="darwin")

    def install(self, *more: str) -> list[tuple[object, ...]]:
        runner = Recorder()
        self.launchd("install", "-c", str(self.root), "-u", getpass.getuser(), *more, runner=runner)
        return runner.done

    def test_list(self) -> None:
        self.assertEqual(self.install(), [("launchctl", "enable", "system/sftpgo")])
        told = plistlib.loads((self.root / "sftpgo.plist").read_bytes())
        self.assertEqual(told["Label"], "sftpgo")
        self.assertEqual(told["UserName"], getpass.getuser())
        self.assertEqual(
            told["ProgramArguments"][-4:],
            ["--config-dir", str(self.root), "--log-file-path", f"{self.root}/sftpgo.log"],
        )
        self.assertEqual((told["RunAtLoad"], told["KeepAlive"]), (True, {"SuccessfulExit": False}))
        # The server's own time for transfers is shorter.
        self.assertGreater(told["ExitTimeOut"], 30)

    def test_calls(self) -> None:
        self.install()
        path = str(self.root / "sftpgo.plist")
        load, unload = ("launchctl", "bootstrap", "system", path), ("launchctl", "bootout", "system/sftpgo")
        for action, wanted in {
            "start": [load],
            "stop": [unload],
            "restart": [unload, load],
            "uninstall": [unload],
        }.items():
            runner = Recorder()
            self.launchd(action, "-u", "x", runner=runner)
            self.assertEqual(runner.done, wanted)
        self.assertEqual(list(self.root.iterdir()), [])

    def test_nothing_to_unload(self) -> None:
        """Is no failure of a removal or a restart, but of a stop."""
        self.install()
        for action, status in {"stop": 1, "restart": 0, "uninstall": 0}.items():
            runner = Recorder(launchctl_bootout=Done(113, "Could not find service"))
            self.launchd(action, "-u", "x", runner=runner, status=status)

    def test_status(self) -> None:
        missing = Recorder(launchctl_print=Done(113, "Could not find service"))
        self.assertIn("is not installed", self.launchd("status", "-u", "x", runner=missing, status=4))
        self.install()
        for done, status, text in (
            (Done(0, "system/sftpgo = {\n\tstate = running\n\n\tpid = 812\n}"), 0, "sftpgo is running, process 812"),
            (Done(0, "system/sftpgo = {\n\tstate = not running\n}"), 3, "loaded and not running"),
            (Done(113, "Could not find service"), 3, "sftpgo is not running"),
        ):
            said = self.launchd("status", "-u", "x", runner=Recorder(launchctl_print=done), status=status)
            self.assertIn(text, said)

    def test_staged(self) -> None:
        """For a package: the file and nothing else."""
        self.patch(sys.modules["sftpgo.servicecommand.launchd"], "DIRECTORY", "/Library/LaunchDaemons")
        runner = Recorder()
        self.launchd("install", "--root", str(self.root), "-u", "_sftpgo", runner=runner)
        path = self.root / "Library/LaunchDaemons/sftpgo.plist"
        self.assertEqual(plistlib.loads(path.read_bytes())["UserName"], "_sftpgo")
        self.launchd("uninstall", "--root", str(self.root), "-u", "_sftpgo", runner=runner)
        self.assertFalse(path.exists())
        self.assertEqual(runner.done, [])


class WindowsTests(CommandTestCase):
    """The functions of pywin32."""

    def windows(self, *words: str, status: int = 0, runner: Recorder) -> str:
        return self.service(*words, status=status, runner=runner, platform="win32")

    def test_install(self) -> None:
        said = self.windows("install", "--dry-run", "-n", "files", runner=Recorder())
        entered, noted = said.splitlines()
        self.assertEqual(
            entered,
            "win32serviceutil.InstallService('sftpgo.servicecommand.windowshost.Host', "
            r"'files', 'files', 2, None, 0, None, 'NT AUTHORITY\\LocalService')",
        )
        self.assertTrue(noted.startswith("win32serviceutil.SetServiceCustomOption('files', 'command', "))
        directory = str(self.root)
        runner = Recorder()
        self.windows("install", "-c", directory, runner=runner)
        self.assertEqual(
            json.loads(runner.done[1][3])[-4:],
            ["--config-dir", directory, "--log-file-path", f"{directory}\\sftpgo.log"],
        )

    def test_calls(self) -> None:
        for action, wanted in {
            "start": ["StartService"],
            "stop": ["StopService"],
            "restart": ["RestartService"],
            "uninstall": ["StopService", "RemoveService"],
        }.items():
            runner = Recorder()
            self.windows(action, runner=runner)
            self.assertEqual(runner.done, [(f"win32serviceutil.{name}", "sftpgo") for name in wanted])

    def test_status(self) -> None:
        for done, status in (
            (Done(value=(16, 4, 1, 0, 0, 0, 0)), 0),
            (Done(value=(16, 1, 0, 0, 0, 0, 0)), 3),
            (Done(1, "The specified service does not exist"), 4),
        ):
            self.windows("status", runner=Recorder(QueryServiceStatus=done), status=status)

    def test_without_pywin32(self) -> None:
        if sys.platform != "win32":
            self.assertIn(
                "win32serviceutil is missing; install sftpgo[windows]",
                self.service("start", platform="win32", status=1),
            )
