"""Rotated log files: names, retention, compression."""

from __future__ import annotations

import calendar
import gzip
import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.log.backups import Backups, Retention

NOW = calendar.timegm((2026, 11, 23, 10, 36, 7)) + 0.680
DAY = 86400
KEEP_ALL = Retention(max_backups=0, max_age_days=0, compress=False)


class BackupsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)
        self.backups = Backups(os.path.join(self.directory, "sftpgo.log"))

    def write(self, name: str, content: bytes = b"x\n", mode: int = 0o644) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def rotated(self, when: float, ending: str = "") -> str:
        return os.path.basename(self.write(os.path.basename(self.backups.fresh(when)) + ending))

    def names(self) -> list[str]:
        return sorted(os.listdir(self.directory))

    def test_name(self) -> None:
        self.assertEqual(self.backups.fresh(NOW), os.path.join(self.directory, "sftpgo-2026-11-23T10-36-07.680.log"))

    def test_name_without_extension(self) -> None:
        self.assertEqual(Backups("/var/log.d/x").fresh(NOW), "/var/log.d/x-2026-11-23T10-36-07.680")

    def test_names_of_one_millisecond_differ(self) -> None:
        for ending in ("", ".gz", ".gz.tmp"):
            self.rotated(NOW, ending)
        self.assertEqual(os.path.basename(self.backups.fresh(NOW)), "sftpgo-2026-11-23T10-36-07.683.log")

    def test_keeps_the_newest(self) -> None:
        names = [self.rotated(NOW + n, ".gz" if n % 2 else "") for n in range(5)]
        problems = self.backups.tidy(Retention(max_backups=2, max_age_days=0, compress=False), NOW + 9)
        self.assertEqual(problems, [])
        self.assertEqual(self.names(), names[-2:])

    def test_a_backup_and_its_gzip_count_once(self) -> None:
        old = self.rotated(NOW)
        self.write(old + ".gz")
        new = self.rotated(NOW + 1)
        self.backups.tidy(Retention(max_backups=2, max_age_days=0, compress=False), NOW)
        self.assertEqual(self.names(), sorted([old, old + ".gz", new]))

    def test_age(self) -> None:
        kept = self.rotated(NOW - 28 * DAY)
        self.rotated(NOW - 28 * DAY - 0.001)
        self.rotated(NOW - 28 * DAY - 1, ".gz")
        self.backups.tidy(Retention(max_backups=0, max_age_days=28, compress=False), NOW)
        self.assertEqual(self.names(), [kept])

    def test_zero_keeps_all(self) -> None:
        names = [self.rotated(day * DAY) for day in range(30)]
        self.backups.tidy(KEEP_ALL, NOW)
        self.assertEqual(self.names(), names)

    def test_other_files_are_left_alone(self) -> None:
        names = [
            "sftpgo.log",
            "sftpgo-notes.log",
            "sftpgo-2026-11-23T10-36-07.680.txt",
            "sftpgo-2026-11-23T10-36-07.680.log.bak",
            "sftpgo-2026-11-23T10-36-07.log",
            "xsftpgo-2026-11-23T10-36-07.680.log",
            "sftpgo-web-2026-11-23T10-36-07.680.log",
        ]
        for name in names:
            self.write(name)
        self.backups.tidy(Retention(max_backups=1, max_age_days=1, compress=True), NOW + 1000 * DAY)
        self.assertEqual(self.names(), sorted(names))

    def test_a_name_is_no_pattern(self) -> None:
        backups = Backups(os.path.join(self.directory, "a.b.log"))
        self.write("aXb-2000-01-01T00-00-00.000.log")
        self.write("a.b-2000-01-01T00-00-00.000.log")
        backups.tidy(Retention(max_backups=0, max_age_days=1, compress=False), NOW)
        self.assertEqual(self.names(), ["aXb-2000-01-01T00-00-00.000.log"])

    def test_gzip(self) -> None:
        content = b"line\n" * 100_000
        name = os.path.basename(self.write(os.path.basename(self.backups.fresh(NOW)), content, 0o640))
        self.assertEqual(self.backups.tidy(Retention(5, 28, compress=True), NOW), [])
        self.assertEqual(self.names(), [name + ".gz"])
        path = os.path.join(self.directory, name + ".gz")
        with gzip.open(path) as file:
            self.assertEqual(file.read(), content)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)

    def test_what_has_had_its_time_is_not_compressed_first(self) -> None:
        self.rotated(NOW)
        new = self.rotated(NOW + 1)
        self.backups.tidy(Retention(max_backups=1, max_age_days=0, compress=True), NOW)
        self.assertEqual(self.names(), [new + ".gz"])

    def test_interrupted_while_compressing(self) -> None:
        name = self.rotated(NOW)
        self.write(name + ".gz.tmp", b"half")
        self.assertEqual(self.backups.tidy(Retention(5, 28, compress=True), NOW), [])
        self.assertEqual(self.names(), [name + ".gz"])
        with gzip.open(os.path.join(self.directory, name + ".gz")) as file:
            self.assertEqual(file.read(), b"x\n")

    def test_interrupted_before_the_removal(self) -> None:
        name = self.rotated(NOW)
        self.write(name + ".gz", gzip.compress(b"x\n"))
        self.assertEqual(self.backups.tidy(Retention(5, 28, compress=True), NOW), [])
        self.assertEqual(self.names(), [name + ".gz"])
        with gzip.open(os.path.join(self.directory, name + ".gz")) as file:
            self.assertEqual(file.read(), b"x\n")

    def test_a_lone_leftover_counts_for_nothing(self) -> None:
        self.rotated(NOW + 5, ".gz.tmp")
        name = self.rotated(NOW)
        self.backups.tidy(Retention(max_backups=1, max_age_days=0, compress=False), NOW)
        self.assertEqual(self.names(), [name])

    def test_one_trouble_does_not_stop_the_rest(self) -> None:
        first = os.path.basename(self.backups.fresh(NOW))
        os.mkdir(os.path.join(self.directory, first))  # can be neither read as a file nor unlinked
        second = self.rotated(NOW + 1)
        problems = self.backups.tidy(Retention(5, 28, compress=True), NOW)
        self.assertEqual(problems, [f"log backup {os.path.join(self.directory, first)}: Is a directory"])
        self.assertEqual(self.names(), sorted([first, second + ".gz"]))
