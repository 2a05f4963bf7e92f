"""The log put together: where lines go, levels, dropped lines, the console, housekeeping."""

from __future__ import annotations

import calendar
import gzip
import io
import json
import os
import pty
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TextIO

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogBeginner, Logger, LogPublisher, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.errors import ConfigurationError, StartupError
from sftpgo.log import Log, Logging, LogSettings, start_logging
from sftpgo.log.lines import JsonLines
from sftpgo.log.observer import JsonObserver

NOW = calendar.timegm((2026, 11, 23, 10, 36, 7)) + 0.680
MEGABYTE = 1024 * 1024


class Threads:
    """Keeps the work for threads until a test runs it."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def __call__(self, function: Callable[..., object], *args: object) -> Deferred[Any]:
        self.waiting.append(lambda: function(*args))
        return Deferred()

    def run(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work in waiting:
            work()


class LogCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        self.path = os.path.join(self.directory, "sftpgo.log")
        self.clock = Clock()
        self.publisher = LogPublisher()
        self.stdout = io.StringIO()

    def start(self, settings: LogSettings | None = None, stdout: TextIO | None = None, **more: Any) -> Logging:
        logging = start_logging(
            settings or LogSettings(self.path),
            clock=self.clock,
            now=lambda: NOW + self.clock.seconds(),
            stdout=stdout or self.stdout,
            publisher=self.publisher,
            **{"run_in_thread": maybeDeferred, **more},
        )
        self.addCleanup(logging.close)
        return logging

    def log(self, sender: str = "service") -> Log:
        return Log(sender, self.publisher)

    def messages(self, path: str = "") -> list[str]:
        with open(path or self.path, encoding="utf-8") as file:
            return [json.loads(line)["message"] for line in file]

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))


class StartTests(LogCase):
    def test_file(self) -> None:
        self.start()
        self.log().info("hello", connection_id="7")
        with open(self.path, "rb") as file:
            line = file.read()
        self.assertRegex(
            line,
            rb'\A\{"level":"info","time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}","sender":"service",'
            rb'"connection_id":"7","message":"hello"\}\n\Z',
        )
        self.assertEqual(self.stdout.getvalue(), "")

    def test_relative_to_the_directory_of_the_start(self) -> None:
        logging = self.start(LogSettings(os.path.relpath(self.path)))
        old = os.getcwd()
        self.addCleanup(os.chdir, old)
        os.chdir("/")
        logging.reopen()
        self.log().info("x")
        self.assertEqual(self.messages(), ["x"])

    def test_stdout_without_a_file(self) -> None:
        logging = self.start(LogSettings(""))
        self.log().info("Zoë")
        logging.console("for people")
        [line] = self.stdout.getvalue().splitlines()
        self.assertEqual(json.loads(line)["message"], "Zoë")
        logging.reopen()
        logging.close()
        self.stdout.write("still open")

    def test_stdout_is_utf_8_in_any_locale(self) -> None:
        binary = open(self.mktemp(), "w+b")  # noqa: SIM115
        self.addCleanup(binary.close)
        stdout = io.TextIOWrapper(binary, encoding="ascii")
        self.start(LogSettings(""), stdout)
        stdout.write("before ")
        self.log().info("Zoë")
        binary.seek(0)
        self.assertRegex(binary.read().decode("utf-8"), r'\Abefore \{.*"message":"Zoë"\}\n\Z')

    def test_levels_hold_for_file_and_console(self) -> None:
        for verbose in (True, False):
            path = os.path.join(self.directory, f"{verbose}.log")
            stdout = io.StringIO()
            logging = self.start(LogSettings(path, verbose=verbose), stdout)
            log = self.log()
            log.debug("debug")
            Logger("twisted.x", observer=self.publisher).debug("twisted debug")
            log.connection_failed(client_ip="::1", username="u", login_type="password", error="e")
            log.info("info")
            log.warn("warn")
            log.error("error")
            Logger("twisted.x", observer=self.publisher).critical("critical")
            for level in ("debug", "info", "warn", "error"):
                logging.console(level, level)
            logging.close()
            with open(path) as file:
                levels = [json.loads(line)["level"] for line in file]
            shown = [line.split()[1] for line in stdout.getvalue().splitlines()]
            self.assertEqual(levels, ["debug"] * 3 * verbose + ["info", "warn", "error", "error"])
            self.assertEqual(shown, ["DBG"] * verbose + ["INF", "WRN", "ERR"])

    def test_verbose_off_without_a_file(self) -> None:
        self.start(LogSettings("", verbose=False))
        self.log().debug("a")
        self.log().info("b")
        self.assertEqual(len(self.stdout.getvalue().splitlines()), 1)

    def test_close_takes_no_more(self) -> None:
        logging = self.start()
        self.log().info("a")
        logging.close()
        logging.close()
        self.log().info("b")
        self.assertEqual(self.messages(), ["a"])
        self.assertEqual(logging.dropped, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_path_that_cannot_be_opened(self) -> None:
        os.makedirs(self.path)
        with open(os.path.join(self.directory, "file"), "w"):
            pass
        for path, reason in (
            (self.path, "Is a directory"),
            (os.path.join(self.directory, "file", "x.log"), "Not a directory"),
            ("/proc/nowhere/x.log", "No such file or directory"),
            ("a\0b\nc", "embedded null byte"),
        ):
            with self.assertRaises(StartupError) as caught:
                self.start(LogSettings(path))
            text = str(caught.exception)
            self.assertRegex(text, rf"\Acannot open the log file '.*': {reason}\Z")
            self.assertEqual(len(text.splitlines()), 1)
        # nothing was installed by the attempts
        self.log().info("x")
        self.assertEqual((self.stdout.getvalue(), self.clock.getDelayedCalls()), ("", []))

    def test_settings_are_checked_all_at_once(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            LogSettings("", max_size_mb=-1, max_age_days=-2)
        self.assertEqual(
            caught.exception.problems,
            ("log-max-size: expected 0 or more, got -1", "log-max-age: expected 0 or more, got -2"),
        )

    def test_the_process_wide_publisher_is_left_alone(self) -> None:
        self.start()
        Log("service").info("not for this log")
        self.log().info("for this log")
        self.assertEqual(self.messages(), ["for this log"])

    def test_a_log_goes_to_the_process_wide_publisher_by_default(self) -> None:
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        Log("service").info("x")
        self.assertEqual([event["text"] for event in events if event["log_namespace"] == "sftpgo.service"], ["x"])

    def test_what_was_said_before_is_written_too(self) -> None:
        warnings = SimpleNamespace(showwarning=None)
        errors = io.StringIO()
        beginner = LogBeginner(self.publisher, errors, SimpleNamespace(), warnings)
        self.log().info("early")
        logging = self.start(beginner=beginner)
        self.log().info("late")
        self.assertEqual(self.messages(), ["early", "late"])
        logging.close()
        self.log().info("later")
        self.assertEqual(self.messages(), ["early", "late"])
        self.assertEqual(errors.getvalue(), "")


class RotationTests(LogCase):
    def fill(self) -> None:
        """Log until the file has been rotated once more."""
        before = len(self.names())
        for _ in range(4):  # three lines fit, the fourth does not
            self.log().info("x" * 300_000)
            if len(self.names()) > before:
                return
        self.fail("the file was not rotated")

    def test_rotation_gzip_and_number(self) -> None:
        threads = Threads()
        self.start(LogSettings(self.path, max_size_mb=1, max_backups=2, compress=True), run_in_thread=threads)
        for _ in range(3):
            self.fill()
            self.clock.advance(1)
        plain = [f"sftpgo-2026-11-23T10-36-0{second}.680.log" for second in (7, 8, 9)]
        self.assertEqual(self.names(), [*plain, "sftpgo.log"])
        size = os.stat(os.path.join(self.directory, plain[0])).st_size
        self.assertTrue(MEGABYTE - 400_000 < size <= MEGABYTE, size)
        threads.run()
        self.assertEqual(self.names(), [plain[1] + ".gz", plain[2] + ".gz", "sftpgo.log"])
        with gzip.open(os.path.join(self.directory, plain[1] + ".gz")) as file:
            self.assertEqual([json.loads(line)["message"] for line in file], ["x" * 300_000] * 3)

    def test_never_two_threads_at_once(self) -> None:
        threads = Threads()
        self.start(LogSettings(self.path, max_size_mb=1, compress=True), run_in_thread=threads)
        self.fill()
        self.fill()
        self.assertEqual(len(threads.waiting), 1)
        threads.run()
        self.assertEqual([name.endswith(".gz") for name in self.names()], [True, True, False])
        self.fill()
        self.assertEqual(len(threads.waiting), 1)

    def test_backups_are_cleared_at_start_and_every_day(self) -> None:
        os.mkdir(self.directory)
        for name in ("sftpgo-2000-01-01T00-00-00.000.log", "sftpgo-2026-11-22T12-00-00.000.log"):
            with open(os.path.join(self.directory, name), "w"):
                pass
        self.start(LogSettings(self.path, max_age_days=1))
        self.assertEqual(self.names(), ["sftpgo-2026-11-22T12-00-00.000.log", "sftpgo.log"])
        self.clock.advance(86400)
        self.assertEqual(self.names(), ["sftpgo.log"])

    def test_trouble_in_the_thread_is_said_in_the_log(self) -> None:
        os.makedirs(os.path.join(self.directory, "sftpgo-2000-01-01T00-00-00.000.log"))
        self.start()
        [message] = self.messages()
        self.assertIn("sftpgo-2000-01-01T00-00-00.000.log: Is a directory", message)

    def test_no_thread_to_be_had(self) -> None:
        def none(function: Callable[..., object], *args: object) -> Deferred[Any]:
            raise RuntimeError("no more threads")

        self.start(run_in_thread=none)
        self.log().info("x")
        self.assertEqual(self.messages(), ["log backups: no more threads", "x"])

    def test_reopen(self) -> None:
        logging = self.start()
        self.log().info("1")
        os.rename(self.path, self.path + ".1")
        self.log().info("2")
        logging.reopen()
        self.log().info("3")
        self.assertEqual((self.messages(self.path + ".1"), self.messages()), (["1", "2"], ["3"]))

    def test_reopen_that_fails(self) -> None:
        logging = self.start()
        os.rename(self.path, self.path + ".1")
        os.mkdir(self.path)
        logging.reopen()
        self.log().info("2")
        self.assertEqual(
            self.messages(self.path + ".1"),
            ["the log file cannot be reopened, the old one stays in use: Is a directory", "2"],
        )


class SmallDisk:
    """A place for lines that may be full."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    def write(self, line: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines.append(line)

    def reopen(self) -> None: ...

    def close(self) -> None: ...


