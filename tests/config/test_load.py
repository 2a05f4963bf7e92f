"""Finding the file, laying it over the defaults, and telling everything that is wrong."""

from __future__ import annotations

import errno
import json
import os

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config import search
from sftpgo.config.formats import MODULES
from sftpgo.config.load import Loaded, load, resolve
from sftpgo.config.model import SFTPD, Config
from sftpgo.errors import ConfigurationError
from tests.config.written import KEYS, write

NAME = "sftpgo-load-test"
"""No file of this name lies in /etc/sftpgo of the machine that runs the tests."""

_names = st.sampled_from([*{part for name in KEYS for part in name.split(".")}, "private_key"]) | st.text(max_size=5)
_anything = st.dictionaries(
    st.sampled_from(["sftpd", "data_provider", "httpd", "SFTPD"]),
    st.dictionaries(
        _names,
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
        ),
        max_size=5,
    ),
)


class Directory(SynchronousTestCase):
    def setUp(self) -> None:
        self.top = os.path.abspath(self.mktemp())
        os.mkdir(self.top)

    def put(self, path: str, port: int | None = None, text: str | None = None) -> str:
        """Write a file that is known by its port, or a text."""
        path = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            text = write(path.rpartition(".")[2], {"sftpd.bind_port": port})
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def json(self, settings: object) -> Loaded:
        return load("", environ={}, explicit_path=self.put("c/sftpgo.json", text=json.dumps(settings)))

    def problems(self, settings: object) -> list[str]:
        """The problems of a JSON file, without its path."""
        error = self.assertRaises(ConfigurationError, self.json, settings)
        path = os.path.join(self.top, "c/sftpgo.json")
        self.assertEqual(str(error), "\n".join(error.problems))
        return [problem.removeprefix(f"{path}: ") for problem in error.problems]

    def warnings(self, settings: object) -> list[str]:
        path = os.path.join(self.top, "c/sftpgo.json")
        return [warning.removeprefix(f"{path}: ") for warning in self.json(settings).warnings]


