"""The command C{sftpgo}: C{serve} and what stands beside it."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence

from sftpgo.version import version_line

_HELP = """\
A full-featured SFTP server with virtual accounts.

Usage:
  sftpgo [command]

Available commands:
  serve         Start the server
  portable      Share one directory, without a configuration
  initprovider  Bring the database's schema up to date
  import        Bring in the accounts of another server
  rest          Manage a running server over its REST API
  explain       Tell which rule decides on a request of a user
  check-config  Print the effective configuration and where each value is from
  doctor        Look for what is wrong with this installation, and say what to do
  service       Have the server run as a service of this system
  completion    Print a completion script for bash, zsh or fish
  help          Help about any command

Flags:
  -h, --help      help for sftpgo
  -v, --version   version of sftpgo

Use "sftpgo [command] --help" for more information about a command.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits with 0, or with 1 after saying why."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_HELP, end="")
        return
    if words[0] in ("-v", "--version"):
        print(version_line())
        return
    if words[0] == "help":
        words = [*words[1:2], "--help"] if words[1:] else ["--help"]
        main(words)
        return
    command = _COMMANDS.get(words[0])
    if command is None:
        kind = "flag" if words[0].startswith("-") else "command"
        print(f'sftpgo: unknown {kind} "{words[0]}"; "sftpgo --help" lists what there is', file=sys.stderr)
        sys.exit(1)
    try:
        try:
            command(words[1:])
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except KeyboardInterrupt:
        # Before anything runs that would end in good order.
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read it has seen enough, as with C{sftpgo check-config | head}: nothing more, at the exit neither.
        _write_no_more()
        sys.exit(1)
    except OSError as error:
        # What no command expects: its output cannot be written, or it stands in a directory that is gone.
        gone = error.errno == errno.ENOENT and error.filename is None
        print(f"sftpgo: {'the current directory is gone' if gone else error}", file=sys.stderr)
        if not gone:
            _write_no_more()
        sys.exit(1)


def _write_no_more() -> None:
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def serve(words: Sequence[str]) -> None:
    """C{sftpgo serve}: run until SIGTERM or SIGINT."""
    from twisted.logger import globalLogBeginner  # noqa: PLC0415 -- these take most of a second
    from twisted.python import usage  # noqa: PLC0415

    from sftpgo.errors import SFTPGoError  # noqa: PLC0415
    from sftpgo.tap import Options, exit_with_failure, refuse  # noqa: PLC0415

    try:
        options = Options()
        options.parseOptions(words)
        loaded = options.load()
    except usage.UsageError as error:
        print(f"sftpgo: {error}", file=sys.stderr)
        sys.exit(1)
    except SFTPGoError as error:
        refuse(error)
    if options["log-file-path"]:
        # The log has them as well, but who mistyped a key looks at the terminal.
        for warning in loaded.warnings:
            print(f"sftpgo: warning: {warning}", file=sys.stderr)
    from twisted.internet import reactor  # noqa: PLC0415 -- not before it is known that it will run

    from sftpgo.descriptors import raise_limit  # noqa: PLC0415
    from sftpgo.service import build  # noqa: PLC0415
    from sftpgo.systemd import Supervisor, started_with  # noqa: PLC0415

    raise_limit(reactor)

    def failed(error: BaseException) -> None:
        print(f"sftpgo: {error}", file=sys.stderr)
        exit_with_failure()
        reactor.stop()

    try:
        service = build(
            loaded,
            reactor,
            log_settings=options.log_settings(),
            log_beginner=globalLogBeginner,
            failed=failed,
            welcome=sys.stdout,
            wait=options["wait"],
            read_again=options.load,
            supervisor=Supervisor.take(os.environ, started_with()),
        )
    except SFTPGoError as error:
        refuse(error)
    reactor.callWhenRunning(service.startService)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


def portable(words: Sequence[str]) -> None:
    """C{sftpgo portable}: share one directory until Ctrl-C."""
    from sftpgo.portable.command import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def initprovider(words: Sequence[str]) -> None:
    """C{sftpgo initprovider}: bring the database's schema up to date."""
    from sftpgo.initprovider import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def import_accounts(words: Sequence[str]) -> None:
    """C{sftpgo import}: bring in the accounts of another server."""
    from sftpgo.importing.command import run  # noqa: PLC0415 -- only this command needs it

    run(words)


def rest(words: Sequence[str]) -> None:
    """C{sftpgo rest}: manage a running server over its REST API."""
    from sftpgo.restcli.main import rest as run  # noqa: PLC0415 -- only this command needs it

    run(words)


def explain(words: Sequence[str]) -> None:
    """C{sftpgo explain}: which rule decides on a request, asked of the configured data provider itself."""
    from sftpgo.explaincommand import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def check_config(words: Sequence[str]) -> None:
    """C{sftpgo check-config}: the effective configuration, and where each value is from."""
    from sftpgo.checkconfig import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def doctor(words: Sequence[str]) -> None:
    """C{sftpgo doctor}: look for what is wrong with this installation."""
    from sftpgo.doctor.command import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def service(words: Sequence[str]) -> None:
    """C{sftpgo service}: install it as a service of the operating system, start it, stop it."""
    from sftpgo.servicecommand.command import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def completion(words: Sequence[str]) -> None:
    """C{sftpgo completion}: print a completion script for a shell."""
    from sftpgo.reference.completion import run  # noqa: PLC0415 -- only this command needs it

    sys.exit(run(words))


def summaries() -> dict[str, str]:
    """Every command there is, with its line of the help."""
    lines = (re.fullmatch(r"  ([a-z-]+) +([A-Z].*)", line) for line in _HELP.splitlines())
    found = {match[1]: match[2] for match in lines if match}
    return {name: found[name] for name in _COMMANDS}


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "serve": serve,
    "portable": portable,
    "initprovider": initprovider,
    "import": import_accounts,
    "rest": rest,
    "explain": explain,
    "check-config": check_config,
    "doctor": doctor,
    "service": service,
    "completion": completion,
}