class DiskFullTests(LogCase):
    def test_a_full_device(self) -> None:
        logging = self.start(LogSettings("/dev/full"))
        for _ in range(3):
            self.log().info("x")
        self.assertEqual(logging.dropped, 3)

    def test_afterwards_the_log_tells_how_many_are_missing(self) -> None:
        disk = SmallDisk()
        observer = JsonObserver(JsonLines(lambda: NOW, time.gmtime), disk, verbose=True)
        log = Log("sftpd", observer)
        log.info("a")
        disk.full = True
        for _ in range(3):
            log.info("lost")
        disk.full = False
        log.info("b")
        log.info("c")
        self.assertEqual(
            [json.loads(line)["message"] for line in disk.lines],
            ["a", "3 log lines could not be written: No space left on device", "b", "c"],
        )
        self.assertEqual(
            disk.lines[1],
            b'{"level":"warn","time":"2026-11-23T10:36:07.680","sender":"log","connection_id":"",'
            b'"message":"3 log lines could not be written: No space left on device"}\n',
        )
        disk.full = True
        log.info("lost")
        self.assertEqual(observer.dropped, 4)
        disk.full = False
        observer.close()
        self.assertIn(b'"message":"1 log lines could not', disk.lines[-1])

    def test_standard_output_that_is_gone(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        stdout = open(writer, "w")  # noqa: SIM115
        self.addCleanup(stdout.close)
        logging = self.start(LogSettings(""), stdout)
        self.log().info("x")
        self.assertEqual(logging.dropped, 1)

    def test_standard_output_that_is_closed(self) -> None:
        logging = self.start(LogSettings(""))
        self.stdout.close()
        self.log().info("x")
        self.assertEqual(logging.dropped, 1)


class ConsoleTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        # The console's time is local: make the machine's an hour east of UTC.
        self.addCleanup(self.zone, os.environ.get("TZ"))
        self.zone("XXX-1")

    def zone(self, name: str | None) -> None:
        os.environ.pop("TZ", None)
        if name is not None:
            os.environ["TZ"] = name
        time.tzset()

    def test_plain(self) -> None:
        logging = self.start()
        logging.console("SFTP listens on 127.0.0.1:2022")
        logging.console("no configuration file", "warn")
        self.assertEqual(
            self.stdout.getvalue(),
            "2026-11-23T11:36:07.680 INF SFTP listens on 127.0.0.1:2022\n"
            "2026-11-23T11:36:07.680 WRN no configuration file\n",
        )
        self.assertEqual(self.messages(), [])

    def test_coloured_on_a_terminal(self) -> None:
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        stdout = open(slave, "w")  # noqa: SIM115
        self.addCleanup(stdout.close)
        self.start(stdout=stdout).console("ready", "error")
        shown = os.read(master, 1000).decode()
        self.assertIn("\x1b[31mERR\x1b[0m", shown)
        self.assertEqual(re.sub(r"\x1b\[\d+m", "", shown), "2026-11-23T11:36:07.680 ERR ready\r\n")

    def test_nothing_moves_the_cursor(self) -> None:
        self.start().console("a\x1b[2J\nb\udcff\u202eü")
        self.assertEqual(self.stdout.getvalue(), "2026-11-23T11:36:07.680 INF a\\x1b[2J\\nb\\udcff\\u202eü\n")

    def test_a_locale_without_the_letters(self) -> None:
        binary = io.BytesIO()
        self.start(stdout=io.TextIOWrapper(binary, encoding="ascii")).console("Zoë")
        self.assertTrue(binary.getvalue().endswith(b"INF Zo\\xeb\n"))

    def test_a_terminal_that_is_gone(self) -> None:
        logging = self.start()
        self.stdout.close()
        logging.console("x")
        [message] = self.messages()
        self.assertIn("standard output cannot be written", message)
