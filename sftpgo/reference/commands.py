"""Every command with its options, in one form, whichever library reads them."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, Final

import attrs
from twisted.python import usage
from twisted.python.reflect import accumulateClassList, prefixedMethodNames

from sftpgo import cli

_SOURCES: Final[Mapping[str, Callable[[], Any]]] = {
    "serve": lambda: _from("sftpgo.tap").Options({}),
    "portable": lambda: _from("sftpgo.portable.options").flags(),
    "initprovider": lambda: _from("sftpgo.initprovider").flags(),
    "import": lambda: _from("sftpgo.importing.command").flags(),
    "rest": lambda: _from("sftpgo.restcli.arguments").parser({}),
    "explain": lambda: _from("sftpgo.explaincommand").flags(),
    "check-config": lambda: _from("sftpgo.checkconfig").flags(),
    "doctor": lambda: _from("sftpgo.doctor.command").flags(),
    "service": lambda: _from("sftpgo.servicecommand.command").flags(),
    "completion": lambda: _from("sftpgo.reference.completion").flags(),
}
"""Where the options of each command are: an L{argparse.ArgumentParser} or an L{usage.Options}."""

_DIRECTORY_OPTIONS: Final = ("--config-dir", "--directory", "--root")
_FILE_OPTIONS: Final = ("--config", "--public-key", "--config-file", "--log-file-path", "--ca-file", "--shadow")


@attrs.frozen
class Option:
    """One option.

    @ivar names: as typed, the short ones first.
    @ivar value: what stands for its value in a synopsis; empty: it takes none.
    @ivar choices: the values there are; empty: any.
    @ivar takes: C{file} or C{directory} where the value is the path of one, else empty.
    """

    names: tuple[str, ...]
    value: str = ""
    text: str = ""
    choices: tuple[str, ...] = ()
    takes: str = ""


@attrs.frozen
class Argument:
    """One word without a dash; C{choices} as for an L{Option}."""

    name: str
    text: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = False


@attrs.frozen
class Command:
    """A command, with the commands in it.

    @ivar summary: one line.
    @ivar text: paragraphs.
    """

    name: str
    summary: str
    text: str = ""
    options: tuple[Option, ...] = ()
    arguments: tuple[Argument, ...] = ()
    commands: tuple[Command, ...] = ()


def program() -> Command:
    """The whole program."""
    commands = tuple(_described(name, summary) for name, summary in cli.summaries().items())
    options = (Option(("-h", "--help"), text="Show the commands"), Option(("-v", "--version"), text="Show the version"))
    return Command("sftpgo", "SFTP, SCP and SSH file server with virtual accounts", "", options, (), commands)


def undescribed() -> list[str]:
    """The commands whose options nobody has named here."""
    return [name for name in cli.summaries() if name not in _SOURCES]


def _from(module: str) -> Any:
    return import_module(module)


def _described(name: str, summary: str) -> Command:
    source = _SOURCES[name]() if name in _SOURCES else None
    if isinstance(source, usage.Options):
        return Command(
            name,
            summary,
            " ".join(str(getattr(source, "longdesc", None) or "").split()),
            tuple(_usage_options(type(source))),
        )
    if isinstance(source, argparse.ArgumentParser):
        return _from_parser(source, name, summary)
    return Command(name, summary)


def _from_parser(parser: argparse.ArgumentParser, name: str, summary: str) -> Command:
    options, arguments, commands = [], [], []
    formatter = argparse.HelpFormatter(parser.prog)
    for action in parser._actions:
        text = _help(formatter, action)
        choices = tuple(map(str, action.choices or ()))
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            commands = [_from_parser(one, key, helps.get(key, "")) for key, one in action.choices.items()]
        elif action.option_strings:
            names = tuple(sorted(action.option_strings, key=lambda word: word.startswith("--")))
            options.append(Option(names, "" if action.nargs == 0 else _metavar(action), text, choices, _takes(names)))
        else:
            arguments.append(Argument(_metavar(action).lower(), text, choices, action.nargs in ("?", "*")))
    about = " ".join((parser.description or "").split()), " ".join((parser.epilog or "").split())
    paragraphs = "\n\n".join(part for part in about if part)
    return Command(name, summary, paragraphs, tuple(options), tuple(arguments), tuple(commands))


def _help(formatter: argparse.HelpFormatter, action: argparse.Action) -> str:
    text = formatter._expand_help(action) if action.help else ""
    if isinstance(action, argparse.BooleanOptionalAction):
        # Before Python 3.13 it adds this by itself; what is made must not depend on who makes it.
        text = text.removesuffix(f" (default: {action.default})")
    return text


def _metavar(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    return metavar or action.dest.upper().replace("_", "-")


def _takes(names: tuple[str, ...]) -> str:
    if any(name in _DIRECTORY_OPTIONS for name in names):
        return "directory"
    return "file" if any(name in _FILE_OPTIONS for name in names) else ""


def _usage_options(options: type[usage.Options]) -> Iterator[Option]:
    parameters: list[Any] = []
    flags: list[Any] = []
    accumulateClassList(options, "optParameters", parameters)
    accumulateClassList(options, "optFlags", flags)
    for long, short, *rest in parameters:
        names = _names(long, short)
        yield Option(names, long.upper(), rest[1] if len(rest) > 1 else "", (), _takes(names))
    for long, short, *doc in flags:
        yield Option(_names(long, short), text=doc[0] if doc else "")
    for name in prefixedMethodNames(options, "opt_"):
        method = getattr(options, f"opt_{name}")
        if len(name) > 1 and name not in ("version",):
            value = name.upper() if len(inspect.signature(method).parameters) > 1 else ""
            text = " ".join((inspect.getdoc(method) or "").split())
            yield Option(_names(name.replace("_", "-"), None), value, text)


def _names(long: str, short: str | None) -> tuple[str, ...]:
    return (f"-{short}", f"--{long}") if short else (f"--{long}",)
