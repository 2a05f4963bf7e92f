"""When system commands are refused, and what they get; with git itself where it is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutput
from twisted.trial.unittest import SynchronousTestCase, TestCase

from sftpgo.avatars.commands import Commands
from sftpgo.avatars.system import SystemCommands
from tests.avatars.fakechannel import FakeChannel, start
from tests.doubles import make_filesystem

NAMES = frozenset({"rsync", "git-upload-pack", "git-receive-pack", "git-upload-archive"})
RSYNC_UP = b"rsync --server -re.x . t/"
RSYNC_DOWN = b"rsync --server --sender -re.x . t/"


class RefusalTests(SynchronousTestCase):
    """Nothing is started; the client hears why."""

    def serve(self, line: bytes, system: dict[str, Any], permissions=None, **user: Any) -> FakeChannel:
        files = make_filesystem(self, permissions, **user)
        home = Path(files.user.home_dir)
        (home / "t" / "sub").mkdir(parents=True)
        # Whatever gets as far as to be started fails: there is nothing to start it.
        commands = Commands(NAMES, None, SystemCommands(None, **system))
        channel = start(files, line, commands=commands)
        self.assertNotIn(os.fsencode(home), channel.errors)
        return channel

    def assertRefused(self, text: str, line: bytes, system: dict[str, Any], *arguments: Any, **user: Any) -> None:
        channel = self.serve(line, system, *arguments, **user)
        self.assertEqual((channel.output, channel.exit), (b"", 1), line)
        self.assertIn(text.encode(), channel.errors)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_confinement(self) -> None:
        """Without Landlock, unless the configuration says to go on."""
        for line in (RSYNC_UP, RSYNC_DOWN, b"git-upload-pack t", b"git-receive-pack t", b"git-upload-archive t"):
            self.assertRefused("not available: this system cannot confine it", line, {"confined": False})

    def test_unconfined(self) -> None:
        """Then arguments that lead out and permissions that cannot be kept are refused."""
        free = {"confined": False, "unconfined": True}
        rules = {"/": ("*",), "/other": ("list",)}
        self.assertRefused("follow links", b"rsync --server --sender -rLe.x . t/", free)
        for option in ("--link-dest=../../etc", "--temp-dir ../x", "--partial-dir=a/../../b"):
            self.assertRefused("leave the home", f"rsync --server -re.x {option} . t/".encode(), free)
        for line in (RSYNC_UP, RSYNC_DOWN, b"git-upload-pack t"):
            self.assertRefused("Without confinement the permissions of directories cannot be kept", line, free, rules)

    def test_said_at_start(self) -> None:
        self.assertEqual(SystemCommands(None, confined=True).describe(), "")
        self.assertIn("are refused", SystemCommands(None, confined=False).describe())
        self.assertIn("without confinement", SystemCommands(None, confined=False, unconfined=True).describe())

    def test_not_installed(self) -> None:
        system = {"confined": True, "search_path": "/nowhere"}
        self.assertRefused("rsync is not installed on the server", RSYNC_UP, system)
        self.assertRefused("git is not installed on the server", b"git-upload-pack t", system)

    def test_half_an_identity(self) -> None:
        if os.geteuid():
            self.skipTest("only root becomes somebody else")
        for user in ({"uid": 5}, {"gid": 5}):
            self.assertRefused("only one of uid and gid", b"git-upload-pack t", {"confined": True}, None, **user)

    def test_home_among_the_libraries(self) -> None:
        """Every command can read the system's libraries: a home there would be open to all."""
        files = make_filesystem(self)
        object.__setattr__(files.user, "home_dir", "/usr/lib/sftpgo/alice")
        commands = Commands(NAMES, None, SystemCommands(None, confined=True))
        channel = start(files, b"git-upload-pack t", commands=commands)
        self.assertIn(b"where the system's libraries are", channel.errors)

    def test_attributes(self) -> None:
        rules = {"/": ("list", "download", "upload", "overwrite", "delete", "rename", "create_dirs", "chmod")}
        line = b"rsync --server -rXe.x . t/"
        self.assertRefused("need chmod and chown", line, {"confined": True}, rules)


class RunTests(TestCase):
    """Git really started, with and without confinement."""

    def setUp(self) -> None:
        if shutil.which("git") is None:
            self.skipTest("not installed: git")

    async def run_git(self, **system: Any) -> FakeChannel:
        files = make_filesystem(self)
        repository = os.path.join(files.user.home_dir, "r.git")
        await getProcessOutput(str(shutil.which("git")), ["init", "-q", "--bare", repository], env=os.environ)
        commands = Commands(NAMES, reactor, SystemCommands(reactor, **system))
        channel = start(files, b"git-upload-pack r", commands=commands, clock=reactor)
        channel.send(b"0000")
        channel.end()
        while channel.exit is None:
            await deferLater(reactor, 0.01)
        return channel

    async def test_confined(self) -> None:
        system = SystemCommands(None)
        if not system.confined:
            self.skipTest("this kernel has no usable Landlock")
        channel = await self.run_git()
        self.assertEqual((channel.exit, channel.errors), (0, b""))
        self.assertTrue(channel.output.endswith(b"0000"))

    async def test_unconfined(self) -> None:
        channel = await self.run_git(confined=False, unconfined=True)
        self.assertEqual((channel.exit, channel.errors), (0, b""))
        self.assertTrue(channel.output.endswith(b"0000"))
