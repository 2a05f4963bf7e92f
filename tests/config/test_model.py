"""The model: its defaults, what each key accepts, and the page and the sample that tell of it."""

from __future__ import annotations

import json
import os
from itertools import pairwise

import attrs
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config import rules
from sftpgo.config.keys import KeyTable, walk
from sftpgo.config.model import HTTPD, SFTPD, Config, DataProvider, HostKey, TransferActions
from sftpgo.config.problems import Unfit, describe
from sftpgo.config.rules import Boolean, Integer, ListOf
from tests.config.written import KEYS, values

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class DefaultsTests(SynchronousTestCase):
    def test_sample_file_holds_exactly_the_defaults(self) -> None:
        with open(os.path.join(ROOT, "etc", "sftpgo.json"), encoding="utf-8") as file:
            sample = json.load(file)
        self.assertEqual(sample, json.loads(json.dumps(attrs.asdict(Config()))))

    def test_defaults(self) -> None:
        config = Config()
        self.assertEqual((config.sftpd.bind_port, config.sftpd.bind_address), (2022, ""))
        self.assertEqual((config.sftpd.idle_timeout, config.sftpd.max_auth_tries), (15, 0))
        self.assertEqual(config.sftpd.enabled_ssh_commands, ("md5sum", "sha1sum", "cd", "pwd"))
        self.assertEqual((config.sftpd.grace_time, config.sftpd.login_timeout), (30, 120))
        self.assertEqual(config.sftpd.max_unauthenticated, 100)
        self.assertEqual((config.data_provider.driver, config.data_provider.name), ("sqlite", "sftpgo.db"))
        self.assertEqual((config.data_provider.port, config.data_provider.users_table), (5432, "users"))
        self.assertEqual((config.data_provider.manage_users, config.data_provider.track_quota), (1, 2))
        self.assertEqual((config.httpd.bind_port, config.httpd.bind_address), (8080, "127.0.0.1"))

    def test_every_default_fits_its_rule_and_every_key_is_explained(self) -> None:
        for key in walk(Config):
            self.assertEqual(key.rule.parse(key.default), key.default, key.name)
            self.assertTrue(key.doc.endswith("."), key.name)


class PageTests(SynchronousTestCase):
    def test_page_names_every_key_with_its_default(self) -> None:
        with open(os.path.join(ROOT, "docs", "configuration.rst"), encoding="utf-8") as file:
            sections = file.read().split("\nSection ``")
        rows = []
        for section in sections[1:]:
            name = section[: section.index("``")]
            lines = section.splitlines()
            rows += [
                (f"{name}.{line[9:-2]}", below.strip(" -`"))
                for line, below in pairwise(lines)
                if line.startswith("   * - ``")
            ]
        self.assertEqual(rows, [(key.name, json.dumps(key.default).strip("`")) for key in walk(Config)])


class SecretTests(SynchronousTestCase):
    def test_never_in_a_repr(self) -> None:
        config = Config(data_provider=DataProvider(password="hunter2", connection_string="hunter3"))
        self.assertNotIn("hunter", repr(config))

    def test_never_in_an_error(self) -> None:
        for value in ("hunter2\0", 31337, ["31337"]):
            self.assertNotIn(str(value), str(self.assertRaises(Unfit, rules.SECRET.parse, value)))


class RecordTests(SynchronousTestCase):
    def test_frozen(self) -> None:
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            Config().sftpd.bind_port = 1  # type: ignore[misc]

    def test_umask_value(self) -> None:
        self.assertEqual(SFTPD().umask_value, 0o022)
        self.assertEqual(SFTPD(umask="777").umask_value, 0o777)

    def test_a_program_cannot_make_one_that_does_not_fit(self) -> None:
        for make, problem in [
            (lambda: SFTPD(bind_port=65536), "bind_port: expected an integer from 0 to 65535, found the integer 65536"),
            (lambda: SFTPD(bind_port=True), "bind_port: expected an integer from 0 to 65535, found the boolean true"),
            (lambda: HTTPD(bind_address="[::1]"),
             "bind_address: expected an IP address, a host name or an empty text, or a list of such, "
             "in its normal form"),
            (lambda: SFTPD(macs=["a"]), "macs: expected a list, each item the name of an SSH algorithm "
             "(RFC 4251, section 6), in its normal form"),
            (lambda: TransferActions(execute_on=("add",)), "execute_on: [0]: expected one of download, upload, "
             "delete, rename, ssh_cmd, found 'add'"),
            (lambda: HostKey(""), "expected a path, found ''"),
            (lambda: DataProvider(name=""), "name: expected the path of a file for the driver sqlite, found ''"),
        ]:  # fmt: skip
            self.assertEqual(str(self.assertRaises(ValueError, make)), problem)

    def test_stores_that_need_no_file(self) -> None:
        for driver in ("memory", "mysql", "postgresql"):
            self.assertEqual(DataProvider(driver=driver, name="").name, "")
        self.assertEqual(DataProvider(name="", connection_string="file:x").name, "")


