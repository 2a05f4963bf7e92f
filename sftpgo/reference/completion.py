"""The command C{sftpgo completion}: completion scripts for shells, made from the commands' options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Final

from sftpgo.commandline import Parser
from sftpgo.reference.commands import Command, Option, program

SHELLS: Final = ("bash", "zsh", "fish")

_BASH = """\
# Completion for sftpgo, made by: sftpgo completion {shell}
_sftpgo() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" place="" words="" kind=-W word
  for word in "${{COMP_WORDS[@]:1:$((COMP_CWORD-1))}}"; do
    case "$place/$word" in
      {places}) place="${{place:+$place/}}$word" ;;
    esac
  done
  case "$place $previous" in
{values}    *)
      case "$place" in
{commands}      esac ;;
  esac
  COMPREPLY=()
  if [ "$kind" != -W ]; then compopt -o filenames 2>/dev/null; set -- "$kind"; else set -- -W "$words"; fi
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen "$@" -- "$current")
}}
complete -F _sftpgo sftpgo
"""

_ZSH_BEFORE = """\
#compdef sftpgo
autoload -U +X bashcompinit && bashcompinit
"""
_ZSH_AFTER = """\
# Loaded by the first completion itself, which is still to be answered.
if [ "${funcstack[1]-}" = _sftpgo ]; then _bash_complete -F _sftpgo; fi
"""


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    print(script(flags().parse_args(words).shell), end="")
    return 0


def flags() -> argparse.ArgumentParser:
    """The command's flags."""
    about = (
        "Prints a completion script, to be read by the shell when it starts, as in: source <(sftpgo completion bash)"
    )
    made = Parser(prog="sftpgo completion", description=about)
    made.add_argument("shell", choices=SHELLS)
    return made


def script(shell: str) -> str:
    """The script for one of L{SHELLS}."""
    top = program()
    if shell == "fish":
        return "\n".join(_fish(top)) + "\n"
    text = _bash(top, shell)
    return f"{_ZSH_BEFORE}{text}{_ZSH_AFTER}" if shell == "zsh" else text


def _places(command: Command, above: str = "") -> Iterator[tuple[str, Command]]:
    """Each command with the words that lead to it, slashes between; that of the program itself is empty."""
    yield above, command
    for one in command.commands:
        yield from _places(one, f"{above}/{one.name}".lstrip("/"))


def _words(command: Command) -> list[str]:
    words = [one.name for one in command.commands]
    words += [choice for argument in command.arguments for choice in _offered(argument.choices)]
    return words + [name for option in command.options for name in option.names]


def _bash(top: Command, shell: str) -> str:
    places = list(_places(top))
    paths = [place if "/" in place else "/" + place for place, _ in places if place]
    values = [
        f"    {'|'.join(_quoted(f'{place} {name}') for name in option.names)}) {_value(option)} ;;\n"
        for place, command in places
        for option in command.options
        if option.value
    ]
    commands = [f'        "{place}") words="{" ".join(_words(command))}" ;;\n' for place, command in places]
    return _BASH.format(shell=shell, places="|".join(paths), values="".join(values), commands="".join(commands))


def _value(option: Option) -> str:
    if option.takes:
        return "kind=-d" if option.takes == "directory" else "kind=-f"
    return f'words="{" ".join(_offered(option.choices))}"'


def _offered(choices: Sequence[str]) -> list[str]:
    """Those that a shell would not take for a pattern of file names."""
    return [choice for choice in choices if "*" not in choice]


def _quoted(text: str) -> str:
    return "'" + text + "'"


def _fish(top: Command) -> Iterator[str]:
    yield "# Completion for sftpgo, made by: sftpgo completion fish"
    yield "complete -c sftpgo -f"
    for place, command in _places(top):
        condition = _fish_condition(place, command)
        for one in command.commands:
            yield f"complete -c sftpgo -n {_fish_text(condition)} -a {one.name} -d {_fish_text(one.summary)}"
        for argument in command.arguments:
            if argument.choices:
                choices = _fish_text(" ".join(_offered(argument.choices)))
                yield f"complete -c sftpgo -n {_fish_text(condition)} -a {choices} -d {_fish_text(argument.text)}"
            else:
                yield f"complete -c sftpgo -n {_fish_text(condition)} -F"
        for option in command.options:
            yield f"complete -c sftpgo -n {_fish_text(condition)} {_fish_option(option)}"


def _fish_condition(place: str, command: Command) -> str:
    steps = [f"__fish_seen_subcommand_from {step}" for step in place.split("/") if step]
    if command.commands:
        steps.append("not __fish_seen_subcommand_from " + " ".join(one.name for one in command.commands))
    return "; and ".join(steps)


def _fish_option(option: Option) -> str:
    words = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.takes:
        words.append("-r -F" if option.takes == "file" else "-x -a '(__fish_complete_directories)'")
    elif option.value:
        words.append("-x" + (f" -a {_fish_text(' '.join(_offered(option.choices)))}" if option.choices else ""))
    return " ".join([*words, "-d", _fish_text(option.text)])


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
