"""Every format says the same, and a broken file says where."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.formats import MODULES, parse
from sftpgo.config.formats.content import Malformed
from sftpgo.config.load import Loaded, load
from sftpgo.config.model import HTTPD, SFTPD, Config, DataProvider, HostKey, TransferActions, UserActions
from sftpgo.errors import ConfigurationError
from tests.config.written import EXTENSIONS, SAMPLE, settings, text_of, variable, write

EXPECTED = Config(
    sftpd=SFTPD(
        bind_port=2222,
        bind_address="::1",
        umask="0027",
        max_auth_tries=-1,
        enable_scp=True,
        keys=(HostKey("id_rsa"), HostKey("keys/é key")),
        actions=TransferActions(
            execute_on=("upload", "ssh_cmd"),
            command="/usr/bin/notify",
            http_notification_url="https://example.com:8443/hook?a=b&c=d",
        ),
        enabled_ssh_commands=("scp",),
    ),
    data_provider=DataProvider(
        driver="postgresql",
        password='p\'w "${x}" %{y} \\n #;:=é',
        manage_users=0,
        actions=UserActions(execute_on=("add",)),
    ),
    httpd=HTTPD(bind_port=0),
)


class Files(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory)

    def load(self, extension: str, data: str | bytes) -> Loaded:
        path = os.path.join(self.directory, f"config.{extension}")
        with open(path, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        return load("", environ={}, explicit_path=path)

    def problem(self, extension: str, data: str | bytes) -> str:
        """The one problem of a file, without its path, which must be there."""
        error = self.assertRaises(ConfigurationError, self.load, extension, data)
        path = os.path.join(self.directory, f"config.{extension}")
        self.assertEqual(len(error.problems), 1, error.problems)
        self.assertTrue(error.problems[0].startswith(f"{path}: "), error.problems)
        return error.problems[0].removeprefix(f"{path}: ")


class EveryFormatTests(Files):
    def test_same_configuration(self) -> None:
        for extension in EXTENSIONS:
            loaded = self.load(extension, write(extension, SAMPLE))
            self.assertEqual(loaded.config, EXPECTED, extension)
            self.assertEqual(loaded.warnings, ())

    @hypothesis_settings(deadline=None, max_examples=60)
    @given(given=settings())
    def test_any_configuration(self, given: dict[str, object]) -> None:
        expected = self.load("json", write("json", given)).config
        for extension in ("toml", "yaml", "hcl", "properties", "env", "ini"):
            loaded = self.load(extension, write(extension, given))
            self.assertEqual(loaded.config, expected, extension)
        environ = {variable(name): text_of(value) for name, value in given.items()}
        self.assertEqual(load("/nowhere", "no-such-name", environ=environ).config, expected)

    def test_empty_file_is_the_defaults(self) -> None:
        for extension in EXTENSIONS:
            text = "{}" if extension == "json" else ""
            self.assertEqual(self.load(extension, text).config, Config(), extension)

    def test_byte_order_mark(self) -> None:
        for extension in EXTENSIONS:
            loaded = self.load(extension, b"\xef\xbb\xbf" + write(extension, SAMPLE).encode())
            self.assertEqual((loaded.config, loaded.warnings), (EXPECTED, ()), extension)

    def test_not_utf8(self) -> None:
        for extension in EXTENSIONS:
            self.assertEqual(self.problem(extension, b"\n\n\xff\n"), "line 3: not UTF-8 text")

    def test_keys_in_any_case(self) -> None:
        for extension in EXTENSIONS:
            text = write(extension, {"SFTPD.Bind_PORT": 5, "SFTPD.ACTIONS.Command": "/x"})
            if extension != "env":  # the writer of variables is upper case anyway
                self.assertNotIn("sftpd", text)
            config = self.load(extension, text).config
            self.assertEqual((config.sftpd.bind_port, config.sftpd.actions.command), (5, "/x"), extension)

    def test_only_the_library_of_the_format_is_imported(self) -> None:
        libraries = {"yaml", "hcl2", "lark", "javaproperties", "dotenv", "tomllib", "configparser"}
        program = (
            "import sys; from sftpgo.config.load import load\n"
            "load('', environ={}, explicit_path=sys.argv[1])\n"
            f"print(sorted({libraries!r} & set(sys.modules)))"
        )
        used = {"json": [], "ini": ["configparser"], "yaml": ["yaml"], "properties": ["javaproperties"]}
        for extension, expected in used.items():
            self.load(extension, write(extension, SAMPLE))
            path = os.path.join(self.directory, f"config.{extension}")
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            output = subprocess.run(
                [sys.executable, "-c", program, path], env=environment, check=True, capture_output=True, text=True
            ).stdout
            self.assertEqual(output.strip(), repr(expected), extension)


class BrokenFileTests(Files):
    def test_syntax(self) -> None:
        for extension, text, problem in [
            ("json", '{\n "sftpd": {"bind_port": }\n}', "line 2, column 25: not JSON: Expecting value"),
            ("json", '{"a": ' + "9" * 5000 + "}", None),
            ("json", "[" * 200_000, "nested too deeply"),
            ("json", "", "line 1, column 1: not JSON: Expecting value"),
            ("toml", "[sftpd]\nbind_port = 0022\n", None),
            ("toml", "[sftpd]\numask = \n", "not TOML: Invalid value (at line 2, column 9)"),
            ("yaml", "sftpd:\n  - a\n b: c\n", None),
            ("yaml", "a: !!python/object:os.system x", None),
            ("yaml", "a: 2020-99-99", None),
            ("yaml", "a: b\n\x00", "line 2: not YAML: special characters are not allowed"),
            ("properties", "a = b\n\n# c\nd = \\u12\n", "line 4: not a properties file: Invalid \\u escape"),
            ("env", "A__B=1\nthis is wrong\n", "line 2: expected NAME=VALUE"),
            ("env", "A__B=1\nNAME\n", "line 2: expected NAME=VALUE"),
            ("ini", "[sftpd]\nwrong\n", "line 2: expected [section] or key = value"),
            ("ini", "bind_port = 3\n", "line 1: expected a [section] before the first key"),
            ("hcl", "sftpd {\n  bind_port = \n}\n", "line 2, column 15: not HCL"),
            ("hcl", "sftpd {", None),
        ]:
            found = self.problem(extension, text)
            if problem is None:
                self.assertIn("not " + extension.upper(), found)
            else:
                self.assertTrue(found.startswith(problem), found)

    def test_no_content_is_shown(self) -> None:
        for extension, text in [
            ("json", '{"data_provider": {"password": "hunter2'),
            ("toml", "[data_provider]\npassword = hunter2"),
            ("yaml", "data_provider:\n  password: {hunter2: ]"),
            ("yaml", "data_provider:\n  password: *hunter2"),
            ("yaml", "data_provider:\n  password: !hunter2 x"),
            ("env", "hunter2 hunter2"),
            ("ini", "[data_provider]\nhunter2"),
            ("hcl", "data_provider { password = hunter2 hunter2 }"),
            ("hcl", "data_provider { password = hunter2 }"),
        ]:
            self.assertNotIn("hunter2", self.problem(extension, text))

    def test_not_sections_at_the_top(self) -> None:
        for extension, text in [("json", "[]"), ("json", '"x"'), ("yaml", "- a"), ("yaml", "just text")]:
            self.assertEqual(self.problem(extension, text), "expected sections of keys at the top of the file")

    def test_key_given_twice(self) -> None:
        for extension, text, problem in [
            ("json", '{"httpd": {"bind_port": 1, "bind_port": 2}}',
             "line 1, column 28: the key 'bind_port' is given twice in one section"),
            ("json", '{"a": [{"b": "}\\\\"}, {"b": "\\": "}],\n "b": 1, "c": NaN,\n  "\\u0061" : 2}',
             "line 3, column 3: the key 'a' is given twice in one section"),
            ("json", '{"httpd": {},\n "HTTPD": {}}', "httpd: given twice, as 'httpd' and as 'HTTPD', line 2"),
            ("yaml", "httpd:\n  bind_port: 1\nHTTPD:\n  bind_port: 2\n",
             "httpd: given twice, as 'httpd' and as 'HTTPD', line 3"),
            ("toml", "[httpd]\nbind_port = 1\n[x]\na = [\n  1,\n]\n[ HTTPD ]\nbind_port = 2\n",
             "httpd: given twice, as 'httpd' and as 'HTTPD', line 7"),
            ("hcl", "httpd {\n  bind_port = 1\n}\nHTTPD {\n  bind_port = 2\n}\n",
             "httpd: given twice, as 'httpd' and as 'HTTPD', line 4"),
            ("hcl", "httpd = {\n  bind_port = 1\n  Bind_Port = 2\n}\n",
             "httpd.bind_port: given twice, as 'bind_port' and as 'Bind_Port', line 3"),
            ("json", '{"sftpd": {"keys": [{"private_key": "a", "Private_Key": "b"}]}}',
             "sftpd.keys[0].private_key: given twice, as 'private_key' and as 'Private_Key', line 1"),
            ("toml", "[httpd]\nbind_port = 1\nBIND_PORT = 1\n",
             "httpd.bind_port: given twice, as 'bind_port' and as 'BIND_PORT', line 3"),
            ("toml", "[httpd]\nbind_port = 1\nbind_port = 2\n", "line 3: the key 'bind_port' is given twice"),
            ("toml", "[httpd]\na = 1\r\n\n[ httpd ]\n", "line 4: the key 'httpd' is given twice"),
            ("toml", "a.'b c' = 1\na.'b c' = [\n  1, # ]\n  2,\n]", "line 2: the key \"a.'b c'\" is given twice"),
            ("toml", "a = 1\n[[a]]\n", "line 2: the key 'a' is given twice"),
            ("yaml", "httpd:\n  bind_port: 1\n  bind_port: 1\n",
             "line 3, column 3: the key 'bind_port' is given twice in one section"),
            ("hcl", "httpd {\n  bind_port = 1\n  bind_port = 1\n}\n",
             "line 3: the key 'bind_port' is given twice in one section"),
            ("hcl", "httpd {\n  bind_port = 1\n}\nhttpd {\n  Bind_port = 1\n}\n", "httpd.bind_port: given twice"),
            ("ini", "[httpd]\nbind_port = 1\nbind_port = 1\n",
             "line 3: the key 'bind_port' is given twice in one section"),
            ("ini", "[httpd]\nbind_port = 1\n[httpd]\n", "line 3: the section 'httpd' is given twice"),
        ]:  # fmt: skip
            self.assertEqual(self.problem(extension, text), problem)

    def test_key_given_twice_in_lines(self) -> None:
        path = os.path.join(self.directory, "config")
        for extension, text in [
            ("properties", "httpd.bind_port = 1\n\nHTTPD.bind_port = 1\n"),
            ("env", "HTTPD__BIND_PORT=1\n\nSFTPGO_httpd__bind_port=1\n"),
        ]:
            problem = self.problem(extension, text)
            self.assertTrue(problem.startswith("line 3: "), problem)
            self.assertTrue(problem.lower().endswith(
                f"httpd.bind_port: given twice, first at {path}.{extension}: line 1".lower()), problem)  # fmt: skip

    def test_key_given_twice_in_another_case_in_ini(self) -> None:
        path = os.path.join(self.directory, "config.ini")
        text = "[httpd]\nx = a\n  bind_port = b\n# x\nbind_port = 1\n[x]\nbind_port = 1\n[HTTPD]\nbind_port : 2\n"
        self.assertEqual(self.problem("ini", text), f"line 9: HTTPD.bind_port: given twice, first at {path}: line 5")

    def test_wrong_value_names_the_line_where_the_format_knows_it(self) -> None:
        self.assertEqual(
            self.problem("env", "# ports\nHTTPD__BIND_PORT=x\n"),
            "line 2: httpd.bind_port: expected an integer from 0 to 65535, found 'x'",
        )


class YamlTests(Files):
    def test_merge_keys_may_be_overridden(self) -> None:
        text = "base: &base {bind_port: 1, bind_address: '::1'}\nhttpd:\n  <<: *base\n  bind_port: 2\n"
        config = self.load("yaml", text).config
        self.assertEqual((config.httpd.bind_port, config.httpd.bind_address), (2, "::1"))


class HclTests(Files):
    def test_assignment_form(self) -> None:
        text = 'sftpd = {\n bind_port = 7\n "umask" = "0077"\n actions = { execute_on = ["upload"] }\n}\n'
        config = self.load("hcl", text).config
        self.assertEqual(
            config.sftpd, SFTPD(bind_port=7, umask="0077", actions=TransferActions(execute_on=("upload",)))
        )

    def test_blocks_of_one_name_are_one_section(self) -> None:
        keys = 'sftpd {\n keys {\n private_key = "a"\n }\n keys {\n private_key = "b"\n }\n}\n'
        text = keys + 'sftpd {\n umask = "0077"\n}\n'
        config = self.load("hcl", text).config
        self.assertEqual(config.sftpd, SFTPD(keys=(HostKey("a"), HostKey("b")), umask="0077"))

    def test_text(self) -> None:
        for source, text in [
            (r'"a\tb\"c\\n\u00e9\U0001F600"', 'a\tb"c\\né\U0001f600'),
            ('"$${x} %%{y} $ % $$"', "${x} %{y} $ % $$"),
            ('<<END\nfirst "line"\nsecond \\n\nEND', 'first "line"\nsecond \\n'),
        ]:
            config = self.load("hcl", f"data_provider {{\n password = {source}\n}}\n").config
            self.assertEqual(config.data_provider.password, text)

    def test_nothing_is_evaluated(self) -> None:
        expression = "data_provider.password is an expression; only literal values are read, and text stands in quotes"
        template = "data_provider.password holds a template; write $${ or %%{ for the characters themselves"
        for source, problem in [
            ("upper(x)", expression),
            ("env", expression),
            ("1 + 2", expression),
            ('"a${b}"', template),
            ('"a%{if b}c%{endif}"', template),
        ]:
            self.assertEqual(self.problem("hcl", f"data_provider {{\n password = {source}\n}}\n"), problem)


class IniTests(Files):
    def test_nothing_is_expanded_and_default_is_a_plain_section(self) -> None:
        loaded = self.load("ini", "[DEFAULT]\nbind_port = 1\n[data_provider]\npassword = %(x)s'\n")
        self.assertEqual(loaded.config, Config(data_provider=DataProvider(password="%(x)s'")))
        self.assertEqual(len(loaded.warnings), 1)


class ParseTests(SynchronousTestCase):
    def test_every_module_answers_rubbish_with_malformed_or_content(self) -> None:
        rubbish = [bytes(range(1, 128)), b"\x00", b"}{", b"= = =", b"[[", b"%", b"\r\n\r\n", b'"', b"a: b: c", b"\\"]
        for extension in MODULES:
            for data in rubbish:
                try:
                    parse(extension, data)
                except Malformed as error:
                    self.assertNotIn("\n", str(error))