class SearchTests(Directory):
    def find(self, config_dir: str = "a", config_file: str = NAME, **more: object) -> Loaded:
        given = {"environ": {}, "home": os.path.join(self.top, "home"), **more}
        return load(os.path.join(self.top, config_dir), config_file, **given)

    def test_order_of_directories(self) -> None:
        self.assertEqual(search.directories("c", "/h"), ("c", "/h/.config/sftpgo", "/etc/sftpgo", "."))
        self.assertEqual(search.directories(".", None), (".", "/etc/sftpgo"))

    def test_config_dir_then_home(self) -> None:
        home = self.put(f"home/.config/sftpgo/{NAME}.json", 2)
        found = self.find()
        self.assertEqual((found.config.sftpd.bind_port, found.path), (2, home))
        first = self.put(f"a/{NAME}.ini", 1)  # the first directory wins, whatever the extension
        found = self.find()
        self.assertEqual((found.config.sftpd.bind_port, found.path), (1, first))
        self.assertEqual(found.config_dir, os.path.join(self.top, "a"))

    def test_directory_that_may_not_be_looked_into(self) -> None:
        """There may be a configuration in it, so it is said; not of one that comes after the file."""
        home = self.put(f"home/.config/sftpgo/{NAME}.json", 2)
        really, shut = os.stat, os.path.join(self.top, "a")

        def stat(path: str, **options: bool) -> os.stat_result:
            if str(path).startswith(f"{shut}/"):
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return really(path, **options)

        self.patch(os, "stat", stat)
        found = self.find()
        said = f"no configuration file could be looked for in {shut}: Permission denied"
        self.assertEqual((found.path, found.warnings), (home, (said,)))
        found = self.find(environ={"HOME": shut}, home=None, config_dir="home/.config/sftpgo")
        self.assertEqual((found.path, found.warnings), (home, ()))

    def test_relative_paths_start_from_config_dir_wherever_the_file_is(self) -> None:
        self.put(f"home/.config/sftpgo/{NAME}.json", 2)
        self.assertEqual(self.find().config_dir, os.path.join(self.top, "a"))

    def test_home_of_the_environment(self) -> None:
        self.put(f"other/.config/sftpgo/{NAME}.json", 3)
        environ = {"HOME": os.path.join(self.top, "other")}
        self.assertEqual(self.find(environ=environ, home=None).config.sftpd.bind_port, 3)
        self.assertIsNone(self.find(environ=environ).path)

    def test_current_directory_comes_last(self) -> None:
        name = os.path.basename(os.path.dirname(self.top)) + NAME
        path = os.path.abspath(f"{name}.json")
        with open(path, "w", encoding="utf-8") as file:
            file.write(write("json", {"sftpd.bind_port": 4}))
        self.addCleanup(os.remove, path)
        self.assertEqual(self.find(config_file=name).config.sftpd.bind_port, 4)
        self.put(f"home/.config/sftpgo/{name}.json", 5)
        self.assertEqual(self.find(config_file=name).config.sftpd.bind_port, 5)

    def test_order_of_extensions(self) -> None:
        order = ["json", "toml", "yaml", "yml", "properties", "props", "prop", "hcl", "dotenv", "env", "ini"]
        self.assertEqual(list(MODULES), order)
        for port, extension in reversed(list(enumerate(order))):
            self.put(f"a/{NAME}.{extension}", port)
            self.assertEqual(self.find().config.sftpd.bind_port, port, extension)

    def test_name_with_a_known_extension_is_exactly_that(self) -> None:
        self.put(f"a/{NAME}.json", 1)
        self.put(f"a/{NAME}.yaml", 2)
        self.assertEqual(self.find(config_file=f"{NAME}.yaml").config.sftpd.bind_port, 2)
        self.assertIsNone(self.find(config_file=f"{NAME}.toml").path)

    def test_name_with_another_dot(self) -> None:
        self.put(f"a/{NAME}.conf.json", 1)
        self.assertEqual(self.find(config_file=f"{NAME}.conf").config.sftpd.bind_port, 1)

    def test_directory_of_that_name_is_no_file(self) -> None:
        os.makedirs(os.path.join(self.top, "a", f"{NAME}.json"))
        self.put(f"a/{NAME}.ini", 1)
        self.assertEqual(self.find().config.sftpd.bind_port, 1)

    def test_missing(self) -> None:
        found = self.find()
        self.assertEqual((found.config, found.path), (Config(), None))
        self.assertEqual(found.warnings, (
            f"no configuration file {NAME} in {self.top}/a, {self.top}/home/.config/sftpgo, /etc/sftpgo, .: "
            "built-in defaults are used",
        ))  # fmt: skip

    def test_missing_but_for_a_name_without_extension(self) -> None:
        path = self.put(f"a/{NAME}.conf", text="{}")
        (warning,) = self.find(config_file=f"{NAME}.conf").warnings
        self.assertTrue(warning.endswith(f"; {path} was not read, its name has no known extension"), warning)

    def test_explicit(self) -> None:
        path = self.put("x/y/My.JSON", text='{"sftpd": {"bind_port": 9}}')
        self.put(f"a/{NAME}.json", 1)
        found = self.find(explicit_path=path)
        self.assertEqual((found.config.sftpd.bind_port, found.path), (9, path))
        self.assertEqual(found.config_dir, os.path.dirname(path))

    def test_explicit_relative(self) -> None:
        path = self.put("x/sftpgo.json", 9)
        found = self.find(explicit_path=os.path.relpath(path))
        self.assertEqual((found.path, found.config_dir), (path, os.path.dirname(path)))

    def test_explicit_missing_or_unreadable(self) -> None:
        path = os.path.join(self.top, "none.json")
        error = self.assertRaises(ConfigurationError, self.find, explicit_path=path)
        self.assertEqual(error.problems, (f"{path}: cannot be read: No such file or directory",))
        path = os.path.join(self.top, "directory.json")
        os.mkdir(path)
        error = self.assertRaises(ConfigurationError, self.find, explicit_path=path)
        self.assertEqual(error.problems, (f"{path}: cannot be read: Is a directory",))

    def test_explicit_of_no_known_extension(self) -> None:
        for name in ("sftpgo", "sftpgo.conf", ".json"):
            path = self.put(name, text="{}")
            error = self.assertRaises(ConfigurationError, self.find, explicit_path=path)
            self.assertEqual(error.problems, (
                f"{path}: unknown format: expected a name that ends in .json, .toml, .yaml, .yml, .properties, "
                ".props, .prop, .hcl, .dotenv, .env, .ini",
            ))  # fmt: skip


