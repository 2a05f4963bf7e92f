"""The exec helper with real programs: what they get, and that nothing else can be had; watched by inotify."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.confine import HOME_MARK, interpreter
from sftpgo.avatars.launch import _ROOT, _START
from sftpgo.storage import landlock
from tests.harness import need
from tests.storage.world import SECRET, Watch, World, read, write

NOBODY = 65534


class _Case(SynchronousTestCase):
    """A home with a file, and secrets beside it."""

    isolation = "no"
    landlock = True
    python = sys.executable

    def setUp(self) -> None:
        if landlock.abi() < landlock.USABLE_ABI:
            self.skipTest("this kernel has no usable Landlock")
        self.world = World(self.mktemp())
        self.home = os.fsdecode(self.world.home)
        self.outside = os.fsdecode(self.world.outside)
        write(self.world.home + b"/f", b"mine")
        if self.isolation == "need":
            probe = self.run_program("true")
            if "confinement: Operation not permitted" in probe.stderr:
                self.skipTest(f"no namespaces here: {probe.stderr}")

    def run_program(self, name: str, *arguments: str, writable: bool = True, identity=(None, None), **spec):
        program = shutil.which(name)
        if program is None:
            self.skipTest(f"not installed: {name}")
        home = os.open(self.home, os.O_RDONLY | os.O_DIRECTORY)
        grant = os.dup(home)
        whole = {
            "program": program,
            "arguments": [name, *arguments],
            "parent": os.getpid(),
            "uid": identity[0],
            "gid": identity[1],
            "home": (home, self.home),
            "grants": [(grant, writable)],
            "executables": [],
            "landlock": self.landlock,
            "isolation": self.isolation,
            "file_size": None,
        } | spec
        try:
            return subprocess.run(
                [self.python, "-I", "-S", "-c", _START, _ROOT, json.dumps(whole)],
                pass_fds=[home, grant],
                env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                **self.become(),
            )
        finally:
            os.close(home)
            os.close(grant)

    def become(self) -> dict[str, Any]:
        """Who the server is: whoever runs the tests."""
        return {}


class _Confinement:
    """What every confinement holds to."""

    def test_home_is_there(self) -> None:
        done = self.run_program("cat", "f")
        self.assertEqual((done.stdout, done.stderr, done.returncode), ("mine", "", 0))
        for program, arguments in (
            ("cp", ("f", "g")),
            ("mkdir", ("d",)),
            ("mv", ("g", "d/h")),
            ("ln", ("d/h", "i")),
            ("ln", ("-s", "f", "l")),
            ("truncate", ("-s", "1", "i")),
            ("rm", ("-r", "d")),
        ):
            done = self.run_program(program, *arguments)
            self.assertEqual((done.stderr, done.returncode), ("", 0), program)
        self.assertEqual(read(self.world.home + b"/i"), b"m")
        done = self.run_program("cat", HOME_MARK + "/f")
        self.assertEqual((done.stdout, done.stderr), ("mine", ""))

    def test_nothing_else(self) -> None:
        """No program reads or changes anything outside, by name, by link, or through what it has open."""
        out = self.outside
        os.symlink(self.outside, self.home + "/way")
        os.symlink(self.outside + "/secret", self.home + "/file")
        os.symlink("/proc/self/root" + self.outside, self.home + "/magic")
        attacks = [
            ("cat", (f"{out}/secret",)),
            ("cat", ("../u10/secret",)),
            ("cat", ("way/secret",)),
            ("cat", ("file",)),
            ("cat", ("magic/secret",)),
            ("cat", ("/etc/passwd",)),
            ("cat", (f"/proc/{os.getpid()}/environ",)),
            ("cat", (f"/proc/self/root{out}/secret",)),
            ("ls", (out,)),
            ("ls", ("..",)),
            ("ls", ("way/",)),
            ("cp", ("way/secret", "stolen")),
            ("cp", ("f", f"{out}/new")),
            ("cp", ("f", "file")),
            ("mv", ("f", f"{out}/new")),
            ("mv", (f"{out}/secret", "stolen")),
            ("ln", (f"{out}/secret", "stolen")),
            ("ln", ("f", f"{out}/new")),
            ("ln", ("-s", "x", f"{out}/new")),
            ("touch", (f"{out}/new",)),
            ("mkdir", (f"{out}/new",)),
            ("rmdir", ("way/sub",)),
            ("rm", ("-r", "way/sub", f"{out}/secret")),
            ("truncate", ("-s", "0", "file")),
            ("tee", (f"{out}/secret",)),
            ("mkfifo", ("fifo",)),
            ("mknod", ("device", "c", "1", "3")),
        ]
        watch = Watch(self.world.outside)
        self.addCleanup(watch.close)
        before = self.world.snapshot()
        watch.events()
        for program, arguments in attacks:
            done = self.run_program(program, *arguments)
            self.assertNotEqual(done.returncode, 0, (program, arguments, done.stdout))
            self.assertNotIn(SECRET.decode(), done.stdout)
            self.assertNotIn("root:", done.stdout)
            self.assertEqual(watch.events(), [], (program, arguments))
        self.assertEqual(self.world.snapshot(), before)
        self.assertFalse(os.path.exists(self.home + "/stolen"))


class LandlockTests(_Confinement, _Case):
    """By Landlock alone."""

    def test_read_only(self) -> None:
        self.assertEqual(self.run_program("cat", "f", writable=False).stdout, "mine")
        for program, arguments in (("touch", ("new",)), ("rm", ("-f", "f")), ("tee", ("f",)), ("ln", ("f", "g"))):
            done = self.run_program(program, *arguments, writable=False)
            self.assertNotEqual(done.returncode, 0, program)
        self.assertEqual(os.listdir(self.home), ["f"])

    def test_no_other_program(self) -> None:
        """Neither the system's nor one from the home."""
        shutil.copy("/bin/true", self.home + "/program")
        (Path(self.home) / "script").write_text("#!/bin/sh\n")
        os.chmod(self.home + "/script", 0o755)
        for program in ("true", "./program", "./script", "/bin/sh"):
            done = self.run_program("env", program)
            self.assertEqual(done.returncode, 126, (program, done.stderr))

    def test_no_network(self) -> None:
        need("bash")
        if landlock.abi() < 4 and self.isolation == "no":
            self.skipTest("this kernel's Landlock knows nothing of TCP")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            port = listener.getsockname()[1]
            done = self.run_program("bash", "-c", f"echo x >/dev/tcp/127.0.0.1/{port} && echo through")
            self.assertNotIn("through", done.stdout)
            self.assertRaises(BlockingIOError, listener.accept)

    def test_limits(self) -> None:
        done = self.run_program("bash", "-c", "ulimit -c; ulimit -n; ulimit -f; umask", file_size=1024 * 1024)
        core, files, size, _mask = done.stdout.split()
        self.assertEqual((core, size), ("0", "1024"))
        self.assertLessEqual(int(files), 1024)

    def test_environment(self) -> None:
        done = self.run_program("env")
        self.assertEqual(sorted(done.stdout.split()), ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"])

    def test_group_of_its_own(self) -> None:
        done = self.run_program("bash", "-c", "read -r line </proc/self/stat; echo $$ $line", landlock=False,
                                isolation="no")  # fmt: skip
        pid, _pid, _name, _state, _parent, group, session, *_ = done.stdout.split()
        self.assertEqual((group, session), (pid, pid))

    def test_no_descriptor_is_left(self) -> None:
        done = self.run_program("ls", "/proc/self/fd", landlock=False, isolation="no")
        self.assertEqual(done.stdout.split(), ["0", "1", "2", "3"], "3 is the listing itself")

    def test_server_gone(self) -> None:
        """When the server died before the helper could ask to die with it, nothing is run."""
        done = self.run_program("touch", "late", parent=os.getpid() + 1)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(os.listdir(self.home), ["f"])

    def test_no_path_in_errors(self) -> None:
        done = self.run_program("cat", "f", program="/nowhere/cat")
        self.assertEqual(done.stderr, "cat: cannot be run in confinement: No such file or directory\n")
        self.assertEqual(done.returncode, 1)

    def test_signals_are_as_usual(self) -> None:
        done = self.run_program("bash", "-c", "kill -PIPE $$; echo survived")
        self.assertEqual((done.stdout, done.returncode), ("", -13))


class IsolationTests(LandlockTests):
    """With a file system of its own as well: all of the above, and not even names or modes can be reached."""

    isolation = "need"

    def test_nothing_has_a_name(self) -> None:
        for path in (self.outside, self.home, "/etc/passwd", "/proc/self", "/tmp/x", "/root", "/var"):
            done = self.run_program("stat", path)
            self.assertIn("No such file or directory", done.stderr, path)

    def test_modes_and_times(self) -> None:
        os.symlink(self.outside + "/secret", self.home + "/file")
        before = self.world.snapshot()
        watch = Watch(self.world.outside)
        self.addCleanup(watch.close)
        for program, arguments in (
            ("chmod", ("777", self.outside)),
            ("chmod", ("777", "file")),
            ("chown", ("1:1", "file")),
            ("touch", ("-c", "-d", "2001-01-01", "file")),
        ):
            self.run_program(program, *arguments)
            self.assertEqual(watch.events(), [], program)
        self.assertEqual(self.world.snapshot(), before)

    def test_system_is_read_only(self) -> None:
        done = self.run_program("chmod", "777", "/usr/bin", landlock=False)
        self.assertIn("Read-only file system", done.stderr)

    def test_nothing_of_the_home_runs(self) -> None:
        """Not even by way of the loader, which maps it."""
        loader = interpreter("/bin/true")
        shutil.copy("/bin/true", self.home + "/program")
        done = self.run_program("env", str(loader), "./program", landlock=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.run_program("env", str(loader), "/bin/true", landlock=False).returncode, 0)


class IdentityTests(_Case):
    """As root: whom a command becomes."""

    def setUp(self) -> None:
        super().setUp()
        if os.geteuid():
            self.skipTest("needs root")

    def test_user_and_group(self) -> None:
        for self.isolation in ("no", "try"):
            done = self.run_program("id", identity=(12345, 12346))
            self.assertEqual(done.stdout.strip(), "uid=12345 gid=12346 groups=12346")

    def test_what_belongs_to_others(self) -> None:
        os.chmod(self.home + "/f", 0o600)
        self.assertEqual(self.run_program("cat", "f", identity=(12345, 12346)).returncode, 1)
        os.chown(self.home + "/f", 12345, 12346)
        self.assertEqual(self.run_program("cat", "f", identity=(12345, 12346)).stdout, "mine")

    def test_root_is_no_more_than_owner_of_files(self) -> None:
        """Without a user of its own a command stays root, but only over files."""
        done = self.run_program("bash", "-c", "grep ^Cap /proc/self/status", landlock=False, isolation="no")
        sets = dict(line.split(":\t") for line in done.stdout.splitlines())
        for name in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(sets[name], 16), 0b11111, name)
        self.assertEqual(self.run_program("chown", "12345", "f").returncode, 0)
        self.assertEqual(os.stat(self.home + "/f").st_uid, 12345)


