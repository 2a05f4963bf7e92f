"""The same settings written in every format, and settings made up by hypothesis."""

from __future__ import annotations

import json

import javaproperties
from hypothesis import strategies as st

from sftpgo.config import rules
from sftpgo.config.bindings import BindingRule, OneOrMore
from sftpgo.config.formats import MODULES
from sftpgo.config.keys import walk
from sftpgo.config.model import Config
from sftpgo.config.rules import Boolean, Integer, ListOf, Text

KEYS = {key.name: key for key in walk(Config)}
EXTENSIONS = tuple(MODULES)

SAMPLE = {
    "sftpd.bind_port": 2222,
    "sftpd.bind_address": "::1",
    "sftpd.umask": "0027",
    "sftpd.max_auth_tries": -1,
    "sftpd.enable_scp": True,
    "sftpd.keys": [{"private_key": "id_rsa"}, {"private_key": "keys/é key"}],
    "sftpd.actions.execute_on": ["upload", "ssh_cmd"],
    "sftpd.actions.command": "/usr/bin/notify",
    "sftpd.actions.http_notification_url": "https://example.com:8443/hook?a=b&c=d",
    "sftpd.enabled_ssh_commands": ["scp"],
    "sftpd.kex_algorithms": [],
    "data_provider.driver": "postgresql",
    "data_provider.password": 'p\'w "${x}" %{y} \\n #;:=é',
    "data_provider.manage_users": 0,
    "data_provider.actions.execute_on": ["add"],
    "httpd.bind_port": 0,
}

_LETTERS = "ab zAZ09.-_/\\#;:=!'\"${}%&?*@~é漢\U0001f600[]()<>|^`+"
_words = st.text(_LETTERS, min_size=0, max_size=12)
_names = st.text(_LETTERS, min_size=1, max_size=12).filter(lambda text: text == text.strip() != "")
_TEXTS = {
    rules.ADDRESS: st.sampled_from(["", "127.0.0.1", "::", "fe80::1%eth0", "localhost", "a-b.example.org"]),
    rules.HOST: st.sampled_from(["localhost", "127.0.0.1", "[::1]", "sftp.example"]),
    rules.NETWORK: st.sampled_from(["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"]),
    rules.URL: st.sampled_from(["", "http://a/b?c=d&e=%20", "https://user:pw@example.org:1/"]),
    rules.LINE: _words,
    rules.SECRET: _words,
    rules.PATH: _names,
    rules.OPTIONAL_PATH: _words,
    rules.OPTIONAL_ABSOLUTE_PATH: _words.map("/".__add__) | st.just(""),
    rules.OCTAL_MODE: st.integers(0, 0o777).map(lambda mode: f"{mode:04o}"),
    rules.IDENTIFIER: st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,62}", fullmatch=True),
    rules.ALGORITHM: st.sampled_from(["aes128-ctr", "curve25519-sha256@libssh.org"]),
    rules.SSH_BANNER: st.sampled_from(["", "SFTP_1.0", "x y; z=#1"]),
}


_HOSTS = st.sampled_from(["", "127.0.0.1", "2001:db8::1", "localhost"])
_BINDINGS = st.builds(lambda address, port: {"address": address, "port": port}, _HOSTS, st.integers(0, 65535))


def values(rule: rules.Rule[object]) -> st.SearchStrategy[object]:
    """Values that a rule accepts, in the form that a file of types holds them."""
    match rule:
        case Boolean() | Integer():
            return st.booleans() if isinstance(rule, Boolean) else st.integers(rule.low, rule.high)
        case OneOrMore():
            return values(rule.item) | st.lists(values(rule.item), min_size=2, max_size=3)
        case ListOf():
            return st.lists(values(rule.item), max_size=3)
        case Text() if rule in _TEXTS:
            return _TEXTS[rule]
        case Text():
            return st.sampled_from(rule.expected.removeprefix("one of ").split(", "))
    return _BINDINGS if isinstance(rule, BindingRule) else _names.map(lambda path: {"private_key": path})


def settings() -> st.SearchStrategy[dict[str, object]]:
    """Settings by dotted name; a file store always has its file, and PROXY headers have somebody to send them."""
    needed = {
        "data_provider.name": _names,
        "sftpd.proxy_allowed": st.lists(values(rules.NETWORK), min_size=1, max_size=3),
    }
    optional = {name: values(key.rule) for name, key in KEYS.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=optional)


def nested(given: dict[str, object]) -> dict[str, dict[str, object]]:
    """Settings as sections."""
    root: dict = {}
    for name, value in given.items():
        section = root
        *above, last = name.split(".")
        for part in above:
            section = section.setdefault(part, {})
        section[last] = value
    return root


def text_of(value: object) -> str:
    """A value in a format that knows only text."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(text_of(item) for item in value)
        case {"private_key": path}:
            return path
        case {"address": address, "port": port}:
            return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return str(value)


def write(extension: str, given: dict[str, object]) -> str:
    """A whole file."""
    return {
        "jsonfile": lambda: json.dumps(nested(given)),
        "tomlfile": lambda: "".join(f"{name} = {_inline(value)}\n" for name, value in given.items()),
        "yamlfile": lambda: json.dumps(nested(given), indent=1, ensure_ascii=False),
        "propertiesfile": lambda: javaproperties.dumps({name: text_of(value) for name, value in given.items()}),
        "hclfile": lambda: _hcl_blocks(nested(given)),
        "envfile": lambda: "".join(f"{variable(name)}={_shell(text_of(value))}\n" for name, value in given.items()),
        "inifile": lambda: _ini(given),
    }[MODULES[extension]]()


def variable(name: str) -> str:
    """The name of the environment variable of a key."""
    return "SFTPGO_" + name.replace(".", "__").upper()


def _shell(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _ini(given: dict[str, object]) -> str:
    sections: dict[str, list[str]] = {}
    for name, value in given.items():
        section, _, key = name.rpartition(".")
        sections.setdefault(section, []).append(f'{key} = "{text_of(value)}"')
    return "\n".join(f"[{section}]\n" + "\n".join(lines) for section, lines in sections.items())


def _inline(value: object) -> str:
    """A value in TOML and in HCL: as in JSON but for records and, in HCL, templates."""
    match value:
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{name} = {_inline(item)}" for name, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def hcl_value(value: object) -> str:
    """Escapes of the characters, because python-hcl2 takes a C{$${} only where no C{$} or escape comes before it."""
    return _inline(value).replace("${", "\\u0024{").replace("%{", "\\u0025{")


def _hcl_blocks(section: dict, indent: str = "") -> str:
    lines = []
    for name, value in section.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{name} {{\n{_hcl_blocks(value, indent + '  ')}{indent}}}\n")
        else:
            lines.append(f"{indent}{name} = {hcl_value(value)}\n")
    return "".join(lines)