class ResolveTests(SynchronousTestCase):
    def test_resolve(self) -> None:
        self.assertEqual(resolve("/etc/sftpgo", "a/b"), "/etc/sftpgo/a/b")
        self.assertEqual(resolve("/etc/sftpgo", "/a/b"), "/a/b")
        self.assertEqual(resolve("/etc/sftpgo", ""), "")
        self.assertEqual(resolve(".", "x"), os.path.join(os.getcwd(), "x"))


class MergeTests(Directory):
    def test_other_keys_keep_their_defaults(self) -> None:
        self.assertEqual(self.json({"sftpd": {"bind_port": 1}}).config, Config(sftpd=SFTPD(bind_port=1)))

    def test_list_takes_the_place_of_the_default(self) -> None:
        for names in (["scp"], ["*"], [], ["scp", "cd", "pwd", "rsync", "md5sum"]):
            found = self.json({"sftpd": {"enabled_ssh_commands": names}}).config.sftpd.enabled_ssh_commands
            self.assertEqual(found, tuple(names))

    def test_null_counts_as_left_out(self) -> None:
        given = {"sftpd": {"bind_port": None, "keys": None, "actions": None}, "httpd": None}
        loaded = self.json(given)
        self.assertEqual((loaded.config, loaded.warnings), (Config(), ()))

    def test_blank_banner_and_bracketed_address(self) -> None:
        found = self.json({"sftpd": {"banner": "  ", "bind_address": "[::]"}}).config.sftpd
        self.assertEqual((found.banner, found.bind_address), ("", "::"))


class WarningTests(Directory):
    def test_unknown_keys(self) -> None:
        given = {
            "sftpd": {"bindport": 1, "keys": [{"private_key": "a", "PrivateKeys": 1}], "actions": {"comand": {}}},
            "zzzzz": 1,
            "data_provider": {"connectionstring": "hunter2"},
        }
        self.assertEqual(self.warnings(given), [
            "sftpd.bindport: unknown key, ignored; did you mean sftpd.bind_port?",
            "sftpd.keys[0].privatekeys: unknown key, ignored; did you mean private_key?",
            "sftpd.actions.comand: unknown key, ignored; did you mean sftpd.actions.command?",
            "zzzzz: unknown key, ignored",
            "data_provider.connectionstring: unknown key, ignored; did you mean data_provider.connection_string?",
        ])  # fmt: skip

    def test_unsupported_commands_are_dropped(self) -> None:
        given = {"sftpd": {"enabled_ssh_commands": ["scp", "rm", "*", "CD"]}}
        self.assertEqual(self.json(given).config.sftpd.enabled_ssh_commands, ("scp", "*"))
        self.assertEqual(self.warnings(given), [
            "sftpd.enabled_ssh_commands: 'rm' is no supported SSH command, ignored",
            "sftpd.enabled_ssh_commands: 'CD' is no supported SSH command, ignored",
        ])  # fmt: skip

    def test_upload_mode_out_of_range(self) -> None:
        for mode in (-1, 3, 10**30):
            given = {"sftpd": {"upload_mode": mode}}
            self.assertEqual(self.json(given).config.sftpd.upload_mode, 0)
            self.assertEqual(
                self.warnings(given),
                [f"sftpd.upload_mode: expected 0, 1 or 2, found the integer {mode}: 0 is used"],
            )
        self.assertEqual(self.json({"sftpd": {"upload_mode": 2}}).config.sftpd.upload_mode, 2)


