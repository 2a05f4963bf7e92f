"""C{sftpgo portable}, from the first word to the last."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import globalLogBeginner, globalLogPublisher

from sftpgo.descriptors import raise_limit
from sftpgo.errors import SFTPGoError, StartupError
from sftpgo.log import LogSettings
from sftpgo.mdns import Advertisement, MDNSError
from sftpgo.passwords import Passwords
from sftpgo.portable import account, hostkeys, ready
from sftpgo.portable.options import Share, parse
from sftpgo.portable.progress import ASCII, UNICODE
from sftpgo.portable.screen import Screen
from sftpgo.portable.stopping import Stopping
from sftpgo.portable.watch import Reporter, Watch
from sftpgo.service import Addresses, SFTPGoService, build
from sftpgo.version import VersionInfo

#: What a shell takes the end by SIGINT for.
_INTERRUPTED = 130


def run(words: Sequence[str]) -> int:
    """Share a directory until somebody ends it; returns the exit status."""
    said = partial(print, file=sys.stderr)
    try:
        if not hasattr(sys.stdout, "isatty"):  # None, where it was closed before the start
            raise StartupError("standard output is closed: nobody could be told how to get in")
        share = parse(words, os.environ)
        keys = hostkeys.find_or_make(os.environ, share.user.home_dir, lambda text: said(f"sftpgo: {text}"))
    except SFTPGoError as error:
        said(f"sftpgo: {error}")
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    from twisted.internet import reactor  # noqa: PLC0415 -- not before it is known that it will run

    raise_limit(reactor)
    portable = Portable(share, keys, reactor)
    reactor.callWhenRunning(portable.start)
    reactor.addSystemEventTrigger("before", "shutdown", portable.stop)
    reactor.run()
    portable.screen.close()
    if portable.failure:
        said(f"sftpgo: {portable.failure}")
        return 1
    return 0


class Portable:
    """One directory being shared.

    @ivar screen: where people look.
    @ivar failure: why it could not start; empty when it could.
    """

    def __init__(self, share: Share, keys: hostkeys.KeyFiles, reactor: Any) -> None:
        self.failure = ""
        self._share = share
        self._keys = keys
        self._reactor = reactor
        terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        encoding = sys.stdout.encoding or "utf-8"
        self._unicode = encoding.lower().replace("-", "") == "utf8"
        self._output = sys.stdout.fileno()
        self.screen = Screen(self._output, live=terminal, encoding=encoding)
        self._reporter = Reporter(self.screen.say, share.user.home_dir)
        self._service = self._build()
        self._watch = Watch(
            self._service.registry, self.screen, UNICODE if self._unicode else ASCII, reactor, self._output
        )
        self._stopping = Stopping(reactor, self._service.registry, self.screen.say)
        self._advertisement: Advertisement | None = None

    def _build(self) -> SFTPGoService:
        share = self._share
        log_settings = None
        if share.log_file:
            log_settings = LogSettings(path=os.path.abspath(share.log_file))
            globalLogPublisher.addObserver(self._reporter)
        else:
            globalLogBeginner.beginLoggingTo([self._reporter], redirectStandardIO=False)
        passwords = Passwords(self._run_in_thread, workers=1)
        service = build(
            account.loaded(share, self._keys.paths, os.path.dirname(self._keys.paths[0])),
            self._reactor,
            log_settings=log_settings,
            log_beginner=globalLogBeginner if share.log_file else None,
            failed=self._failed,
            provider=account.provider(share.user, passwords.hash),
            clock=time.time,
        )
        self._reporter.registry = service.registry
        return service

    def _run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        result: Deferred[Any] = deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *args)
        return result

    def start(self) -> None:
        """Begin; what is worth knowing is told once the server listens."""
        self._stopping.start()
        self._service.started.addCallbacks(self._up, lambda _failure: None).addErrback(self._broken)
        self._service.startService()

    def _failed(self, error: BaseException) -> None:
        self.failure = str(error).replace("sftpd.bind_address, sftpd.bind_port", "--bind-address, -s")
        self._reactor.stop()

    def _broken(self, failure: Any) -> None:
        """Nobody expected this: better no server than one whose password nobody was told."""
        self._failed(failure.value)

    def _up(self, addresses: Addresses) -> None:
        self._keys.close()
        share, port = self._share, addresses.sftp[1]
        host = ready.reachable_host(share.bind_address)
        self.screen.say(ready.ready_line(share, port))
        told = ready.details(share, port, self._keys.fingerprints, host=host, style=self._qr_style(host, port))
        self.screen.say(told)
        self._reporter.release()
        if self.screen.live:
            self._watch.start()
        if share.advertise:
            Deferred.fromCoroutine(self._advertise(port)).addErrback(self._warn)
        elif share.advertise_credentials:
            self.screen.say("Note: -C has no effect without -S, nothing is advertised.")

    def _qr_style(self, host: str, port: int) -> str | None:
        if not self.screen.live:
            return None
        style = "unicode" if self._unicode else "ascii"
        url = ready.sftp_url(self._share, host, port)
        return style if ready.qr_fits(url, style, os.get_terminal_size(self._output).columns) else None

    async def _advertise(self, port: int) -> None:
        self._advertisement = Advertisement(
            f"SFTPGo portable {port}", port, self._share.bind_address, self._text_record(), self._run_in_thread
        )
        name = await self._advertisement.start()
        self.screen.say(f'Advertised over multicast DNS as "{name}".')

    def _text_record(self) -> dict[str, str]:
        text = {"version": str(VersionInfo())}
        if self._share.advertise_credentials:
            text["user"] = self._share.user.username
            if self._share.user.password:
                text["password"] = self._share.user.password
            else:
                self.screen.say("Note: there is no password to advertise, only keys let in.")
        return text

    def _warn(self, failure: Any) -> None:
        reason = failure.getErrorMessage() if failure.check(MDNSError) else repr(failure.value)
        self.screen.say(f"Warning: multicast DNS: {reason}; the server goes on without it.")

    def stop(self) -> Deferred[Any]:
        """Take the advertisement back, let transfers end, and close everything."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        withdrawn: Deferred[None] | None = None
        if self._advertisement is not None:
            withdrawn = Deferred.fromCoroutine(self._advertisement.stop()).addErrback(self._warn)
        await self._service.stopService()
        if withdrawn is not None:
            await withdrawn
        self._watch.stop()
        if not self.failure:
            self.screen.say("Stopped.")