class RuleTests(SynchronousTestCase):
    def check(self, name: str, good: list[object], bad: list[object]) -> None:
        rule = KEYS[name].rule
        for value in good:
            self.assertEqual(rule.parse(value), value, name)
        for value in bad:
            error = self.assertRaises(Unfit, rule.parse, value)
            self.assertEqual(error.faults, (("", f"expected {rule.expected}, found {describe(value)}"),), name)

    def test_integers(self) -> None:
        for key in walk(Config):
            if isinstance(key.rule, Integer):
                low, high = key.rule.low, key.rule.high
                self.check(key.name, [low, high], [low - 1, high + 1, True, False, None, "1", 1.0, [1], {}])

    def test_ranges(self) -> None:
        for name, low, high in [
            ("sftpd.bind_port", 0, 65535),
            ("sftpd.upload_mode", 0, 2),
            ("sftpd.setstat_mode", 0, 1),
            ("sftpd.login_timeout", 1, 2**31 - 1),
            ("sftpd.max_unauthenticated", 1, 2**31 - 1),
            ("sftpd.max_auth_tries", -(2**31), 2**31 - 1),
            ("data_provider.port", 0, 65535),
            ("data_provider.sslmode", 0, 3),
            ("data_provider.manage_users", 0, 1),
            ("data_provider.track_quota", 0, 2),
            ("httpd.bind_port", 0, 65535),
        ]:
            self.assertEqual(KEYS[name].rule, Integer(low, high), name)

    def test_booleans(self) -> None:
        self.check("sftpd.enable_scp", [True, False], [0, 1, "true", None, []])

    def test_umask(self) -> None:
        good = ["0022", "022", "22", "0", "0777", "00777"]
        self.check("sftpd.umask", good, ["", "1000", "0o22", "08", "-1", " 22", "22 ", "+22", 18, None, "٠"])

    def test_banner(self) -> None:
        good = ["", "SFTPGo_1", "OpenSSH_9 Debian 5", "x" * 245]
        self.check("sftpd.banner", good, ["x" * 246, "a\r\nb", "é", " a", "a\tb", 1])
        self.assertEqual(rules.SSH_BANNER.parse(" \t "), "")

    def test_addresses(self) -> None:
        good = ["", "0.0.0.0", "127.0.0.1", "::", "fe80::1%eth0", "localhost", "a.b-c.d", "1.example"]
        self.check(
            "httpd.bind_address", good, ["1.2.3", "1.2.3.256", "a b", "a..b", "-a", "host:80", "a/b", "x" * 64, 1]
        )
        self.assertEqual(rules.ADDRESS.parse("[::1]"), "::1")

    def test_urls(self) -> None:
        good = ["", "http://a", "https://[::1]:8443/x?y=z", "http://u:p@h/"]
        bad = ["ftp://a", "a", "http://", "http:///x", "//a", "http://a:99999/", "http://[::1", "http://:80/", 1]
        self.check("sftpd.actions.http_notification_url", good, bad)

    def test_paths(self) -> None:
        self.check("sftpd.actions.command", ["", "/bin/true", "/a b\n"], ["bin/true", " /x", "/a\0", "~/x", None])
        self.check("data_provider.users_base_dir", ["", "/srv"], ["srv", "./srv", "\0"])
        self.check("httpd.backups_path", ["b", "/b", "../b"], ["", "  ", "a\0b", 1])
        self.check("sftpd.login_banner_file", ["", "b"], ["\0", 1])

    def test_names(self) -> None:
        self.check(
            "data_provider.users_table", ["users", "_U1", "x" * 63], ["", "1a", "a-b", "a.b", "a b", "x" * 64, "é"]
        )
        self.check("data_provider.driver", ["sqlite", "postgresql", "mysql", "bolt", "memory"], ["SQLite", "", 1])

    def test_lists(self) -> None:
        rule = KEYS["sftpd.ciphers"].rule
        self.assertEqual(rule.parse(["aes128-ctr", "b@c"]), ("aes128-ctr", "b@c"))
        for value in ("aes128-ctr", None, {"a": 1}, 1):
            self.assertRaises(Unfit, rule.parse, value)
        faults = self.assertRaises(Unfit, rule.parse, ["a", "", 1, "b", "c,d", "x" * 65]).faults
        self.assertEqual([place for place, _ in faults], ["[1]", "[2]", "[4]", "[5]"])

    def test_host_keys(self) -> None:
        rule = KEYS["sftpd.keys"].rule
        self.assertEqual(rule.parse([{"private_key": "a"}, HostKey("b")]), (HostKey("a"), HostKey("b")))
        error = self.assertRaises(Unfit, rule.parse, ["a", {}, {"private_key": 1}, {"private_key": ""}])
        self.assertEqual(error.faults, (
            ("[0]", "expected a section with a private_key, found 'a'"),
            ("[1]", "expected a section with a private_key, found one without"),
            ("[2].private_key", "expected a path, found the integer 1"),
            ("[3].private_key", "expected a path, found ''"),
        ))  # fmt: skip

    @hypothesis_settings(deadline=None, max_examples=200)
    @given(data=st.data())
    def test_what_fits_is_kept_in_its_normal_form(self, data: st.DataObject) -> None:
        rule = data.draw(st.sampled_from(list(KEYS.values()))).rule
        once = rule.parse(data.draw(values(rule)))
        self.assertEqual(rule.parse(once), once)
        self.assertIsInstance(hash(once), int)

    @hypothesis_settings(deadline=None, max_examples=300)
    @given(name=st.sampled_from(list(KEYS)), text=st.text())
    def test_any_text_fits_or_is_unfit(self, name: str, text: str) -> None:
        rule = KEYS[name].rule
        try:
            rule.parse(rule.from_text(text))
        except Unfit as unfit:
            self.assertTrue(unfit.faults)


