"""C{python -m sftpgo.reference}: write what is made from the program's options and keys below C{etc} of a checkout.

With C{--check} nothing is written: status 1 and a line for each file say what is not up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sftpgo.reference import completion, manpage, samples
from sftpgo.reference.commands import undescribed

FILES: Final[Mapping[str, Callable[[], str]]] = {
    "etc/sftpgo.yaml": samples.yaml,
    "etc/sftpgo.toml": samples.toml,
    "etc/man/sftpgo.1": manpage.commands_page,
    "etc/man/sftpgo.json.5": manpage.configuration_page,
    "etc/completions/sftpgo.bash": partial(completion.script, "bash"),
    "etc/completions/_sftpgo": partial(completion.script, "zsh"),
    "etc/completions/sftpgo.fish": partial(completion.script, "fish"),
}
"""What is made, by its path in the checkout."""


def stale(root: Path) -> list[str]:
    """A line for each thing that is not as the program's options and keys would have it."""
    lines = [
        f"{path} is not up to date: make generated"
        for path, made in FILES.items()
        if not (root / path).is_file() or (root / path).read_text("utf-8") != made()
    ]
    return lines + [
        f"the command {name} has no entry in sftpgo/reference/commands.py, which says where its options are"
        for name in undescribed()
    ]


def write(root: Path) -> None:
    """Bring all files up to date."""
    for path, made in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made(), "utf-8")


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sftpgo.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and say what is not up to date")
    root = Path(__file__).resolve().parents[2]
    if not parser.parse_args(words).check:
        write(root)
    lines = stale(root)
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
