from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from sftpgo.actions.command import Command
from sftpgo.actions.limits import HookFailed, Limits

_HANG = """
sleep 1000 &
echo $! > "$0.child"
{trap}
mv "$0.child" "$0.ready"
while :; do sleep 1000; done
"""


class CommandCase(TestCase):
    """Real programs on the real reactor; only the limits' clock is the test's."""

    #: Far more than anything here takes: a test that hangs fails in the end.
    timeout = 120

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.directory = self.directory.resolve()
        self.clock = Clock()

    def script(self, text: str, mode: int = 0o755) -> Path:
        path = self.directory / "hook"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(mode)
        return path

    def command(self, path: str | Path, environ: dict[str, str] | None = None) -> Command:
        return Command(str(path), reactor, self.clock, os.environ if environ is None else environ, Limits())

    async def until(self, done: Any) -> None:
        while not done():
            await deferLater(reactor, 0.01)

    async def failing(self, running: Any) -> str:
        try:
            await running
        except HookFailed as failed:
            return str(failed)
        return self.fail("it did not fail")

    async def hang(self, trap: str = "") -> tuple[Deferred[Any], int]:
        """Run a program that does not end, with a child; returns the child's id."""
        path = self.script(_HANG.format(trap=trap))
        running = Deferred.fromCoroutine(self.command(path).run((), {}))
        ready = Path(f"{path}.ready")
        await self.until(ready.exists)
        return running, int(text_of(path, "ready"))


def bytes_of(path: Path, suffix: str) -> bytes:
    """What a program wrote beside itself."""
    return Path(f"{path}.{suffix}").read_bytes()


def text_of(path: Path, suffix: str) -> str:
    return bytes_of(path, suffix).decode()


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie, which is init's to reap, does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Running(CommandCase):
    async def test_arguments_intact(self) -> None:
        path = self.script(
            'for a; do printf "%s\\0" "$a"; done > "$0.out"; printf "%s" "$SFTPGO_ACTION_PATH" > "$0.env"'
        )
        odd = os.fsdecode(b"/h/\xff\xfe n\xc3\xa4me")
        arguments = ("--help", "$(id)", "a\nb", odd, "", "`id`; $HOME * \\ ' \"")
        outcome = await self.command(path).run(arguments, {"SFTPGO_ACTION_PATH": odd})
        self.assertEqual(outcome, "exit status 0")
        self.assertEqual(bytes_of(path, "out").split(b"\0"), [*(os.fsencode(argument) for argument in arguments), b""])
        self.assertEqual(bytes_of(path, "env"), os.fsencode(odd))

    async def test_surroundings(self) -> None:
        path = self.script(
            'exec > "$0.out"; readlink /proc/$$/fd/0; ls /proc/$$/fd | tr "\\n" " "; pwd\n'
            "read _ _ _ _ group _ < /proc/$$/stat; echo $group; echo $$; env"
        )
        inherited = os.open("/dev/null", os.O_RDONLY)
        self.addCleanup(os.close, inherited)
        os.set_inheritable(inherited, True)
        environ = {
            "PATH": os.environ["PATH"],
            "KEPT": "1",
            "SFTPGO_DATA_PROVIDER__PASSWORD": "secret1",
            "sftpgo_data_provider__connection_string": "secret2",
        }
        await self.command(path, environ).run(("x",), {"SFTPGO_ACTION": "x"})
        text = text_of(path, "out")
        lines = text.splitlines()
        self.assertEqual(lines[0], "/dev/null")
        descriptors, where = lines[1].rsplit(" ", 1)
        self.assertNotIn(str(inherited), descriptors.split())
        self.assertEqual(where, os.getcwd())
        self.assertEqual(lines[2].strip(), lines[3])
        self.assertIn("KEPT=1", lines)
        self.assertIn("SFTPGO_ACTION=x", lines)
        self.assertNotIn("secret", text)

    async def test_output_is_thrown_away(self) -> None:
        path = self.script(
            "a=$(readlink /proc/$$/fd/1); b=$(readlink /proc/$$/fd/2); echo $a $b > $0.out\n"
            "head -c 300000 /dev/zero; echo no >&2"
        )
        await self.command(path).run((), {})
        self.assertEqual(text_of(path, "out"), "/dev/null /dev/null\n")

    async def test_broken_pipes_end_its_children_as_usual(self) -> None:
        path = self.script("yes | head -n 1; grep SigIgn /proc/self/status > $0.out")
        await self.command(path).run((), {})
        self.assertEqual(int(text_of(path, "out").split()[1], 16) & (1 << 12), 0)

    async def test_no_descriptors_are_left(self) -> None:
        path = self.script("")
        await self.command(path).run((), {})
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            await self.command(path).run((), {})
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_without_pidfd(self) -> None:
        def refused(pid: int, flags: int = 0) -> int:
            raise PermissionError("forbidden here")

        self.patch(os, "pidfd_open", refused)
        path = self.script('mkfifo "$0.gate"; read x < "$0.gate"; exit 3')
        running = Deferred.fromCoroutine(self.command(path).run((), {}))
        await self.until(Path(f"{path}.gate").exists)
        self.clock.advance(0.1)
        self.assertFalse(running.called)
        os.close(os.open(f"{path}.gate", os.O_WRONLY))

        def asked() -> bool:
            self.clock.advance(0.001)
            return running.called

        await self.until(asked)
        self.assertEqual(await self.failing(running), "exit status 3")


