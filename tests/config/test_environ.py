"""The environment goes before the file."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.load import Loaded, load
from sftpgo.config.model import SFTPD, Config, HostKey
from sftpgo.errors import ConfigurationError
from tests.config.written import KEYS, text_of, variable


class EnvironTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        self.path = os.path.join(directory, "sftpgo.json")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write('{"sftpd": {"bind_port": 1, "banner": "x", "enabled_ssh_commands": ["scp", "cd"]}}')

    def load(self, **environ: str) -> Loaded:
        return load("", environ=environ, explicit_path=self.path)

    def problems(self, **environ: str) -> tuple[str, ...]:
        return self.assertRaises(ConfigurationError, self.load, **environ).problems

    def test_over_the_file(self) -> None:
        config = self.load(SFTPGO_SFTPD__BIND_PORT="2", SFTPGO_SFTPD__ENABLED_SSH_COMMANDS="pwd").config
        self.assertEqual(config, Config(sftpd=SFTPD(bind_port=2, banner="x", enabled_ssh_commands=("pwd",))))

    def test_over_a_wrong_value_of_the_file(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write('{"sftpd": {"bind_port": "wrong"}}')
        self.assertEqual(self.load(SFTPGO_SFTPD__BIND_PORT="2").config.sftpd.bind_port, 2)

    def test_keys_that_are_not_in_the_file(self) -> None:
        config = self.load(
            SFTPGO_SFTPD__ACTIONS__EXECUTE_ON="upload, rename",
            SFTPGO_SFTPD__KEYS="id_rsa,/k/id_ed25519",
            SFTPGO_SFTPD__ENABLE_SCP="true",
            SFTPGO_DATA_PROVIDER__PASSWORD=" s,e=c ",
        ).config
        self.assertEqual(config.sftpd.actions.execute_on, ("upload", "rename"))
        self.assertEqual(config.sftpd.keys, (HostKey("id_rsa"), HostKey("/k/id_ed25519")))
        self.assertIs(config.sftpd.enable_scp, True)
        self.assertEqual(config.data_provider.password, " s,e=c ")

    def test_every_key(self) -> None:
        for name, key in KEYS.items():
            default = [attr.private_key for attr in key.default] if name == "sftpd.keys" else key.default
            text = text_of(list(default) if isinstance(default, tuple) else default)
            loaded = load("/nowhere", "no-such-name", environ={variable(name): text})
            self.assertEqual((loaded.config, len(loaded.warnings)), (Config(), 1), name)

    def test_without_a_file(self) -> None:
        loaded = load("/nowhere", "no-such-name", environ={"SFTPGO_SFTPD__BIND_PORT": "2"})
        self.assertEqual(loaded.config, Config(sftpd=SFTPD(bind_port=2)))

    def test_any_case(self) -> None:
        self.assertEqual(self.load(sftpgo_Sftpd__bind_PORT="2").config.sftpd.bind_port, 2)

    def test_empty_value_counts(self) -> None:
        config = self.load(SFTPGO_SFTPD__BANNER="", SFTPGO_SFTPD__ENABLED_SSH_COMMANDS="").config
        self.assertEqual((config.sftpd.banner, config.sftpd.enabled_ssh_commands), ("", ()))
        self.assertEqual(self.problems(SFTPGO_SFTPD__BIND_PORT=""), (
            "environment variable SFTPGO_SFTPD__BIND_PORT: sftpd.bind_port: "
            "expected an integer from 0 to 65535, found ''",
        ))  # fmt: skip

    def test_warnings(self) -> None:
        self.assertEqual(self.load(SFTPGO_SFTPD__BIND_PRT="2", SFTPGO_ZZZ__Q="2", SFTPGO_SFTPD__ACTIONS="x").warnings, (
            "environment variable SFTPGO_SFTPD__ACTIONS: sftpd.actions: a section, ignored; "
            "give its keys, as sftpd.actions.command",
            "environment variable SFTPGO_SFTPD__BIND_PRT: sftpd.bind_prt: unknown key, ignored; "
            "did you mean sftpd.bind_port?",
            "environment variable SFTPGO_ZZZ__Q: zzz.q: unknown key, ignored",
        ))  # fmt: skip

    def test_names_of_others(self) -> None:
        loaded = self.load(SFTPGO_CONFIG_DIR="x", SFTPGO_LOG_MAX_SIZE="x", SFTPD__BIND_PORT="2", X__Y="1", SFTPGO_="")
        self.assertEqual((loaded.config.sftpd.bind_port, loaded.warnings), (1, ()))

    def test_all_problems_with_those_of_the_file(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write('{"httpd": {"bind_port": "x"}}')
        self.assertEqual(self.problems(SFTPGO_SFTPD__ACTIONS__EXECUTE_ON="upload,add", SFTPGO_SFTPD__UMASK="9"), (
            "environment variable SFTPGO_SFTPD__UMASK: sftpd.umask: expected an octal number as text in quotes, "
            "such as \"0022\", at most \"0777\", found '9'",
            "environment variable SFTPGO_SFTPD__ACTIONS__EXECUTE_ON: sftpd.actions.execute_on[1]: "
            "expected one of download, upload, delete, rename, ssh_cmd, found 'add'",
            f"{self.path}: httpd.bind_port: expected an integer from 0 to 65535, found 'x'",
        ))  # fmt: skip

    def test_problems_with_a_broken_file(self) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("{")
        problems = self.problems(SFTPGO_SFTPD__BIND_PORT="x")
        self.assertEqual([problem.split(": ")[0] for problem in problems],
                         [self.path, "environment variable SFTPGO_SFTPD__BIND_PORT"])  # fmt: skip

    def test_given_twice(self) -> None:
        self.assertEqual(self.problems(SFTPGO_SFTPD__BIND_PORT="2", sftpgo_sftpd__bind_port="3"), (
            "environment variable sftpgo_sftpd__bind_port: sftpd.bind_port: "
            "given twice, also by the environment variable SFTPGO_SFTPD__BIND_PORT",
        ))  # fmt: skip

    def test_file_store_without_a_file_names_the_variable(self) -> None:
        self.assertEqual(self.problems(SFTPGO_DATA_PROVIDER__NAME=""), (
            "environment variable SFTPGO_DATA_PROVIDER__NAME: data_provider.name: "
            "expected the path of a file for the driver sqlite, found ''",
        ))  # fmt: skip

    def test_dropped_commands(self) -> None:
        loaded = self.load(SFTPGO_SFTPD__ENABLED_SSH_COMMANDS="rm,scp")
        self.assertEqual(loaded.config.sftpd.enabled_ssh_commands, ("scp",))
        self.assertEqual(loaded.warnings, (
            "environment variable SFTPGO_SFTPD__ENABLED_SSH_COMMANDS: sftpd.enabled_ssh_commands: "
            "'rm' is no supported SSH command, ignored",
        ))  # fmt: skip