class ProblemTests(Directory):
    def test_all_at_once(self) -> None:
        given = {
            "sftpd": {
                "bind_port": True,
                "umask": 18,
                "upload_mode": "1",
                "actions": {"execute_on": ["upload", "add", 5]},
                "keys": [{"private_key": 3}, "x"],
                "enabled_ssh_commands": ["cd", 3],
                "Banner": "x",
                "banner": "y",
            },
            "data_provider": {"driver": "oracle", "password": 31337, "users_base_dir": "srv", "actions": 5},
            "httpd": {"bind_port": 70000},
        }
        self.assertEqual(self.problems(given), [
            "sftpd.banner: given twice, as 'Banner' and as 'banner', line 1",
            "data_provider.actions: expected a section of keys, found the integer 5",
            "sftpd.bind_port: expected an integer from 0 to 65535, found the boolean true",
            'sftpd.umask: expected an octal number as text in quotes, such as "0022", at most "0777", '
            "found the integer 18",
            "sftpd.upload_mode: expected an integer from 0 to 2, found '1'",
            "sftpd.actions.execute_on[1]: expected one of download, upload, delete, rename, ssh_cmd, found 'add'",
            "sftpd.actions.execute_on[2]: expected one of download, upload, delete, rename, ssh_cmd, "
            "found the integer 5",
            "sftpd.keys[0].private_key: expected a path, found the integer 3",
            "sftpd.keys[1]: expected a section with a private_key, found 'x'",
            "sftpd.enabled_ssh_commands[1]: expected one of scp, md5sum, sha1sum, sha256sum, sha384sum, sha512sum, "
            "cd, pwd, git-receive-pack, git-upload-pack, git-upload-archive, rsync, *, found the integer 3",
            "data_provider.driver: expected one of sqlite, postgresql, mysql, bolt, memory, found 'oracle'",
            "data_provider.password: expected a text without NUL characters, found a value of type int "
            "that is not shown",
            "data_provider.users_base_dir: expected an absolute path or an empty text, found 'srv'",
            "httpd.bind_port: expected an integer from 0 to 65535, found the integer 70000",
        ])  # fmt: skip

    @hypothesis_settings(deadline=None, max_examples=150)
    @given(given=_anything)
    def test_anything_loads_or_is_told_line_by_line(self, given: dict[str, object]) -> None:
        try:
            lines = self.json(given).warnings
        except ConfigurationError as error:
            lines = error.problems
            self.assertTrue(lines)
        for line in lines:
            self.assertTrue(line.startswith(os.path.join(self.top, "c/sftpgo.json: ")), line)
            self.assertEqual(len(line.splitlines()), 1, line)

    def test_each_names_the_file(self) -> None:
        error = self.assertRaises(ConfigurationError, self.json, {"sftpd": {"bind_port": "x", "umask": 1}})
        self.assertEqual(len(error.problems), 2)
        for problem in error.problems:
            self.assertTrue(problem.startswith(os.path.join(self.top, "c/sftpgo.json: sftpd.")), problem)

    def test_umask_as_yaml_and_toml_numbers(self) -> None:
        for name, text, number in [("a.yaml", "sftpd: {umask: 0022}", 18), ("a.toml", "sftpd.umask = 22", 22)]:
            path = self.put(name, text=text)
            error = self.assertRaises(ConfigurationError, load, "", environ={}, explicit_path=path)
            self.assertEqual(error.problems, (
                f'{path}: sftpd.umask: expected an octal number as text in quotes, such as "0022", at most "0777", '
                f"found the integer {number}",
            ))  # fmt: skip

    def test_file_store_without_a_file(self) -> None:
        self.assertEqual(
            self.problems({"data_provider": {"name": " ", "driver": "bolt"}}),
            ["data_provider.name: expected the path of a file for the driver bolt, found ' '"],
        )

    def test_sections_that_are_none(self) -> None:
        for value, found in [
            ([], "a list"),
            ("x", "'x'"),
            ([{"bind_port": 1}], "a list"),
            (False, "the boolean false"),
        ]:
            self.assertEqual(self.problems({"sftpd": value}), [f"sftpd: expected a section of keys, found {found}"])
