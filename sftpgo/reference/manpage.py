"""The manual pages sftpgo(1), of the program, and sftpgo.json(5), of its configuration, in the macros of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sftpgo.reference.commands import Argument, Command, Option, program
from sftpgo.reference.samples import literal, sections

_MADE: Final = ".\\\" Made from the program's own options and keys by: make generated"
_STATUS: Final = (
    ("0", "Done; for explain: it is allowed; for doctor: nothing has to be mended."),
    ("1", "It could not be done, and standard error says why; for doctor: something has to be mended."),
    ("2", "For explain: it is not allowed. For rest: wrong usage."),
    ("3", "For rest: the server cannot be reached."),
)
_SIGNALS: Final = (
    (
        "SIGTERM, SIGINT",
        "End: nobody new is let in; running transfers get the seconds of sftpd.grace_time. A second one ends at once.",
    ),
    ("SIGUSR1", "Reopen the log file, after another program has moved it away."),
    (
        "SIGHUP",
        "Load the configuration and all it names again, and reopen the log; what cannot be used changes nothing.",
    ),
)
_VARIABLES: Final = (
    ("SFTPGO_CONFIG_DIR, SFTPGO_CONFIG_FILE, ...", "Take the place of the flag of that name, which goes before them."),
    (
        "SFTPGO_SECTION__KEY",
        "Any key of the configuration, as SFTPGO_SFTPD__BIND_PORT; goes before the file. Lists have commas between.",
    ),
    ("SFTPGO_PORTABLE_PASSWORD", "The password of portable mode, which other users do not see as they do a flag."),
)
_FILES: Final = (
    (
        "/etc/sftpgo/sftpgo.json",
        "The configuration, see sftpgo.json(5). Also looked for in the configuration directory.",
    ),
    ("id_rsa, id_ecdsa, id_ed25519", "Host keys in the configuration directory, made when no others are configured."),
    ("sftpgo.db", "The users, in the configuration directory, with the default driver."),
    ("sftpgo.log", "The log, a JSON object a line."),
)


def commands_page() -> str:
    """sftpgo(1)."""
    top = program()
    lines = [_MADE, '.TH SFTPGO 1 "" "sftpgo" "User Commands"', ".SH NAME", _text(f"sftpgo - {top.summary}")]
    lines += [".SH SYNOPSIS"]
    for command in top.commands:
        lines += _synopsis(command, "sftpgo")
    lines += [".SH COMMANDS"]
    for command in top.commands:
        lines += _command(command)
    for title, pairs in (
        ("EXIT STATUS", _STATUS),
        ("SIGNALS", _SIGNALS),
        ("ENVIRONMENT", _VARIABLES),
        ("FILES", _FILES),
    ):
        lines += [f".SH {title}", *_pairs(pairs)]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR sftpgo.json (5),", ".BR sftp (1),", ".BR sshd (8)"]) + "\n"


def configuration_page() -> str:
    """sftpgo.json(5)."""
    lines = [_MADE, '.TH SFTPGO.JSON 5 "" "sftpgo" "File Formats"', ".SH NAME"]
    lines += [_text("sftpgo.json - configuration of the sftpgo server"), ".SH DESCRIPTION"]
    lines.append(
        _text(
            "The server reads one file with sections of keys. The same keys may stand in JSON, TOML, YAML, HCL, Java"
            " properties, environment or INI files; the name's extension says which. Every key may be left out, and"
            " has its default then. Relative paths start from the configuration directory. A key may also be given by"
            " an environment variable, which goes before the file: sftpd.bind_port by SFTPGO_SFTPD__BIND_PORT."
        )
    )
    for section, keys in sections():
        lines.append(f".SH SECTION {_text(section)}")
        for key in keys:
            what = _text(f"{key.doc} Default: {literal(key.default)}. Expected: {key.rule.expected}.")
            lines += [".TP", f".B {_text(key.path[-1])}", what]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR sftpgo (1)"]) + "\n"


def _synopsis(command: Command, above: str) -> Iterator[str]:
    words = [f"\\fB{_text(above)} {_text(command.name)}\\fR"]
    if command.options:
        words.append("[\\fIoptions\\fR]")
    if command.commands:
        words.append("\\fIcommand\\fR")
    yield " ".join([*words, *map(_argument, command.arguments)])
    yield ".br"


def _argument(argument: Argument) -> str:
    name = f"\\fI{_text(argument.name)}\\fR"
    return f"[{name}]" if argument.optional else name


def _command(command: Command, above: str = "") -> Iterator[str]:
    name = f"{above} {command.name}".strip()
    yield f".SS {_text(name)}"
    yield _text(command.summary.rstrip(".") + ".")
    for paragraph in filter(None, command.text.split("\n\n")):
        if paragraph.rstrip(".") != command.summary.rstrip("."):
            yield from (".PP", _text(paragraph))
    for argument in command.arguments:
        yield from (".TP", f".I {_text(argument.name)}", _text(_with_choices(argument)) or "\\&")
    for option in command.options:
        value = f" \\fI{_text(option.value)}\\fR" if option.value else ""
        names = ", ".join(f"\\fB{_text(each)}\\fR" for each in option.names)
        yield from (".TP", f"{names}{value}", _text(_with_choices(option)) or "\\&")
    for one in command.commands:
        yield from _command(one, name)


def _with_choices(what: Option | Argument) -> str:
    text = what.text[:1].upper() + what.text[1:]
    if not what.choices or all(choice in what.text for choice in what.choices):
        return text
    return f"{text}; one of {', '.join(what.choices)}".lstrip("; ")


def _pairs(pairs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, text in pairs:
        yield from (".TP", f".B {_text(name)}", _text(text))


def _text(text: str) -> str:
    """Text as roff takes it: dashes that can be copied, and no line that is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("'", "\\(aq")
    return re.sub(r"^\.", r"\\&.", " ".join(escaped.split()))
