"""The service of systemd: real systemctl and systemd-analyze, on files below another root."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.servicecommand.command import run
from sftpgo.servicecommand.model import Done, Service
from sftpgo.servicecommand.shipped import UNIT as SHIPPED
from sftpgo.servicecommand.shipped import shipped
from sftpgo.servicecommand.unit import unit_for
from tests.harness import PATIENCE, need
from tests.servicecommand.doubles import Recorder

UNIT = "etc/systemd/system/sftpgo.service"
WANTED = "etc/systemd/system/multi-user.target.wants/sftpgo.service"


class CommandTestCase(SynchronousTestCase):
    """Runs the command in this process, below a directory of its own."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-")
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)

    def service(self, *words: str, status: int = 0, runner: Recorder | None = None, platform: str = "linux") -> str:
        """What it says."""
        said: list[str] = []
        with contextlib.redirect_stderr(io.StringIO()) as errors:
            found = run(words, platform=platform, runner=runner, say=said.append)
        self.assertEqual(found, status, errors.getvalue())
        if status == 1:
            self.assertEqual(said, [])
            self.assertEqual(len(errors.getvalue().splitlines()), 1)
        return errors.getvalue() + "\n".join(said)

    def refused(self, *words: str, platform: str = "linux") -> str:
        """The one line; nothing has been done."""
        runner = Recorder()
        said = self.service(*words, status=1, runner=runner, platform=platform)
        self.assertEqual(runner.done, [])
        return said


class StagedTests(CommandTestCase):
    """Below --root, with the real systemctl."""

    def setUp(self) -> None:
        need("systemctl", "systemd-analyze")
        super().setUp()

    def test_round(self) -> None:
        """Installed, enabled, installed again, and gone without a trace."""
        words = ("--root", str(self.root), "--program", "/usr/bin/sftpgo")
        self.assertIn(f"is installed below {self.root}", self.service("install", *words))
        text = (self.root / UNIT).read_text()
        self.assertEqual((self.root / UNIT).stat().st_mode & 0o777, 0o644)
        self.assertIn(
            "\nExecStart=/usr/bin/sftpgo serve "
            "--config-dir /var/lib/sftpgo --log-file-path /var/log/sftpgo/sftpgo.log\n",
            text,
        )
        for line in ("User=sftpgo", "StateDirectory=sftpgo", "LogsDirectory=sftpgo", "ReadWritePaths=-/srv/sftpgo"):
            self.assertIn(f"\n{line}\n", text)
        self.assertIn("\nProtectHome=yes\n", text)
        self.assertNotIn("\nGroup=", text)
        self.assertEqual(os.readlink(self.root / WANTED), f"/{UNIT}")
        self.service("install", *words)
        self.assertIn("--force replaces it", self.service("install", *words, "-u", "other", status=1))
        self.assertEqual((self.root / UNIT).read_text(), text)
        self.service("install", *words, "-u", "other", "--force")
        self.assertIn("\nUser=other\n", (self.root / UNIT).read_text())
        self.service("uninstall", *words)
        self.assertEqual([path for path in self.root.rglob("*") if not path.is_dir()], [])
        self.assertIn("sftpgo is not installed", self.service("uninstall", *words, status=1))

    def test_unit_is_in_order(self) -> None:
        """Of a name, a directory and a program that need quotes, as systemd reads it."""
        program = self.root / "a program"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        directory = self.root / 'con "fig" $x %i'
        directory.mkdir()
        self.service(
            *("install", "--root", str(self.root), "--program", str(program), "--config-dir", str(directory)),
            *("--user", getpass.getuser(), "--name", "our-files", "--home-dirs", "/home/a b"),
        )
        unit = self.root / "etc/systemd/system/our-files.service"
        directives = unit.read_text().splitlines()
        self.assertIn("ProtectHome=read-only", directives)
        self.assertIn('ReadWritePaths="-/home/a b"', directives)
        self.assertNotIn("StateDirectory=our-files", directives)
        self.assertIn("LogsDirectory=our-files", directives)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        # Of other units of this machine there may be something to say too.
        self.assertNotIn("our-files", done.stdout + done.stderr)

    def test_verify_would_tell(self) -> None:
        """That the test above can fail."""
        unit = self.root / "our-files.service"
        unit.write_text(
            unit_for(Service("our-files", ("/nowhere/sftpgo",), "relative", "x"), shipped(SHIPPED).decode())
        )
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", unit],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertIn("our-files", done.stdout + done.stderr)