class UnprivilegedTests(_Confinement, _Case):
    """By a server that is not root: the same, where the system lets it have namespaces."""

    isolation = "need"
    python = "/usr/bin/python3"

    def setUp(self) -> None:
        if os.geteuid():
            self.skipTest("the other tests run unprivileged already")
        if not os.access(self.python, os.X_OK):
            self.skipTest(f"not installed: {self.python}")
        for directory in (Path(_ROOT), *Path(_ROOT).parents):
            if not directory.stat().st_mode & stat.S_IXOTH:
                self.skipTest(f"{directory} is not open to other users")
        super().setUp()

    def run_program(self, name: str, *arguments: str, **spec):
        for path, directories, files in os.walk(self.home):
            for entry in (path, *(os.path.join(path, name) for name in directories + files)):
                os.chown(entry, NOBODY, NOBODY, follow_symlinks=False)
        return super().run_program(name, *arguments, **spec)

    def become(self) -> dict[str, Any]:
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


class InterpreterTests(SynchronousTestCase):
    """Which loader a program names."""

    def test_programs(self) -> None:
        loader = interpreter(sys.executable)
        self.assertTrue(loader is None or os.path.isfile(loader), loader)
        script = self.mktemp()
        Path(script).write_text("#!/bin/sh\n")
        self.assertIsNone(interpreter(script))
