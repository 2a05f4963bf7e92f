"""What tests of accounts and uploads stand on: a provider that can be down, ledgers on a clock that is set, homes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.avatars.accounting import Ledgers
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.journal import Audience, Journal
from sftpgo.avatars.transfer import OpenFile
from sftpgo.avatars.upload import UploadSettings
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.connection import ConnectionRegistry
from sftpgo.domain.permissions import AccessRules
from sftpgo.domain.user import User
from sftpgo.errors import OutcomeUnknown, ProviderError
from sftpgo.log import Log
from sftpgo.storage.confined import Home
from sftpgo.storage.unsettled import Unsettled
from sftpgo.storage.usage import Usage, scan
from tests.doubles import Events, run_now


def result_of(work: Any) -> Any:
    """What a coroutine or Deferred that needs nobody else gives; raises what it raised."""
    deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "it still waits"
    return results[0]


class ShakyProvider(MemoryProvider):
    """The memory provider, which is down when told so.

    @ivar updates: the (files, size, reset) it took, in order.
    @ivar silent: it makes the next change, and the connection breaks before it says so.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = False
        self.silent = False
        self.updates: list[tuple[int, int, bool]] = []

    async def check(self) -> None:
        if self.down:
            raise ProviderError("the store is down")
        await super().check()

    async def update_quota(self, username: str, files: int, size: int, now: int, reset: bool = False) -> None:
        await super().update_quota(username, files, size, now, reset)
        self.updates.append((files, size, reset))
        if self.silent:
            self.silent = False
            raise OutcomeUnknown("no answer")


class Ground:
    """A provider with one user C{u}, the ledgers over it, and a temporary home."""

    def __init__(
        self,
        *,
        track_quota: int = 2,
        settings: UploadSettings | None = None,
        writable: bool = True,
        pause: float = 0.0,
        **fields: Any,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sftpgo-test-ground-"))
        self.home = self.directory / "home"
        self.home.mkdir()
        self.clock = Clock()
        self.provider = ShakyProvider()
        self.events = Events()
        self.registry = ConnectionRegistry()
        self.settings = settings or UploadSettings()
        self.user = User(username="u", home_dir=str(self.home), permissions={"/": ("*",)}, **fields)
        self.user = result_of(self.provider.add(self.user))
        self.unsettled = Unsettled(str(self.directory / "unsettled"))
        self.names = self.unsettled.open()
        self.track_quota = track_quota
        self.writable = writable
        self.pause = pause
        self.recounted: list[str] = []
        self.ledgers = self.make_ledgers()
        self.files: list[UserFilesystem] = []
        self.heard: list[Any] = []
        self.counted: list[Any] = []

    def make_ledgers(self) -> Ledgers:
        return Ledgers(
            self.provider,
            track_quota=self.track_quota,
            writable=self.writable,
            mark_all=self.settings.mode != 0,
            scheduler=self.clock,
            now=self.clock.seconds,
            run_in_thread=run_now,
            log=Log("sftpd", self.events),
            unsettled=self.unsettled,
            pause=self.pause,
            recount=self.recounted.append,
        )

    def login(self, **options: Any) -> UserFilesystem:
        """One more session of the user."""
        user = result_of(self.provider.user_by_name("u"))
        number = f"{len(self.files):064x}"
        self.registry.opened(
            number, client_version="SSH-2.0-x", remote_address="127.0.0.1:1", close=lambda: None, now=0
        )
        self.registry.try_login(number, "u", 0, 0)
        audience = Audience(self.heard.append, lambda *counted: self.counted.append(counted))
        journal = Journal(user, number, self.registry, Log("sftpd", self.events), self.clock.seconds, audience=audience)
        options = {"run_in_thread": run_now, "setstat_ignored": False} | options
        files = UserFilesystem(
            user,
            Home.open(os.fsencode(self.home)),
            AccessRules(user.permissions),
            journal,
            self.clock.seconds,
            uploads=self.settings,
            account=result_of(self.ledgers.enter(user)),
            **options,
        )
        self.files.append(files)
        return files

    def used(self) -> tuple[int, int]:
        """What the data provider knows: files and bytes."""
        down, self.provider.down = self.provider.down, False
        try:
            return result_of(self.provider.used_quota("u"))
        finally:
            self.provider.down = down

    def on_disk(self) -> tuple[int, int]:
        """What is there: files and bytes."""
        home = Home.open(os.fsencode(self.home))
        try:
            usage: Usage = scan(home)
        finally:
            home.close()
        return usage.files, usage.size

    def names_on_disk(self) -> list[str]:
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*"))

    def texts(self) -> list[str]:
        """App lines of the log."""
        return [event["text"] for event in self.events if "text" in event]

    def end(self) -> None:
        for files in self.files:
            files.close()
        self.unsettled.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class UploadCase(SynchronousTestCase):
    """Has a ground of its own and one session, C{self.files}."""

    def begin(self, mode: int, *, fsync: bool = False, digest: bool = False, **fields: Any) -> None:
        options = {"track_quota": 1} | {k: fields.pop(k) for k in ("track_quota", "writable") if k in fields}
        self.ground = Ground(settings=UploadSettings(mode, fsync, digest), **options, **fields)
        self.addCleanup(self.ground.end)
        self.home = self.ground.home
        self.files = self.ground.login()

    def open(self, path: bytes = b"/f", files: Any = None, **flags: bool) -> OpenFile:
        opened = (files or self.files).open_for_writing(path, **flags)
        return result_of(opened) if isinstance(opened, Deferred) else opened

    def put(self, content: bytes, path: bytes = b"/f", **flags: bool) -> None:
        file = self.open(path, **(flags or {"truncate": True}))
        file.writeChunk(0, content)
        self.close(file)

    def close(self, file: OpenFile) -> None:
        closing = file.close()
        if closing is not None:
            result_of(closing)

    def read(self, name: str = "f") -> bytes:
        return (self.home / name).read_bytes()

    def listing(self, path: bytes = b"/") -> list[bytes]:
        reader = self.files.open_directory(path)
        self.addCleanup(reader.close)
        return [name for name, _ in reader.next_chunk(1000)]

    def temporaries(self) -> list[str]:
        return [name for name in self.ground.names_on_disk() if "sftpgo-upload" in name]

    def assertSettled(self) -> None:
        self.assertEqual(self.ground.used(), self.ground.on_disk())
        self.assertEqual(self.temporaries(), [])
