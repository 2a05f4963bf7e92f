from __future__ import annotations

import errno
import os
import stat
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from sftpgo import sockets
from sftpgo.config.load import Loaded
from sftpgo.config.model import HTTPD, SFTPD, Config, DataProvider
from sftpgo.doctor import certificates, command, disk, files, homes, kernel, ports, program
from sftpgo.doctor.finding import Finding
from sftpgo.domain.user import User
from sftpgo.storage.support import Support
from tests.certificates import self_signed

GIB = 1024**3


def levels(findings: Any) -> list[str]:
    return [finding.level for finding in findings]


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-doctor-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)


class HomesTests(Case):
    def user(self, name: str, path: str | Path, **fields: Any) -> User:
        return User(username=name, home_dir=str(path), permissions={"/": ("*",)}, **fields)

    def look(self, *users: User, **options: Any) -> list[Finding]:
        config_dir = str(options.pop("config_dir", self.directory / "etc"))
        return list(homes.look(users, config_dir, more=False, **options))

    def test_one_that_is_there_and_one_that_can_be_made(self) -> None:
        (self.directory / "a").mkdir()
        (found,) = self.look(self.user("a", self.directory / "a"), self.user("b", self.directory / "x/y"))
        self.assertEqual((found.level, found.text), ("ok", "2 homes looked at"))
        self.assertFalse((self.directory / "x").exists())

    def test_what_is_no_home(self) -> None:
        (self.directory / "file").write_text("")
        (self.directory / "there").mkdir()
        (self.directory / "link").symlink_to("there")
        (self.directory / "broken").symlink_to("nowhere")
        for path, expected in (
            ("relative", ["fail"]),
            (self.directory / "file", ["fail"]),
            (self.directory / "file/below", ["fail"]),
            (self.directory / "link", ["warn"]),
            (self.directory / "broken", ["warn", "fail"]),
            (str(self.directory / "nul") + "\0", ["fail"]),
        ):
            self.assertEqual(levels(self.look(self.user("u", path))), expected, path)

    def test_what_others_own(self) -> None:
        """Root may write anywhere, so that the kernel's answer is given here."""
        self.patch(os, "access", lambda *_: False)
        (self.directory / "a").mkdir()
        for path in (self.directory / "a", self.directory / "missing"):
            self.assertEqual(levels(self.look(self.user("u", path))), ["fail"])

    def test_inside_one_another(self) -> None:
        for name in ("a", "a/b", "a/b/c", "ab", "d"):
            (self.directory / name).mkdir()
        found = self.look(
            self.user("u1", self.directory / "a"),
            self.user("u3", self.directory / "a/b/c"),
            self.user("u2", self.directory / "a/b"),
            self.user("u4", self.directory / "ab"),
            self.user("u5", self.directory / "d"),
            self.user("u6", str(self.directory / "d") + "/"),
        )
        texts = [finding.text.partition(":")[0] for finding in found]
        self.assertEqual(
            texts,
            [
                "the home of 'u2' is inside that of 'u1'",
                "the home of 'u3' is inside that of 'u2'",
                "'u6' and 'u5' have the same home",
            ],
        )

    def test_the_servers_own_files(self) -> None:
        (self.directory / "etc").mkdir()
        (found,) = self.look(self.user("u", self.directory))
        self.assertEqual(found.level, "fail")
        self.assertIn("holds the server's own files", found.text)
        self.assertEqual(levels(self.look(self.user("u", self.directory / "etc-not"))), ["ok"])

    def test_owner_and_mode(self) -> None:
        home = self.directory / "a"
        home.mkdir()
        home.chmod(0o777)
        (found,) = self.look(self.user("u", home))
        self.assertIn("by everybody", found.text)
        home.chmod(0o755)
        (found,) = self.look(self.user("u", home, uid=os.geteuid() + 1), euid=0)
        self.assertIn("the user's files to uid", found.text)

    def test_names_do_nothing_to_a_terminal(self) -> None:
        found = self.look(self.user("\x1b[2Ju", self.directory), self.user("v", f"{self.directory}/\x1b[2J\udcff"))
        lines = "".join(command._lines(found)).replace("\n", "")
        self.assertTrue(lines.isprintable(), lines)
        self.assertIn("\\x1b[2J\\udcff", lines)

    def test_many_are_told_together(self) -> None:
        found = self.look(*(self.user(f"u{number}", "relative") for number in range(500)))
        self.assertEqual(len(found), 11)
        self.assertEqual((found[-1].level, found[-1].text), ("fail", "so it is with 490 more"))


