"""The command C{sftpgo import}: its flags, and the run in a reactor of its own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from sftpgo.commandline import Parser, configuration, parser, reasons, warned
from sftpgo.config.load import Loaded
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.waiting import started
from sftpgo.domain.permissions import Permission
from sftpgo.errors import MethodDisabled, SFTPGoError
from sftpgo.importing.formats import AUTO, FORMATS, opener
from sftpgo.importing.found import Options
from sftpgo.importing.moving import Importer
from sftpgo.importing.report import Report
from sftpgo.passwords import Passwords
from sftpgo.ssh import authorized_keys

_ABOUT = """Brings accounts into the configured data provider: from a dump or an SQLite file of the original, from a
system's passwd and shadow files, from Pure-FTPd's or ProFTPD's users.  It may be run again at any time: accounts that
are here as the source has them are left alone."""


def run(words: Sequence[str]) -> None:
    """Do what the command line says, and exit with 0, or with 1 after saying why not."""
    options = flags().parse_args(words)
    try:
        loaded = warned(configuration(options))
        _require_managing(loaded)
    except SFTPGoError as error:
        sys.exit(_refused(error))
    from twisted.internet import reactor  # noqa: PLC0415 -- not before it is known that it will run

    status = [1]

    def ended(outcome: Any) -> None:
        status[0] = outcome
        reactor.stop()

    def begin() -> None:
        Deferred.fromCoroutine(_checked(options, loaded, reactor)).addCallback(ended)

    reactor.callWhenRunning(begin)
    reactor.run()
    sys.exit(status[0])


def _require_managing(loaded: Loaded) -> None:
    if not loaded.config.data_provider.manage_users:
        raise MethodDisabled("users are not managed here: data_provider.manage_users is 0")


def flags() -> Parser:
    """The command's flags."""
    made = parser("import", _ABOUT, os.environ)
    made.add_argument("source", metavar="SOURCE", help="the file to read")
    made.add_argument("--format", choices=[AUTO, *FORMATS], default=AUTO, help="what SOURCE is; auto: see by itself")
    made.add_argument("--dry-run", action="store_true", help="tell what would be done, and change nothing")
    made.add_argument("-q", "--quiet", action="store_true", help="tell the numbers only")
    made.add_argument("--table", default="users", help="sqlite: the table of users (users)")
    made.add_argument("--shadow", default="", help="passwd: the file with the hashes (shadow beside SOURCE)")
    made.add_argument("--min-uid", type=int, default=1000, help="passwd: the lowest uid to take (1000)")
    made.add_argument("--max-uid", type=int, default=60000, help="passwd: the highest uid to take (60000)")
    made.add_argument(
        "--permissions",
        type=_permissions,
        default=("*",),
        help="passwd, pureftpd, proftpd: what new accounts may do in their homes, with commas between (*)",
    )
    return made


def _permissions(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    known = [str(permission) for permission in Permission]
    if not names or any(name not in known for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of {', '.join(known)}")
    return names


async def _checked(options: argparse.Namespace, loaded: Loaded, reactor: Any) -> int:
    """Run to the end whatever happens; returns the exit status."""
    try:
        await _import(options, loaded, reactor)
    except SFTPGoError as error:
        return _refused(error)
    except Exception as error:
        # Nobody but the person at the terminal is there to be told.
        print(f"sftpgo: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


async def _import(options: argparse.Namespace, loaded: Loaded, reactor: Any) -> None:
    chosen = Options(options.table, options.shadow, (options.min_uid, options.max_uid), options.permissions)
    name, opens = opener(options.source, options.format, chosen)
    if options.format == AUTO:
        _say(f"{options.source} is read as {name}")
    settings = loaded.config.data_provider

    def run_in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
        return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

    provider = select_provider(settings, loaded.config_dir, reactor=reactor, warn=_say)
    await started(provider, options.wait, clock=reactor, said=_say)
    terminal = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
    report = Report(sys.stdout, terminal, dry_run=options.dry_run, quiet=options.quiet)
    try:
        with opens() as source:
            importer = Importer(
                provider,
                Passwords(run_in_thread, workers=os.cpu_count() or 1),
                authorized_keys.check,
                run_in_thread,
                settings.users_base_dir,
                options.dry_run,
            )
            await importer.run(source, report)
        report.end()
    except BaseException:
        report.broken_off()
        raise
    finally:
        await provider.stop()


def _say(text: str) -> None:
    print(f"sftpgo: {text}", file=sys.stderr)


def _refused(error: SFTPGoError) -> int:
    for line in reasons(error):
        _say(line)
    return 1
