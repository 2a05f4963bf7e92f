"""The command C{sftpgo explain}: which rule decides on a request, asked of the data provider and the homes."""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from sftpgo.commandline import Parser, configuration, parser, reasons, warned
from sftpgo.config.load import Loaded
from sftpgo.dataprovider.select import select_provider
from sftpgo.dataprovider.waiting import started
from sftpgo.domain.explain import OPERATIONS, Verdict
from sftpgo.errors import NotFound, SFTPGoError
from sftpgo.explain import Explainer
from sftpgo.printable import printable

_ABOUT = """Tells what a request of a user would be answered, and which rule decides; nothing is carried out.
Exit status: 0 it is allowed, 2 it is not, 1 it could not be found out."""

ALLOWED, UNKNOWN, DENIED = 0, 1, 2


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = flags().parse_args(words)
    try:
        loaded = warned(configuration(options))
    except SFTPGoError as error:
        return _failed(*reasons(error))
    from twisted.internet import reactor  # noqa: PLC0415 -- not before it is known that it will run

    outcome: list[Any] = []

    def begin() -> None:
        asked = Deferred.fromCoroutine(_ask(options, loaded, reactor))
        asked.addBoth(outcome.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    (found,) = outcome
    if isinstance(found, Verdict):
        print(json.dumps(attrs.asdict(found)) if options.json else _sentence(found))
        return ALLOWED if found.allowed else DENIED
    if found.check(NotFound):
        return _failed(f'there is no user "{options.username}"')
    if found.check(SFTPGoError, ValueError):
        return _failed(str(found.value))
    found.raiseException()
    return UNKNOWN


def flags() -> Parser:
    """The command's flags."""
    made = parser("explain", _ABOUT, os.environ)
    made.add_argument("username")
    made.add_argument("operation", choices=tuple(OPERATIONS))
    made.add_argument("path", help="as the user sees it")
    made.add_argument("--ip", default="", help="the address it comes from")
    made.add_argument("--json", action="store_true", help="print what the REST API answers")
    return made


async def _ask(options: Namespace, loaded: Loaded, reactor: Any) -> Verdict:
    settings = loaded.config.data_provider
    said = partial(print, file=sys.stderr)
    provider = select_provider(settings, loaded.config_dir, reactor=reactor, warn=said)
    await started(provider, options.wait, clock=reactor, said=said)
    try:
        explainer = Explainer(
            provider,
            partial(deferToThreadPool, reactor, reactor.getThreadPool()),
            time.time,
            bool(settings.track_quota),
        )
        return await explainer.explain(options.username, options.operation, options.path, options.ip)
    finally:
        await provider.stop()


def _sentence(verdict: Verdict) -> str:
    word = "allowed" if verdict.allowed else "denied"
    return printable(f"{word}: {verdict.operation} {verdict.path!r}, by {verdict.rule}: {verdict.reason}")


def _failed(*lines: str) -> int:
    for line in lines:
        print(f"sftpgo: {printable(line)}", file=sys.stderr)
    return UNKNOWN