class SpaceTests(Case):
    def test_levels(self) -> None:
        def level(free: int, whole: int = 1000 * GIB, inodes: int = 100, free_inodes: int = 100) -> str:
            space = SimpleNamespace(f_frsize=1, f_blocks=whole, f_bavail=free, f_files=inodes, f_favail=free_inodes)
            return disk.judge("/x", space).level

        self.assertEqual([level(500 * GIB), level(GIB // 2), level(1000)], ["ok", "warn", "fail"])
        self.assertEqual(level(500 * GIB, free_inodes=3), "warn")
        self.assertEqual(level(500 * GIB, inodes=0, free_inodes=0), "ok")
        # A small file system is not full because it is small.
        self.assertEqual(level(40 * 1024**2, 64 * 1024**2), "ok")

    def test_each_file_system_once(self) -> None:
        loaded = Loaded(Config(), None, (), str(self.directory))
        self.assertEqual(len(list(disk.look(loaded, [str(self.directory / "a/b"), str(self.directory)]))), 1)


class KernelTests(SynchronousTestCase):
    def test_only_what_is_enabled(self) -> None:
        old = Support(openat2=False, proc=True, landlock=0)
        self.assertEqual(levels(kernel.look(Config(), old)), ["warn"])
        enabled = Config(sftpd=SFTPD(enabled_ssh_commands=("rsync",)))
        self.assertIn("rsync are refused", list(kernel.look(enabled, old))[1].text)
        loose = Config(sftpd=attrs.evolve(enabled.sftpd, system_commands_without_confinement=True))
        self.assertIn("fail", levels(kernel.look(loose, old)))
        self.assertIn("fail", levels(kernel.look(Config(), Support(openat2=True, proc=False, landlock=0))))


class PortTests(SynchronousTestCase):
    def test_who_is_one_of_ours(self) -> None:
        """By the program's name, not by the directory that it happens to be in."""
        config = Config(sftpd=SFTPD(bind_address="127.0.0.1"), httpd=HTTPD(bind_port=0))
        self.patch(sockets, "open_listening", lambda *_: (_ for _ in ()).throw(OSError(errno.EADDRINUSE, "in use")))
        for words, level in (
            (["/srv/sftpgo/bin/python", "x.py"], "fail"),
            (["/usr/bin/python3", "/usr/local/bin/sftpgo", "serve"], "ok"),
            (["python", "-m", "sftpgo", "serve"], "ok"),
            (["twistd", "-n", "sftpgo"], "ok"),
        ):
            self.patch(ports, "_holders", lambda _port, words=words: iter([(7, words)]))
            (found,) = ports.look(config)
            self.assertEqual(found.level, level, words)
            self.assertIn("(process 7)", found.text)

    def test_an_address_of_somebody_else(self) -> None:
        config = Config(sftpd=SFTPD(bind_address="192.0.2.1"), httpd=HTTPD(bind_port=0))
        (found,) = ports.look(config)
        self.assertEqual(found.level, "fail")
        self.assertIn("192.0.2.1:2022 cannot be listened on", found.text)


class ProgramTests(SynchronousTestCase):
    def test_packages(self) -> None:
        found = list(program._unmet(["attrs>=24", "attrs>=9999.1", "no-such-package>=1", "x>=9; extra == 'dev'"]))
        self.assertEqual([name for name, *_ in found], ["attrs", "no-such-package"])
        self.assertEqual(program._numbers("2.0.0rc1"), (2,))
        self.assertLess(program._numbers("1.9"), program._numbers("1.10"))

    def test_descriptors(self) -> None:
        for hard, level in ((256, "fail"), (1024, "warn"), (65536, "ok"), (-1, "ok")):
            (found,) = program.descriptors((min(hard, 1024), hard))
            self.assertEqual(found.level, level, hard)

    def test_clock(self) -> None:
        now = datetime.now(UTC).timestamp()
        for moment, synchronised, level in ((1e9, True, "fail"), (now, False, "warn"), (now, None, "ok")):
            (found,) = program.clock(moment, synchronised)
            self.assertEqual(found.level, level)


class CertificateTests(Case):
    def test_expiry(self) -> None:
        key, chain, _ = self_signed(self.directory, "localhost")
        config = Config(httpd=HTTPD(certificate_file=str(chain), certificate_key_file=str(key)))
        loaded = Loaded(config, None, (), str(self.directory))
        found = {}
        for days in (-2, 0, 20, 31):
            moment = (datetime.now(UTC) + timedelta(days=days)).timestamp()
            (found[days],) = levels(certificates.look(loaded, moment))
        self.assertEqual(found, {-2: "fail", 0: "ok", 20: "warn", 31: "fail"})
        chain.write_text("nonsense")
        self.assertEqual(levels(certificates.look(loaded, 0)), ["fail"])

    def test_users(self) -> None:
        users = self.directory / "users"
        users.write_text("a:plain\n")
        loaded = Loaded(Config(httpd=HTTPD(auth_user_file=str(users))), None, (), str(self.directory))
        self.assertEqual(levels(certificates.look(loaded, 0)), ["fail"])


class DatabaseTests(Case):
    def test_modes(self) -> None:
        database = self.directory / "sftpgo.db"
        database.write_text("")
        config = Config(data_provider=DataProvider(driver="sqlite", name="sftpgo.db"))
        loaded = Loaded(config, None, (), str(self.directory))
        for mode, level in ((0o600, "ok"), (0o640, "fail"), (0o604, "fail")):
            database.chmod(mode)
            (found,) = (each for each in files.look(loaded) if each.check == "database")
            self.assertEqual(found.level, level, stat.filemode(mode))
