"""The log file: appending, rotation, reopening, and a disk without room."""

from __future__ import annotations

import calendar
import errno
import os
import stat
import subprocess
import sys
import threading

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.log import Log
from sftpgo.log.descriptor import LineDescriptor
from sftpgo.log.lines import JsonLines
from sftpgo.log.observer import JsonObserver
from sftpgo.log.rotation import RETRY_SECONDS, RotatingFile

NOW = calendar.timegm((2026, 11, 23, 10, 36, 7)) + 0.680


class RotatingFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "sftpgo.log")
        self.clock = Clock()
        self.rotations = 0
        self.reports: list[str] = []

    def open(self, path: str = "", max_bytes: int = 10) -> RotatingFile:
        file = RotatingFile(
            path or self.path,
            max_bytes=max_bytes,
            now=lambda: NOW + self.clock.seconds(),
            seconds=self.clock.seconds,
            rotated=self.count,
            report=self.reports.append,
        )
        self.addCleanup(file.close)
        return file

    def count(self) -> None:
        self.rotations += 1

    def content(self, name: str = "sftpgo.log") -> bytes:
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def test_appends_at_once(self) -> None:
        with open(self.path, "wb") as file:
            file.write(b"old\n")
        log = self.open()
        log.write(b"new\n")
        self.assertEqual(self.content(), b"old\nnew\n")

    def test_modes(self) -> None:
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        self.open(os.path.join(self.directory, "a", "b", "x.log"))
        modes = [stat.S_IMODE(os.stat(os.path.join(self.directory, p)).st_mode) for p in ("a", "a/b", "a/b/x.log")]
        self.assertEqual(modes, [0o744, 0o744, 0o644])

    def test_rotates_when_the_line_would_go_over(self) -> None:
        log = self.open()
        log.write(b"12345\n")
        log.write(b"789\n")
        self.assertEqual(self.names(), ["sftpgo.log"])
        log.write(b"x\n")
        self.assertEqual(self.names(), ["sftpgo-2026-11-23T10-36-07.680.log", "sftpgo.log"])
        self.assertEqual(self.content("sftpgo-2026-11-23T10-36-07.680.log"), b"12345\n789\n")
        self.assertEqual(self.content(), b"x\n")
        self.assertEqual(self.rotations, 1)

    def test_what_was_in_the_file_counts(self) -> None:
        with open(self.path, "wb") as file:
            file.write(b"12345678\n")
        self.open().write(b"x\n")
        self.assertEqual(self.content(), b"x\n")

    def test_rotations_of_one_millisecond(self) -> None:
        log = self.open()
        for number in range(4):
            log.write(b"%d2345678\n" % number)
        self.assertEqual(
            [self.content(name) for name in self.names()], [b"%d2345678\n" % number for number in range(4)]
        )
        self.assertEqual(self.rotations, 3)

    def test_a_line_longer_than_a_file(self) -> None:
        log = self.open()
        log.write(b"a long line\n")
        self.assertEqual(self.names(), ["sftpgo.log"])
        log.write(b"b\n")
        self.assertEqual((self.content(), self.rotations), (b"b\n", 1))

    def test_zero_never_rotates(self) -> None:
        log = self.open(max_bytes=0)
        log.write(b"a long line\n")
        log.write(b"a long line\n")
        self.assertEqual(self.names(), ["sftpgo.log"])

    def test_the_mode_is_kept(self) -> None:
        log = self.open()
        log.write(b"12345678\n")
        os.chmod(self.path, 0o600)
        log.reopen()
        log.write(b"x\n")
        self.assertEqual(self.rotations, 1)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_reopen_after_a_rename(self) -> None:
        log = self.open()
        log.write(b"1\n")
        os.rename(self.path, self.path + ".1")
        log.write(b"2\n")
        log.reopen()
        log.write(b"3\n")
        self.assertEqual((self.content("sftpgo.log.1"), self.content()), (b"1\n2\n", b"3\n"))

    def test_reopen_that_fails_keeps_the_old_file(self) -> None:
        log = self.open()
        os.rename(self.path, self.path + ".1")
        os.mkdir(self.path)
        self.assertRaises(IsADirectoryError, log.reopen)
        log.write(b"2\n")
        self.assertEqual(self.content("sftpgo.log.1"), b"2\n")

    def test_truncated_in_place(self) -> None:
        log = self.open()
        log.write(b"12345678\n")
        os.truncate(self.path, 0)
        log.write(b"x\n")
        self.assertEqual((self.names(), self.content()), (["sftpgo.log"], b"x\n"))

    def test_a_file_that_somebody_else_moved_is_not_missed(self) -> None:
        log = self.open()
        log.write(b"12345678\n")
        os.rename(self.path, self.path + ".1")
        log.write(b"x\n")
        self.assertEqual(self.names(), ["sftpgo.log", "sftpgo.log.1"])
        self.assertEqual(self.content(), b"x\n")

    def test_a_file_that_somebody_else_made_is_not_renamed(self) -> None:
        log = self.open()
        log.write(b"12345678\n")
        os.rename(self.path, self.path + ".1")
        with open(self.path, "wb"):
            pass
        log.write(b"x\n")
        self.assertEqual(self.names(), ["sftpgo.log", "sftpgo.log.1"])
        self.assertEqual(self.content(), b"x\n")

    def test_a_rotation_that_fails_waits_and_loses_nothing(self) -> None:
        log = self.open()
        log.write(b"12345678\n")
        gone = self.directory + ".gone"
        os.rename(self.directory, gone)
        for line in (b"a\n", b"b\n"):
            log.write(line)
        self.assertEqual(self.reports, [f"the log file {self.path} cannot be rotated: No such file or directory"])
        os.rename(gone, self.directory)
        log.write(b"c\n")
        self.assertEqual(self.content(), b"12345678\na\nb\nc\n")
        self.clock.advance(RETRY_SECONDS)
        log.write(b"d\n")
        self.assertEqual((self.content(), self.rotations, len(self.reports)), (b"d\n", 1, 1))

    def test_a_device_is_not_rotated(self) -> None:
        log = self.open("/dev/null", max_bytes=1)
        log.write(b"12\n")
        log.write(b"34\n")
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        self.assertEqual(self.rotations, 0)

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self) -> None:
        os.mkfifo(self.path)
        with self.assertRaises(OSError) as caught:
            self.open()
        self.assertEqual(caught.exception.errno, errno.ENXIO)

    def test_writes_after_close_go_nowhere(self) -> None:
        log = self.open()
        log.close()
        log.close()
        # The descriptor's number now belongs to this file.
        with open(os.path.join(self.directory, "other"), "wb") as other:
            with self.assertRaises(OSError) as caught:
                log.write(b"x\n")
            self.assertEqual(caught.exception.errno, errno.EBADF)
            self.assertEqual(os.fstat(other.fileno()).st_size, 0)

    def test_no_descriptor_is_left_open(self) -> None:
        log = self.open()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            log.write(b"12345678\n")
            log.reopen()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class NoRoomTests(SynchronousTestCase):
    #: Writes lines of 100 bytes where a file may have 350, then where it may have more.
    SCRIPT = """
import resource, sys
from sftpgo.log.rotation import RotatingFile
log = RotatingFile(sys.argv[1], max_bytes=0, now=float, seconds=float, rotated=int, report=print)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (350, hard))
failed = 0
for number in range(6):
    try:
        log.write(b"%099d\\n" % number)
    except OSError:
        failed += 1
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.write(b"%099d\\n" % 9)
print(failed)
"""

    def test_half_a_line_is_taken_back(self) -> None:
        path = os.path.abspath(self.mktemp())
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        done = subprocess.run(
            [sys.executable, "-c", self.SCRIPT, path], cwd=root, capture_output=True, text=True, check=False
        )
        self.assertEqual((done.stdout, done.stderr), ("3\n", ""))
        with open(path, "rb") as file:
            self.assertEqual([int(line) for line in file], [0, 1, 2, 9])

    def test_half_a_line_in_a_pipe_is_ended(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        os.set_blocking(writer, False)
        lines = LineDescriptor(writer)
        long = b"x" * 2**20 + b"\n"  # more than a pipe holds
        self.assertRaises(BlockingIOError, lines.append, long)
        half = os.read(reader, 2**20)
        self.assertLess(len(half), len(long))
        lines.append(b"whole\n")
        lines.append(b"next\n")
        self.assertEqual(os.read(reader, 2**20), b"\nwhole\nnext\n")


class ThreadTests(SynchronousTestCase):
    def test_lines_of_threads_stay_whole_over_rotations(self) -> None:
        directory = os.path.abspath(self.mktemp())
        sink = RotatingFile(
            os.path.join(directory, "x.log"),
            max_bytes=5000,
            now=lambda: NOW,
            seconds=float,
            rotated=int,
            report=self.fail,
        )
        observer = JsonObserver(JsonLines(lambda: NOW), sink, verbose=True)

        def write(thread: int) -> None:
            log = Log("sftpd", observer)
            for number in range(200):
                log.info(f"{thread} {number}")

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        observer.close()
        found: list[str] = []
        for name in sorted(os.listdir(directory)):
            with open(os.path.join(directory, name)) as file:
                found += [line.split('"message":"')[1][:-3] for line in file]
        self.assertGreater(len(os.listdir(directory)), 5)
        self.assertEqual(sorted(found), sorted(f"{t} {n}" for t in range(4) for n in range(200)))