class PlanTests(CommandTestCase):
    """What is asked of the running system."""

    def test_installed_by_a_package(self) -> None:
        """Then the unit is elsewhere, and systemd knows where."""
        runner = Recorder()
        self.service("start", "-n", "elsewhere", runner=runner)
        self.assertEqual(runner.done, [("systemctl", "start", "elsewhere.service")])

    def test_no_systemd(self) -> None:
        said = Done(1, "System has not been booted with systemd as init system (PID 1). Can't operate.\n")
        for action in ("status", "start"):
            told = self.service(action, runner=Recorder(systemctl=said), status=1)
            self.assertIn("sftpgo.service", told)
            self.assertIn("System has not been booted with systemd", told)

    def install(self, name: str = "sftpgo") -> str:
        """A unit that is there, though not below /."""
        self.patch(sys.modules["sftpgo.servicecommand.systemd"], "DIRECTORY", str(self.root))
        words = ("install", "-n", name, "-c", str(self.root), "-u", getpass.getuser())
        runner = Recorder()
        said = self.service(*words, runner=runner)
        self.assertEqual(runner.done, [("systemctl", "daemon-reload"), ("systemctl", "enable", f"{name}.service")])
        self.assertTrue((self.root / f"{name}.service").exists())
        return said

    def test_calls(self) -> None:
        self.assertIn("now: sftpgo service start --name x", self.install("x"))
        for action in ("start", "stop", "restart"):
            runner = Recorder()
            self.service(action, "-n", "x", runner=runner)
            self.assertEqual(runner.done, [("systemctl", action, "x.service")])
        runner = Recorder()
        self.service("uninstall", "-n", "x", runner=runner)
        self.assertEqual(runner.done, [("systemctl", "disable", "--now", "x.service"), ("systemctl", "daemon-reload")])
        self.assertFalse((self.root / "x.service").exists())

    def test_program_of_this_installation(self) -> None:
        self.install()
        started = next(line for line in (self.root / "sftpgo.service").read_text().splitlines() if "ExecStart" in line)
        program = shlex.split(started.partition("=")[2])[0]
        self.assertEqual(os.path.dirname(program), os.path.dirname(sys.executable))

    def test_status(self) -> None:
        for told, status, text in (
            (
                "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\nMainPID=77",
                0,
                "is running, process 77; it starts",
            ),
            (
                "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=disabled",
                3,
                "(failed, failed); it does not",
            ),
            ("LoadState=not-found\nActiveState=inactive", 4, "is not installed"),
        ):
            said = self.service("status", status=status, runner=Recorder(systemctl_show=Done(output=told)))
            self.assertIn(text, said)

    def test_what_fails_leaves_nothing(self) -> None:
        self.patch(sys.modules["sftpgo.servicecommand.systemd"], "DIRECTORY", str(self.root))
        runner = Recorder(systemctl_enable=Done(1, "Failed to connect to bus\nTry again\n"))
        said = self.service("install", "-c", str(self.root), "-u", getpass.getuser(), runner=runner, status=1)
        self.assertEqual(said, "sftpgo: systemctl enable sftpgo.service: Failed to connect to bus; Try again\n")
        self.assertEqual(list(self.root.iterdir()), [])

    def test_what_fails_leaves_links_and_modes(self) -> None:
        """A masked unit is a link to /dev/null: it and a link to nothing stay; a private unit stays private."""
        runner = Recorder(**{"systemctl --root": Done(1, "Failed to enable unit.")})
        unit = self.root / UNIT
        unit.parent.mkdir(parents=True)
        for target in ("/dev/null", "nothing-there"):
            unit.symlink_to(target)
            for words in (["install"], ["install", "--force"]):
                self.service(*words, "--root", str(self.root), status=1, runner=runner)
                self.assertEqual(os.readlink(unit), target)
            unit.unlink()
        unit.write_text("[Unit]\n")
        unit.chmod(0o600)
        self.service("install", "--force", "--root", str(self.root), status=1, runner=runner)
        self.assertEqual((unit.read_text(), unit.stat().st_mode & 0o777), ("[Unit]\n", 0o600))
        self.assertEqual([path.name for path in unit.parent.iterdir()], [unit.name])

    def test_removal_takes_links(self) -> None:
        """Where they lead does not matter."""
        unit = self.root / UNIT
        unit.parent.mkdir(parents=True)
        for target in ("/dev/null", "nothing-there"):
            unit.symlink_to(target)
            self.service("uninstall", "--root", str(self.root), runner=Recorder())
            self.assertEqual(list(unit.parent.iterdir()), [])

    def test_failing_removal_brings_it_back(self) -> None:
        self.install()
        before = (self.root / "sftpgo.service").read_text()
        self.service("uninstall", runner=Recorder(systemctl_daemon=Done(1)), status=1)
        # "daemon-reload" is answered by its first word.
        self.assertEqual((self.root / "sftpgo.service").read_text(), before)

    def test_dry_run(self) -> None:
        """Everything is shown, and nothing is done."""
        runner = Recorder()
        said = self.service("install", "--dry-run", "-c", "/srv/x", "--program", "/opt/sftpgo", runner=runner)
        self.assertEqual(runner.done, [])
        self.assertIn("write /etc/systemd/system/sftpgo.service\n  | # Made by", said)
        self.assertIn(
            "  | ExecStart=/opt/sftpgo serve --config-dir /srv/x --log-file-path /var/log/sftpgo/sftpgo.log\n", said
        )
        self.assertTrue(said.endswith("systemctl daemon-reload\nsystemctl enable sftpgo.service"), said)
        self.assertEqual(self.service("restart", "--dry-run", runner=runner), "systemctl restart sftpgo.service")
        self.assertIn("systemctl show", self.service("status", "--dry-run", runner=runner))
        self.assertEqual(runner.done, [])

    def test_nonsense(self) -> None:
        here = ("-c", str(self.root), "-u", getpass.getuser())
        for words, said in {
            ("install", "-n", "../x"): "--name: '../x' is no name",
            ("install", "-n", ""): "--name: '' is no name",
            ("install", "--user", "a b", "--dry-run"): "--user: 'a b' is no name of an account",
            ("install", "--user", "x%n", "--root", "/nowhere"): "--user: 'x%n' is no name of an account",
            ("install", *here, "-c", "/nowhere"): "--config-dir: there is no directory '/nowhere'",
            ("install", *here, "-c", "/a\nUser=root"): "--config-dir: '/a\\nUser=root' holds a control character",
            ("install", *here, "-c", "/\udcff"): "--config-dir: '/\\udcff' is no text in UTF-8",
            ("install", *here, "--program", "/\udcff"): "--program: '/\\udcff' is no text in UTF-8",
            ("install", *here, "-u", "nobody-here"): "--user: there is no account 'nobody-here'",
            ("install", *here, "-u", "a\nb"): "--user: 'a\\nb' holds a control character",
            ("install", *here, "--program", "sftpgo"): "--program: 'sftpgo' is no absolute path",
            ("install", *here, "--program", "/nowhere/sftpgo"): "--program: '/nowhere/sftpgo' cannot be run",
            ("install", "--dry-run", "--program", "/opt/$x/sftpgo"): "--program: systemd takes no program with one of",
            ("install", "--dry-run", "-c", "/opt/x\\"): "systemd takes no directory with a backslash",
            ("install", "--root", str(self.root), "-c", "x"): "--config-dir: 'x' is no absolute path",
            ("start", "--root", str(self.root)): "--root: nothing runs there",
            ("status", "--root", str(self.root)): "--root: whether a service runs",
            (
                "uninstall",
                "-n",
                "not-there",
            ): "not-there is not installed: there is no /etc/systemd/system/not-there.service",
        }.items():
            self.assertIn(said, self.refused(*words), words)
        self.assertIn("is not known here", self.refused("start", platform="plan9"))
        self.assertIn(
            "services of Windows are not made of files", self.refused("install", "--root", "/x", platform="win32")
        )

    def test_words(self) -> None:
        """Quoted as systemd.syntax(7) has it."""
        service = Service("x", ("/opt/a b", 'say "50%" $X', ""), "/srv/x", "y")
        (line,) = (
            line for line in unit_for(service, shipped(SHIPPED).decode()).splitlines() if line.startswith("ExecStart=")
        )
        self.assertTrue(line.startswith('ExecStart="/opt/a b" "say \\"50%%\\" $$X" "" serve'), line)

    def test_every_directive_that_is_replaced_is_there(self) -> None:
        """Once, in the unit of the package: what was renamed there would get lost here."""
        keys = [line.partition("=")[0] for line in shipped(SHIPPED).decode().splitlines() if not line.startswith("#")]
        for key in ("User", "ExecStart", "StateDirectory", "LogsDirectory", "ReadWritePaths", "ProtectHome"):
            self.assertEqual(keys.count(key), 1, key)