class Failing(CommandCase):
    async def test_statuses(self) -> None:
        self.assertEqual(await self.failing(self.command(self.script("exit 3")).run((), {})), "exit status 3")
        self.assertEqual(
            await self.failing(self.command(self.script("kill -SEGV $$")).run((), {})), "killed by SIGSEGV"
        )

    async def test_cannot_be_started(self) -> None:
        missing = self.command(self.directory / "missing")
        self.assertEqual(await self.failing(missing.run((), {})), "could not be started: No such file or directory")
        plain = self.command(self.script("", 0o644))
        self.assertEqual(await self.failing(plain.run((), {})), "could not be started: Permission denied")
        nul = self.command(self.script(""))
        self.assertIn("null", await self.failing(nul.run(("a\0b",), {})))
        self.assertIn("could not be started", await self.failing(nul.run(("\ud800",), {})))
        self.assertIn("could not be started", await self.failing(nul.run((), {"A": "b\0"})))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_problems(self) -> None:
        good = self.script("")
        self.assertEqual(self.command(good).problem(), "")
        for path, word in (
            ("relative", "absolute"),
            (self.directory / "missing", "No such file"),
            (self.directory, "no regular file"),
            ("/a\0b", "null"),
        ):
            self.assertIn(word, self.command(path).problem())
        good.chmod(0o644)
        self.assertIn("not executable", self.command(good).problem())


class Limit(CommandCase):
    async def test_killed_with_its_children(self) -> None:
        running, child = await self.hang()
        self.clock.advance(14.9)
        await deferLater(reactor, 0.05)
        self.assertTrue(alive(child))
        self.assertFalse(running.called)
        self.clock.advance(0.2)
        self.assertEqual(await self.failing(running), "did not end within 15 s and was killed")
        await self.until(lambda: not alive(child))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_killed_when_it_ignores_the_first_signal(self) -> None:
        running, child = await self.hang(trap="trap '' TERM")
        self.clock.advance(15)
        await deferLater(reactor, 0.05)
        self.assertFalse(running.called)
        self.clock.advance(2)
        self.assertEqual(await self.failing(running), "did not end within 15 s and was killed")
        await self.until(lambda: not alive(child))

    async def test_children_that_ignore_it_are_killed_when_the_parent_goes(self) -> None:
        path = self.script('(trap "" TERM; echo 1 > "$0.t"; exec sleep 1000) & echo $! > "$0.pid"; wait')
        running = Deferred.fromCoroutine(self.command(path).run((), {}))
        await self.until(Path(f"{path}.t").exists)
        await self.until(lambda: Path(f"{path}.pid").exists() and text_of(path, "pid"))
        child = int(text_of(path, "pid"))
        self.clock.advance(15)
        await self.failing(running)
        await self.until(lambda: not alive(child))

    async def test_one_that_nothing_kills_is_given_up(self) -> None:
        signals: list[int] = []
        really = os.killpg
        running, child = await self.hang()
        self.patch(os, "killpg", lambda group, number: signals.append(number))
        for seconds in (15, 2, 2):
            self.assertFalse(running.called)
            self.clock.advance(seconds)
        self.assertEqual(await self.failing(running), "did not end within 15 s and was killed")
        self.assertEqual(signals, [15, 9])
        group = os.getpgid(child)
        really(group, 9)
        await self.until(lambda: not Path(f"/proc/{group}").exists())  # reaped all the same

    async def test_cancelled(self) -> None:
        running, child = await self.hang()
        outcomes: list[Failure] = []
        running.addErrback(outcomes.append)
        running.cancel()
        self.assertEqual(outcomes, [])  # not before the program is gone
        await self.until(lambda: outcomes)
        outcomes[0].trap(CancelledError)
        await self.until(lambda: not alive(child))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_what_it_leaves_behind_in_time_is_let_alone(self) -> None:
        path = self.script('sleep 1000 & echo $! > "$0.pid"')
        await self.command(path).run((), {})
        child = int(text_of(path, "pid"))
        self.clock.advance(60)
        await deferLater(reactor, 0.05)
        self.assertTrue(alive(child))
        os.kill(child, 9)