class FromTextTests(SynchronousTestCase):
    def test_integers(self) -> None:
        rule = Integer(-5, 5000)
        for text, value in [("0022", 22), (" 7 ", 7), ("-5", -5), ("+3", 3)]:
            self.assertEqual(rule.from_text(text), value)
        for text in ("", "x", "1.0", "1_0", "0x1", "٣", "9" * 5000, "1 2"):
            error = self.assertRaises(Unfit, rule.from_text, text)
            self.assertEqual(str(error), f"expected an integer from -5 to 5000, found {describe(text)}")

    def test_booleans(self) -> None:
        for text, value in [("true", True), ("FALSE", False), ("1", True), (" 0 ", False)]:
            self.assertIs(Boolean().from_text(text), value)
        for text in ("", "yes", "on", "2"):
            error = self.assertRaises(Unfit, Boolean().from_text, text)
            self.assertEqual(str(error), f"expected true or false (or 1 or 0), found {text!r}")

    def test_lists(self) -> None:
        rule = ListOf(Integer())
        for text, value in [("", []), ("  ", []), ("1", [1]), (" 1 ,2", [1, 2])]:
            self.assertEqual(rule.from_text(text), value)
        self.assertEqual(
            self.assertRaises(Unfit, rule.from_text, "1,,x").faults,
            tuple((place, f"expected an integer from 0 to {2**31 - 1}, found {found}")
                  for place, found in [("[1]", "''"), ("[2]", "'x'")]),
        )  # fmt: skip


class DescribeTests(SynchronousTestCase):
    def test_one_short_line_whatever_it_is(self) -> None:
        for value in (
            None,
            True,
            10**6000,
            -(10**200),
            1e300,
            float("nan"),
            "x" * 9999,
            "a\nb",
            [],
            {},
            b"x",
            object(),
        ):
            text = describe(value)
            self.assertNotIn("\n", text)
            self.assertTrue(0 < len(text) < 100, text)


class KeyTableTests(SynchronousTestCase):
    def test_nearest_name(self) -> None:
        table = KeyTable.of(Config)
        for name, nearest in [
            ("sftpd.bindport", "sftpd.bind_port"),
            ("SFTPD.UMASKS", "sftpd.umask"),
            ("data_provider.connectionstring", "data_provider.connection_string"),
            ("sftp", "sftpd"),
            ("sftpd.action", "sftpd.actions"),
        ]:
            self.assertEqual(table.unknown(name), f"unknown key, ignored; did you mean {nearest}?")
        self.assertEqual(table.unknown("zzzz"), "unknown key, ignored")

    def test_sections(self) -> None:
        expected = {"sftpd", "sftpd.actions", "data_provider", "data_provider.actions", "httpd"}
        self.assertEqual(KeyTable.of(Config).sections, expected)
