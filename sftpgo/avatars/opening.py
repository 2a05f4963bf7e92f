"""Opening a file to be written: which permission it needs, whether the quota has room, and where its bytes will go."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from sftpgo.avatars.account import Account, inode
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.upload import IN_PLACE, Upload, UploadSettings
from sftpgo.domain import paths
from sftpgo.domain.connection import UPLOAD
from sftpgo.domain.permissions import Permission
from sftpgo.storage.copying import copy_whole
from sftpgo.storage.freeing import LetGo, takes_long
from sftpgo.storage.location import Location
from sftpgo.storage.upload import Temporary

_SET_ID = stat.S_ISUID | stat.S_ISGID


@attrs.frozen
class Asked:
    """What the client asked for.

    @ivar read: to read as well; C{append}: to write only beyond what is there; C{truncate}: to start empty;
        C{exclusive}: to make a file that was not there.
    """

    read: bool = False
    append: bool = False
    truncate: bool = False
    exclusive: bool = False

    @property
    def access(self) -> int:
        """The mode of an C{open} of the target itself."""
        return os.O_RDWR if self.read else os.O_WRONLY


@attrs.frozen(eq=False)
class Opener:
    """Opens uploads of one session.

    @ivar allowed: whether the user has a permission on a directory; C{require} raises L{PermissionDenied} if not.
    @ivar own: gives a new file to the account's own uid and gid, if it has any.
    @ivar gone: whether the session is over.
    @ivar let_go: closes a descriptor of what may take long to free, in a thread.
    """

    settings: UploadSettings
    account: Account
    journal: Journal
    run_in_thread: Callable[..., Deferred[Any]]
    allowed: Callable[[bytes, Permission], bool]
    require: Callable[[bytes, Permission], None]
    own: Callable[[int], None]
    gone: Callable[[], bool]
    let_go: LetGo = os.close

    def open(self, place: Location, asked: Asked) -> Upload | Deferred[Upload]:
        """Open what is at C{place}, or make it; a Deferred while what it continues is copied, or much is freed.

        @raise PermissionDenied: without the permission to upload or, where something is there, to overwrite.
        @raise QuotaExceeded: when a limit is reached already.
        """
        while True:
            existing = place.found()
            if existing is not None:
                self.require(place.directory, Permission.OVERWRITE)
                if asked.exclusive:
                    raise FileExistsError(errno.EEXIST, "File exists")
                return self._open(place, existing, asked)
            self.require(place.directory, Permission.UPLOAD)
            try:
                return self._create(place, asked)
            except FileExistsError:
                if asked.exclusive:
                    raise
                # Somebody else was quicker: then it is another permission that counts.

    def _create(self, place: Location, asked: Asked) -> Upload:
        """A file that was not there."""
        self.account.require_room(new_file=True)
        if self.settings.mode == IN_PLACE:
            descriptor, status = place.open_file(asked.access | os.O_CREAT | os.O_EXCL, 0o666)
            stake = self.account.ledger.created(inode(status))
            upload = self._upload(place, descriptor, stake, None)
        else:
            temporary = Temporary.create(place, 0o666)
            stake = self.account.ledger.held(inode(os.fstat(temporary.descriptor)), credit=0, new_file=True)
            replace = not asked.exclusive and self.allowed(place.directory, Permission.OVERWRITE)
            upload = self._upload(place, temporary.descriptor, stake, temporary, replace=replace)
        self.own(upload.descriptor)
        return upload

    def _open(self, place: Location, existing: os.stat_result, asked: Asked) -> Upload | Deferred[Upload]:
        """A file that is there."""
        if stat.S_ISDIR(existing.st_mode):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")
        self.account.require_room(new_file=False)
        if self.settings.mode == IN_PLACE:
            return self._open_in_place(place, asked)
        # The target is opened as if it were to be written, so that whoever may not write it may not replace it.
        continued = not asked.truncate and existing.st_size > 0
        target = place.open(os.O_RDWR if continued else asked.access)
        try:
            upload = self._beside(place, os.fstat(target), asked)
        except BaseException:
            os.close(target)
            raise
        if upload.basis is None or not upload.basis.st_size:
            os.close(target)
            return upload
        return Deferred.fromCoroutine(self._continue(target, upload))

    def _open_in_place(self, place: Location, asked: Asked) -> Upload | Deferred[Upload]:
        descriptor, status = place.open_file(asked.access)
        stake = self.account.ledger.opened(inode(status), status.st_size)
        basis = None if asked.truncate else status
        upload = self._upload(place, descriptor, stake, None, basis=basis)
        upload.write_from = status.st_size if asked.append and not asked.truncate else 0
        try:
            if status.st_mode & _SET_ID:
                # A server that is root keeps these bits when it writes, and the content is somebody else's now.
                os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~_SET_ID)
            if asked.truncate and takes_long(status):
                return Deferred.fromCoroutine(self._in_thread(upload, os.ftruncate, descriptor, 0))
            if asked.truncate:
                os.ftruncate(descriptor, 0)
                self.account.ledger.settle(stake, 0)
        except BaseException:
            self.abandon(upload)
            raise
        return upload

    def _beside(self, place: Location, target: os.stat_result, asked: Asked) -> Upload:
        """A new file that is to take the place of another one, with its owner and mode."""
        temporary = Temporary.create(place, 0o600)
        last = target.st_nlink == 1
        stake = self.account.ledger.held(
            inode(os.fstat(temporary.descriptor)), credit=target.st_size if last else 0, new_file=not last
        )
        basis = None if asked.truncate else target
        upload = self._upload(place, temporary.descriptor, stake, temporary, basis=basis)
        upload.write_from = target.st_size if asked.append and not asked.truncate else 0
        # A client that opens a file without emptying it, and writes nothing, has changed nothing.
        upload.changed = asked.truncate
        try:
            if basis is not None:
                upload.grow(target.st_size)
            self._like(temporary.descriptor, target)
        except BaseException:
            self.abandon(upload)
            raise
        return upload

    def _like(self, descriptor: int, target: os.stat_result) -> None:
        made = os.fstat(descriptor)
        if (made.st_uid, made.st_gid) != (target.st_uid, target.st_gid):
            try:
                os.fchown(descriptor, target.st_uid, target.st_gid)
            except PermissionError:
                self.journal.warn("an atomic upload gives the file to the server's own user: it is not root")
        os.fchmod(descriptor, stat.S_IMODE(target.st_mode) & 0o777)

    async def _continue(self, source: int, upload: Upload) -> Upload:
        """Copy what is there into the new file."""
        clock = self.journal.clock

        def progress(_moved: int) -> None:
            upload.transfer.last_activity = int(clock() * 1000)
            self._require_client()

        try:
            steps = copy_whole(source, upload.descriptor, progress)
            await self._in_thread(upload, next, steps, False)
        finally:
            os.close(source)
        return upload

    async def _in_thread(self, upload: Upload, prepare: Callable[..., object], *args: object) -> Upload:
        """Do what has to be done to its file before the client may write.

        @param prepare: called in a thread, and again while it says that there is more: others need threads too, a
            login among them.
        """
        upload.transfer.waiting += 1
        try:
            while await self.run_in_thread(prepare, *args):
                self._require_client()
            self._require_client()
            upload.settle()
        except BaseException:
            self.abandon(upload)
            raise
        finally:
            upload.transfer.waiting -= 1
        return upload

    def _require_client(self) -> None:
        if self.gone():
            raise ConnectionAbortedError("the client went away before the file was open")

    def abandon(self, upload: Upload) -> None:
        """The open has failed after all: nothing was uploaded."""
        upload.changed = False
        upload.fail()
        upload.close_directory()
        self.journal.dropped(upload.transfer)

    def _upload(
        self,
        place: Location,
        descriptor: int,
        stake: Any,
        temporary: Temporary | None,
        *,
        replace: bool = True,
        basis: os.stat_result | None = None,
    ) -> Upload:
        self.account.began()
        transfer = self.journal.started(UPLOAD, paths.from_wire(place.path))
        warn = self.journal.warn
        upload = Upload(
            descriptor,
            self.account,
            stake,
            transfer,
            self.settings,
            warn,
            temporary,
            -1,
            replace,
            basis,
            let_go=self.let_go,
        )
        if self.settings.fsync:
            try:
                upload.directory = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.dir_fd)
            except BaseException:
                self.abandon(upload)
                raise
        return upload
