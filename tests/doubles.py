"""Stand-ins for what surrounds a part under test: threads that run at once, a clock that is set, a log that is kept."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.account import Account
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.upload import UploadSettings
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.permissions import AccessRules
from sftpgo.domain.quota import Ledger, Limits
from sftpgo.domain.user import User
from sftpgo.log import Log
from sftpgo.storage.confined import Home


def run_now(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    """What C{deferToThread} does, at once."""
    return maybeDeferred(function, *args)


class HeldThreads:
    """Calls that wait until the test lets them run."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        deferred: Deferred[Any] = Deferred()
        self.waiting.append((deferred, function, args))
        return deferred

    def release(self) -> None:
        """Run all that wait, in order."""
        waiting, self.waiting = self.waiting, []
        for deferred, function, args in waiting:
            maybeDeferred(function, *args).chainDeferred(deferred)


class Events(list[dict[str, Any]]):
    """A log observer that keeps what it is told."""

    def __call__(self, event: dict[str, Any]) -> None:
        self.append(event)


def make_filesystem(
    test: SynchronousTestCase,
    permissions: dict[str, tuple[str, ...]] | None = None,
    *,
    run_in_thread: Callable[..., Deferred[Any]] = run_now,
    setstat_ignored: bool = False,
    uploads: UploadSettings | None = None,
    account: Account | None = None,
    **fields: Any,
) -> UserFilesystem:
    """A user's files in a temporary home, C{home} inside a directory that also has C{outside}."""
    directory = Path(tempfile.mkdtemp(prefix="sftpgo-test-home-"))
    test.addCleanup(_remove, directory)
    home = directory / "home"
    home.mkdir()
    (directory / "outside").mkdir()
    user = User(username="u", home_dir=str(home), permissions=permissions or {"/": ("*",)}, **fields)
    opened = Home.open(os.fsencode(home))
    test.addCleanup(opened.close)
    registry = ConnectionRegistry()
    registry.opened("c" * 64, client_version="SSH-2.0-x", remote_address="127.0.0.1:1", close=lambda: None, now=0)
    registry.try_login("c" * 64, "u", 0, 0)
    events = Events()
    journal = Journal(user, "c" * 64, registry, Log("sftpd", events), lambda: 1000.0)
    if account is None:
        ledger = Ledger(user.used_quota_files, user.used_quota_size)
        account = Account(ledger, Limits(user.quota_files, user.quota_size))
    return UserFilesystem(
        user,
        opened,
        AccessRules(user.permissions),
        journal,
        lambda: 1000.0,
        run_in_thread,
        setstat_ignored,
        uploads or UploadSettings(),
        account,
    )


def _remove(directory: Path) -> None:
    for path, directories, _files in os.walk(directory):
        for name in directories:
            full = os.path.join(path, name)
            if not os.path.islink(full):
                os.chmod(full, 0o700)
    shutil.rmtree(directory, ignore_errors=True)
