"""What the commands beside C{serve} share: how they read their flags, and find the configuration."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from sftpgo.config.load import Loaded, load
from sftpgo.errors import ConfigurationError, SFTPGoError
from sftpgo.printable import printable


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the flags in one line, and exits with status 1 as every command does."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        print(f"sftpgo: {printable(message)}", file=sys.stderr)
        sys.exit(1)


def parser(command: str, about: str, environ: Mapping[str, str]) -> Parser:
    """A parser with the flags that name the configuration."""
    made = Parser(prog=f"sftpgo {command}", description=about)
    made.add_argument(
        "-c",
        "--config-dir",
        default=environ.get("SFTPGO_CONFIG_DIR", "."),
        help="directory of the configuration and the database [SFTPGO_CONFIG_DIR]",
    )
    made.add_argument(
        "-f",
        "--config-file",
        default=environ.get("SFTPGO_CONFIG_FILE", "sftpgo"),
        help="name of the configuration file, without extension [SFTPGO_CONFIG_FILE]",
    )
    made.add_argument("--config", help="path of the configuration file; its directory is the configuration's then")
    made.add_argument(
        "-w",
        "--wait",
        type=seconds,
        default=environ.get("SFTPGO_WAIT", "0"),
        help="seconds to wait for a database that is not there yet [SFTPGO_WAIT]",
    )
    return made


def configuration(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The configuration the flags name; raises L{ConfigurationError}."""
    return load(
        options.config_dir,
        options.config_file,
        environ=environ,
        home=environ.get("HOME"),
        explicit_path=options.config,
    )


def warned(loaded: Loaded) -> Loaded:
    """The same, after its warnings were told: a configuration that was not found would be taken for the server's."""
    for warning in loaded.warnings:
        print(f"sftpgo: warning: {warning}", file=sys.stderr)
    return loaded


def seconds(text: str) -> int:
    """A number of seconds, for a flag."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return int(text)


def reasons(error: SFTPGoError) -> Sequence[str]:
    """The lines that tell of an error."""
    return error.problems if isinstance(error, ConfigurationError) else (str(error),)
