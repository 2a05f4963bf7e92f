"""From the command line to an exit status."""

from __future__ import annotations

import json
import os
import ssl
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import TextIO

from sftpgo.restcli.arguments import parser
from sftpgo.restcli.client import Client, RefusedByServer, Unreachable
from sftpgo.restcli.commands import COMMANDS
from sftpgo.restcli.output import show

DONE, REFUSED, UNREACHABLE = 0, 1, 3


def rest(words: Sequence[str]) -> None:
    """C{sftpgo rest}; ends the process."""
    try:
        sys.exit(run(words, os.environ, sys.stdin, sys.stdout, sys.stderr))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(DONE)


def run(words: Sequence[str], environ: Mapping[str, str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Carry out a command; returns the exit status.  Wrong usage ends the process with 2, as argparse has it."""
    top = parser(environ)
    given = top.parse_args(words)
    if given.command == "completion":
        from sftpgo.reference.completion import script  # noqa: PLC0415 -- it knows every command's options, these too

        stdout.write(script(given.shell))
        return DONE
    if getattr(given, "password", None) == "-":
        given.password = _typed(stdin)
    for name, value in vars(given).items():
        if not _is_text(value):
            top.error(f"argument {name}: not valid Unicode")
    try:
        client = _client(given, stderr)
        if given.command == "events":
            for kind, data in client.events("/api/v1/events"):
                stdout.write(json.dumps({"event": kind, "data": data}) + "\n")
                stdout.flush()
            return DONE
        answer = COMMANDS[given.command](client, given)
    except RefusedByServer as error:
        stderr.write(f"sftpgo rest: {error}\n")
        if isinstance(error.answer, dict) and error.answer.get("users"):
            show(error.answer["users"], stderr, table=True, colours=False)
        return REFUSED
    except Unreachable as error:
        stderr.write(f"sftpgo rest: {error}\n")
        return UNREACHABLE
    colours = stdout.isatty() and not given.no_color and not environ.get("NO_COLOR")
    show(answer, stdout, table=given.output == "table", colours=colours)
    return DONE


def _typed(stdin: TextIO) -> str:
    """A line; what is no text becomes what L{_is_text} refuses."""
    try:
        return stdin.readline().rstrip("\r\n")
    except UnicodeDecodeError:
        return "\udcff"


def _is_text(value: object) -> bool:
    """Whether a value of the command line, with all that is in it, can be sent."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _client(given: Namespace, stderr: TextIO) -> Client:
    context = None
    try:
        if given.ca_file or given.insecure:
            context = ssl.create_default_context(cafile=given.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"{given.ca_file} cannot be used: {error.strerror or error}") from error
    if context is not None and given.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Client(
        given.base_url,
        username=given.auth_user,
        password=given.auth_password,
        timeout=given.timeout,
        context=context,
        told=(lambda line: print(line, file=stderr)) if given.debug else None,
    )
