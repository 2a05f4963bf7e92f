"""The command C{sftpgo initprovider}: bring the schema of the configured database up to date, and say what was done."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from sftpgo.commandline import Parser, configuration, parser, reasons
from sftpgo.config.load import Loaded
from sftpgo.dataprovider.backoff import DatabaseDown
from sftpgo.dataprovider.initialise import initialise
from sftpgo.errors import SFTPGoError

_ABOUT = """Applies the schema's scripts that the configured database lacks, each of them as a whole, and says which.
It may be run again at any time; a table of the original is brought up to date as it is."""
_STEP = 1.0


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = flags().parse_args(words)
    try:
        lines = _patiently(configuration(options), options.wait, time.sleep)
    except SFTPGoError as error:
        for line in reasons(error):
            print(f"sftpgo: {line}", file=sys.stderr)
        return 1
    for line in lines:
        print(line)
    return 0


def flags() -> Parser:
    """The command's flags."""
    return parser("initprovider", _ABOUT, os.environ)


def _patiently(loaded: Loaded, wait: float, sleep: Callable[[float], None]) -> Sequence[str]:
    """Try again while the database is down, for so many seconds."""
    tries = int(wait / _STEP)
    while True:
        try:
            return initialise(loaded.config.data_provider, loaded.config_dir)
        except DatabaseDown as error:
            if tries <= 0:
                raise
            if tries == int(wait / _STEP):
                print(f"sftpgo: {error}; waiting for it up to {wait:g} s", file=sys.stderr)
        tries -= 1
        sleep(_STEP)
