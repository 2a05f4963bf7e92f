"""The command C{sftpgo doctor}: everything is looked at, and told with what to do about it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sftpgo.checkconfig import startup_problems
from sftpgo.commandline import Parser, configuration, parser, reasons, seconds
from sftpgo.config.load import Loaded
from sftpgo.doctor import certificates, disk, files, homes, kernel, ports, program, provider
from sftpgo.doctor.finding import Finding, fail, warn
from sftpgo.errors import SFTPGoError
from sftpgo.printable import printable

_ABOUT = """Looks at this installation for what is wrong with it or will be, and says what to do; nothing is changed.
To be run as the server's user, with the server's flags.  Exit status: 0 nothing fails, 1 something does."""

_USERS: Final = 1000
_INTERRUPTED: Final = 130
_MEND = "mend the configuration; sftpgo check-config shows where each value is from"


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit status."""
    options = flags().parse_args(words)
    findings = [*program.identity(), *program.python(), *program.descriptors()]
    findings += program.clock(time.time(), program.synchronised())
    try:
        loaded = configuration(options)
    except SFTPGoError as error:
        findings += [fail("configuration", line, _MEND) for line in reasons(error)]
    else:
        findings += _installation(loaded, options.users)
    worst = 1 if any(finding.level == "fail" for finding in findings) else 0
    if options.json:
        print(json.dumps([attrs.asdict(finding) for finding in findings], indent=2))
    else:
        print("\n".join(_lines(findings)))
    return worst


def flags() -> Parser:
    """The command's flags."""
    made = parser("doctor", _ABOUT, os.environ)
    made.add_argument("--json", action="store_true", help="print the findings as a JSON list")
    made.add_argument(
        "--users", type=seconds, default=_USERS, metavar="N", help=f"look at the homes of so many users ({_USERS})"
    )
    return made


def _installation(loaded: Loaded, users: int) -> Iterator[Finding]:
    yield from (warn("configuration", warning, _MEND) for warning in loaded.warnings)
    yield from (fail("configuration", problem, _MEND) for problem in startup_problems(loaded.config))
    yield from _guarded("files", files.look(loaded))
    yield from _guarded("certificate", certificates.look(loaded, time.time()))
    yield from _guarded("ports", ports.look(loaded.config))
    yield from _guarded("kernel", kernel.look(loaded.config))
    seen = _provider(loaded, users)
    yield from seen.findings
    yield from _guarded("homes", homes.look(seen.users, loaded.config_dir, more=seen.more))
    paths = [user.home_dir for user in seen.users if os.path.isabs(user.home_dir)]
    yield from _guarded("disk", disk.look(loaded, paths))


def _guarded(check: str, found: Iterator[Finding]) -> Iterator[Finding]:
    """What cannot be looked at is a finding too, and the rest is looked at all the same."""
    try:
        yield from found
    except (OSError, ValueError) as error:
        do = "run the doctor as the server's user, or as root"
        yield fail(check, f"could not be looked at: {error}", do)


def _provider(loaded: Loaded, users: int) -> provider.Seen:
    if unopened := provider.unopened(loaded):
        return provider.Seen((unopened,))
    from twisted.internet import reactor  # noqa: PLC0415 -- not before it is known that it will run

    outcome: list[Any] = []

    def begin() -> None:
        asked = Deferred.fromCoroutine(provider.ask(loaded, reactor, users))
        asked.addBoth(outcome.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if not outcome:
        sys.exit(_INTERRUPTED)
    (found,) = outcome
    if isinstance(found, Failure):
        found.raiseException()
    return found  # type: ignore[no-any-return]


def _lines(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        yield printable(f"{finding.level:4}  {finding.check}: {finding.text}")
        if finding.do:
            yield printable(f"      -> {finding.do}")
    counts = {level: sum(finding.level == level for finding in findings) for level in ("ok", "warn", "fail")}
    yield f"\n{counts['ok']} in order, {counts['warn']} to look at, {counts['fail']} to mend"
