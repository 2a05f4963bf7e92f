"""Which commands are served, and what is told of each."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.commands import Commands, CommandSession, FinishedCommand
from tests.avatars.fakechannel import FakeChannel, start
from tests.doubles import make_filesystem


class DispatchTests(SynchronousTestCase):
    """From a command line to a protocol."""

    def setUp(self) -> None:
        self.files = make_filesystem(self)
        self.done: list[FinishedCommand] = []
        self.commands = Commands(
            frozenset({"scp", "md5sum", "cd", "pwd", "rsync"}), Clock(), on_command_done=self.done.append
        )
        self.registry = self.files.journal.registry

    def lookup(self, line: bytes):
        session = CommandSession(self.files, self.registry, self.files.journal.connection_id, self.files.clock)
        return self.commands.lookup(session, line)

    def run_line(self, line: bytes) -> FakeChannel:
        return start(self.files, line, commands=self.commands)

    def test_not_served(self) -> None:
        """Unknown, not enabled, a path, another case, no shell: the request fails."""
        for line in (
            b"",
            b"   ",
            b"sha1sum x",
            b"PWD",
            b"/usr/bin/md5sum x",
            b"./pwd",
            b"sh -c id",
            b"pwd;id",
            b"pwd\0",
            b"'pwd",
            b"$(pwd)",
            b"\xff",
            b"scp",
            b"scp -t",
            b"rsync --server . x",  # nothing runs system commands here
        ):
            self.assertIsNone(self.lookup(line), line)
        for line in (b"pwd", b" 'pwd'  x", b"cd", b"scp -t x", b"md5sum"):
            self.assertIsNotNone(self.lookup(line), line)

    def test_cd_and_pwd(self) -> None:
        for line, output in ((b"cd", b""), (b"cd /nowhere", b""), (b"pwd", b"/\n"), (b"pwd -P x", b"/\n")):
            channel = self.run_line(line)
            self.assertEqual((channel.output, channel.errors, channel.exit), (output, b"", 0), line)

    def test_client_hears_of_the_start_first(self) -> None:
        """Nothing is sent and nothing ends before the request has been answered."""
        channel = FakeChannel(self.lookup(b"pwd"))
        self.assertEqual((channel.output, channel.exit), (b"", None))
        self.commands.clock.advance(0)
        self.assertEqual((channel.output, channel.exit), (b"/\n", 0))

    def test_gone_before_the_start(self) -> None:
        channel = FakeChannel(self.lookup(b"md5sum"))
        channel.vanish()
        self.commands.clock.advance(0)
        self.assertEqual([done.ok for done in self.done], [False])

    def test_told(self) -> None:
        """Success and failure are told; the log has a line of success alone, with the original's fields."""
        Path(self.files.user.home_dir, "f").write_bytes(b"x")
        events = self.files.journal.log._logger.observer
        for line, name, arguments, path, ok in (
            (b"md5sum 'f'", "md5sum", ("f",), "/f", True),
            (b"md5sum a ../b", "md5sum", ("a", "../b"), "/b", False),
            (b"cd", "cd", (), "", True),
        ):
            self.run_line(line)
            self.assertEqual(self.done.pop(), FinishedCommand("u", "c" * 64, name, arguments, path, ok))
        lines = [event for event in events if event.get("sender") == "SSHCommand"]
        self.assertEqual(
            [(e["ssh_command"], e["file_path"], e["protocol"]) for e in lines],
            [("md5sum f", "/f", "SSH"), ("cd ", "", "SSH")],
        )

    def test_registry(self) -> None:
        """A command is in the list of connections while it runs, with its line."""
        for line, protocol in ((b"md5sum -", "SSH"), (b"scp -t 'a b'", "SCP")):
            channel = self.run_line(line)
            (entry,) = self.registry.snapshot()
            self.assertEqual((entry.protocol, entry.ssh_command), (protocol, line.decode().replace("'", "")))
            channel.end()
            self.assertEqual(self.registry.snapshot(), ())
            self.assertEqual(channel.exit, 0)
