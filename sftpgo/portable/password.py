"""Where the password of portable mode comes from, in ways that do not show it in the list of processes."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from sftpgo.domain.validation import MAX_PASSWORD_LENGTH
from sftpgo.errors import StartupError

VARIABLE: Final = "SFTPGO_PORTABLE_PASSWORD"

_STANDARD_INPUT: Final = "-"


def given_password(word: str | None, path: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """The password and the flag or variable it is from; an empty password when none is given.

    @param word: of C{-p}; None when it is not given.
    @param path: of C{--password-file}; None when it is not given.
    @raise StartupError: both are given, or there is no password to be read.
    """
    if word is not None and path is not None:
        raise StartupError("-p, --password-file: only one of them can be given")
    if path is not None:
        return _read(path), "--password-file"
    if word is None and environ.get(VARIABLE):
        return environ[VARIABLE], VARIABLE
    return word or "", "-p"


def _read(path: str) -> str:
    """The first line, without its end."""
    shown = "standard input" if path == _STANDARD_INPUT else repr(path)
    try:
        if path == _STANDARD_INPUT:
            password = _typed(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                password = _line(file)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or "it ends there"
        raise StartupError(f"--password-file: {shown} cannot be read: {why}") from error
    except ValueError as error:
        raise StartupError(f"--password-file: {shown} holds no text in UTF-8") from error
    if not password:
        raise StartupError(f"--password-file: {shown} holds no password in its first line")
    return password


def _typed(stdin: TextIO | None) -> str:
    """A line of standard input; somebody at a terminal is asked for it, and it does not show."""
    if stdin is None:
        raise StartupError("--password-file: standard input is closed")
    return getpass.getpass("Password: ") if stdin.isatty() else _line(stdin)


def _line(file: TextIO) -> str:
    """Never more than can be judged too long: a path may name anything."""
    return file.readline(MAX_PASSWORD_LENGTH + 2).rstrip("\r\n")
