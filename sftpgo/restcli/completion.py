"""Completion scripts for shells, made from the parser."""

from __future__ import annotations

import argparse
from collections.abc import Mapping


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for C{bash}, C{zsh} or C{fish}."""
    commands = subcommands(parser)
    if shell == "fish":
        return _fish(parser, commands)
    text = _bash(parser, commands)
    return f"autoload -U +X bashcompinit && bashcompinit\n{text}" if shell == "zsh" else text


def subcommands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """Name -> parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            choices: Mapping[str, argparse.ArgumentParser] = action.choices
            return choices
    return {}


def _words(parser: argparse.ArgumentParser) -> list[str]:
    """Options, and the choices of positional arguments."""
    words: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        words += action.option_strings or [str(choice) for choice in action.choices or ()]
    return words


def _bash(parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    cases = "".join(f'    {name}) words="{" ".join(_words(one))}" ;;\n' for name, one in commands.items())
    return f"""\
_sftpgo_rest() {{
  local words word command=""
  [ "${{COMP_WORDS[1]}}" = rest ] || return
  for word in "${{COMP_WORDS[@]:2:COMP_CWORD-2}}"; do
    case " {" ".join(commands)} " in *" $word "*) command=$word ;; esac
  done
  case "$command" in
{cases}    *) words="{" ".join([*_words(parser), *commands])}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _sftpgo_rest sftpgo
"""


def _fish(parser: argparse.ArgumentParser, commands: Mapping[str, argparse.ArgumentParser]) -> str:
    inside = "__fish_seen_subcommand_from rest"
    names = " ".join(commands)
    before = f"{inside}; and not __fish_seen_subcommand_from {names}"
    lines = [f"complete -c sftpgo -f -n '{before}' -a '{' '.join([*_words(parser), *commands])}'"]
    for name, one in commands.items():
        words = " ".join(_words(one))
        lines.append(f"complete -c sftpgo -n '{inside}; and __fish_seen_subcommand_from {name}' -a '{words}'")
    return "\n".join(lines) + "\n"
