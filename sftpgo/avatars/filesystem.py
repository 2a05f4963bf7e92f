"""Each thing a user may ask of the files, once: is it permitted on the canonical path, then do it, then tell it.

SFTP, SCP and commands all enter here.  Paths are C{bytes} as the client sent them; L{Places} says where they lead and
whether the user may go there.  The system call then runs on that very place, by descriptor and bare name, so that
nothing can be swapped in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from typing import ClassVar

import attrs
from twisted.internet.defer import Deferred

from sftpgo.avatars.account import Account
from sftpgo.avatars.bandwidth import UNLIMITED, Bandwidth
from sftpgo.avatars.cutting import cut
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.opening import Asked, Opener
from sftpgo.avatars.ownership import Ownership
from sftpgo.avatars.places import Places
from sftpgo.avatars.space import space_for
from sftpgo.avatars.transfer import FileHooks, OpenFile, RunInThread
from sftpgo.avatars.upload import Upload, UploadSettings
from sftpgo.domain import paths
from sftpgo.domain.connection import DOWNLOAD
from sftpgo.domain.permissions import AccessRules, Permission
from sftpgo.domain.user import User
from sftpgo.errors import PermissionDenied
from sftpgo.ssh.interfaces import Attributes, StatVFS
from sftpgo.storage.confined import Home
from sftpgo.storage.freeing import freed_later, takes_long
from sftpgo.storage.listing import DirectoryReader, Sorting
from sftpgo.storage.location import Location
from sftpgo.storage.rename import link, rename
from sftpgo.storage.sweep import remove_stale_only
from sftpgo.storage.visible import VisibleReader

_MODE_BITS = 0o777
_KEEP = -1
_MAX_SIZE = 2**63 - 1
_NO_OWNER = 0xFFFFFFFF


@attrs.define(eq=False)
class SessionLife:
    """What a session has in common, however many serve it.

    @ivar over: whether it is.
    @ivar sorting: shared by the directories that it has open.
    """

    over: bool = False
    sorting: Sorting = attrs.field(factory=Sorting)


@attrs.define(eq=False)
class UserFilesystem:
    """One user's files.

    @ivar clock: seconds since the epoch.
    @ivar setstat_ignored: answer OK to changes of mode, owner and times without making them (C{setstat_mode: 1}).
    @ivar places: where paths lead, and what is permitted there.
    @ivar account: counts what is used, and knows what may be.
    @ivar bandwidth: limits what moves.
    @ivar life: shared by all copies of this that serve the same session.
    """

    file_class: ClassVar[type[OpenFile]] = OpenFile

    user: User
    home: Home
    rules: AccessRules
    journal: Journal
    clock: Callable[[], float]
    run_in_thread: RunInThread
    setstat_ignored: bool = False
    uploads: UploadSettings = attrs.field(factory=UploadSettings)
    account: Account = attrs.field(factory=Account)
    bandwidth: Bandwidth = UNLIMITED
    life: SessionLife = attrs.field(factory=SessionLife)
    places: Places = attrs.field(init=False)
    _opener: Opener = attrs.field(init=False)
    _ownership: Ownership = attrs.field(init=False)
    _hooks: FileHooks = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Put together what opens files."""
        self.places = Places(self.home, self.rules)
        self._ownership = Ownership.of(self.user, self.journal.warn)
        self._opener = Opener(
            self.uploads,
            self.account,
            self.journal,
            self.run_in_thread,
            allowed=self.places.allows,
            require=self.places.require,
            own=self._ownership.file,
            gone=lambda: self.life.over,
            let_go=self._let_go,
        )
        self._hooks = self._make_hooks()

    def _make_hooks(self) -> FileHooks:
        return FileHooks(
            self.run_in_thread,
            self.journal.clock,
            self._may_change_open,
            self._change_open,
            self._space_of,
            self.journal.ended,
            self._let_go,
            self.bandwidth,
        )

    def close(self) -> None:
        """The session is over: give up the home, the quota's ledger and the share of the bandwidth."""
        if not self.life.over:
            self.life.over = True
            self.home.close()
            self.account.left()
            self.bandwidth.left()

    # Looking.

    def stat(self, path: bytes, *, follow: bool) -> os.stat_result:
        """The status of what C{path} names; a link itself unless C{follow}."""
        with self.places.at(path, Permission.LIST, follow=follow) as place:
            return place.stat()

    def open_directory(self, path: bytes) -> DirectoryReader:
        """A streaming reader of a directory."""
        with self.places.located(path, follow=True, needed=Permission.LIST, itself=True) as place:
            self.places.require(place.path, Permission.LIST)
            return VisibleReader.open(place, self.life.sorting)

    def readlink(self, path: bytes) -> bytes:
        """What a link says, as a client may see it."""
        with self.places.at(path, Permission.LIST, follow=False) as place:
            return self._virtual(place.readlink())

    def space(self, path: bytes) -> StatVFS:
        """The file system of C{path}, as far as the quota lets the user see it."""
        with self.places.at(path, Permission.LIST, follow=True) as place:
            return space_for(self.account, place.statvfs())

    # Files.

    def open_for_reading(self, path: bytes) -> OpenFile:
        """Open a file to download it."""
        with self.places.at(path, Permission.DOWNLOAD, follow=True) as place:
            descriptor, status = place.open_file(os.O_RDONLY)
            virtual = paths.from_wire(place.path)
            transfer = self.journal.started(DOWNLOAD, virtual)
            transfer.total = status.st_size
            return self.file_class(
                descriptor,
                self._hooks,
                transfer,
                path=virtual,
                real_path=self._real(place),
                readable=True,
                device=status.st_dev,
            )

    def open_for_writing(
        self, path: bytes, *, read: bool = False, append: bool = False, truncate: bool = False, exclusive: bool = False
    ) -> OpenFile | Deferred[OpenFile]:
        """Open a file to upload it: made when missing, else opened as the flags say.

        A missing file needs the permission to upload, an existing one that to overwrite; to read as well needs that to
        download.  The answer may take a while where uploads are atomic and this one continues a large file.

        @raise sftpgo.errors.QuotaExceeded: when a limit is reached already.
        """
        with self.places.located(path, follow=not exclusive, needed=Permission.UPLOAD) as place:
            if read:
                self.places.require(place.directory, Permission.DOWNLOAD)
            upload = self._opener.open(place, Asked(read, append, truncate, exclusive))
            virtual, real = paths.from_wire(place.path), self._real(place)
        if isinstance(upload, Deferred):
            return upload.addCallback(self._uploading, virtual, real, read)
        return self._uploading(upload, virtual, real, read)

    def _uploading(self, upload: Upload, path: str, real_path: str, readable: bool) -> OpenFile:
        return self.file_class(
            upload.descriptor,
            self._hooks,
            upload.transfer,
            path=path,
            real_path=real_path,
            readable=readable,
            upload=upload,
        )

    def copy(self, source: OpenFile, offset: int, length: int, target: OpenFile, position: int) -> Deferred[None]:
        """Copy between open files without sending the bytes to the client and back."""
        return source.copy_to(offset, length, target, position)

    # Names.

    def remove(self, path: bytes) -> None:
        """Remove a file or a link, never a directory."""
        with self.places.at(path, Permission.DELETE, follow=False) as place:
            status = place.stat()
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "Is a directory")
            with freed_later(place.dir_fd, place.name, status, self._let_go):
                place.unlink()
            self.account.unlinked(status)
            self.account.flush()
            self.journal.command("Remove", self._real(place))

    def remove_directory(self, path: bytes) -> None:
        """Remove an empty directory, never the home itself."""
        with self.places.at(path, Permission.DELETE, follow=False) as place:
            self._refuse_root(place)
            _without_stale(place, place.rmdir)
            self.journal.command("Rmdir", self._real(place))

    def make_directory(self, path: bytes) -> None:
        """Make one directory."""
        with self.places.at(path, Permission.CREATE_DIRS, follow=False) as place:
            if place.is_root:
                raise FileExistsError(errno.EEXIST, "File exists")
            place.mkdir(0o777)
            self._ownership.name(place)
            self.journal.command("Mkdir", self._real(place))

    def rename(self, source: bytes, target: bytes) -> None:
        """Rename; what stands at the target is replaced in one step, which needs the permission to overwrite."""
        with (
            self.places.at(source, Permission.RENAME, follow=False) as old,
            self.places.at(target, Permission.RENAME, follow=False) as new,
        ):
            self._refuse_root(old)
            self._refuse_root(new)
            status = old.stat()
            if stat.S_ISDIR(status.st_mode):
                self._refuse_own_rules(old, new)
            replaced = self._may_replace(new)
            with freed_later(new.dir_fd, new.name, replaced, self._let_go):
                _without_stale(new, lambda: rename(old, new, replace=replaced is not None))
            if replaced is not None and not os.path.samestat(status, replaced):
                self.account.unlinked(replaced)
                self.account.flush()
            self._ownership.name(new)
            self.journal.command("Rename", self._real(old), target_path=self._real(new))

    def _may_replace(self, place: Location) -> os.stat_result | None:
        """What stands there, if the user may replace it; nothing where nothing is."""
        try:
            status = place.stat()
        except FileNotFoundError:
            return None
        self.places.require(place.directory, Permission.OVERWRITE)
        return status

    def _refuse_own_rules(self, *places: Location) -> None:
        """Permissions stay with their paths: a directory that has some of its own, or holds such, is not moved."""
        for place in places:
            path = paths.from_wire(place.path)
            if self.rules.has_entry(path) or self.rules.entries_below(path):
                raise PermissionDenied("Permission Denied: the directory has permissions of its own")

    def symlink(self, target: bytes, path: bytes) -> None:
        """Make a link.  C{target} is stored as given; an absolute one starts at the home."""
        with self.places.at(path, Permission.CREATE_SYMLINKS, follow=False) as place:
            self._refuse_root(place)
            self._judge_target(target, place)
            place.symlink(target)
            self._ownership.name(place)
            self.journal.command("Symlink", self._real_of(target, place), target_path=self._real(place))

    def _judge_target(self, target: bytes, place: Location) -> None:
        """Where the link leads, the user must be allowed to make links too."""
        if not target or b"\0" in target:
            raise OSError(errno.EINVAL, "Invalid argument")
        leads_to = os.path.join(place.directory, target)
        with self.places.located(leads_to, follow=True, needed=Permission.CREATE_SYMLINKS, missing=True) as end:
            self.places.require(end.directory, Permission.CREATE_SYMLINKS)

    def hard_link(self, source: bytes, target: bytes) -> None:
        """Give a file a second name, where that grants nothing that its first place does not."""
        with (
            self.places.located(source, follow=False, needed=Permission.CREATE_SYMLINKS) as old,
            self.places.at(target, Permission.CREATE_SYMLINKS, Permission.UPLOAD, follow=False) as new,
        ):
            there, here = self.rules.granted(_text(old.directory)), self.rules.granted(_text(new.directory))
            if Permission.ANY not in there and not here <= there:
                raise PermissionDenied
            link(old, new)
            self.journal.command("Link", self._real(old), target_path=self._real(new))

    # Attributes.

    def change(self, path: bytes, attributes: Attributes, *, follow: bool = True) -> Deferred[None] | None:
        """Set size, mode, owner and times, all that are named in one request; nothing is done unless all may be.

        The answer takes a while where much is cut off.
        """
        wanted = self._wanted(attributes)
        with self.places.located(path, follow=follow, needed=None) as place:
            status = place.stat()
            is_directory = stat.S_ISDIR(status.st_mode)
            self._may_change(place.directory if is_directory else place.path, place.directory, wanted)
            if "size" in wanted and takes_long(status, wanted["size"]):
                return self._cut(place, wanted)
            if "size" in wanted:
                self._truncate(place, status, wanted["size"])
            if "permissions" in wanted:
                place.chmod(wanted["permissions"] & _MODE_BITS)
            if "uid" in wanted:
                place.chown(_owner(wanted["uid"]), _owner(wanted["gid"]))
            if "atime" in wanted:
                place.utime((wanted["atime"] * 10**9, wanted["mtime"] * 10**9))
            self.journal.changed(self._real(place), wanted)
        return None

    def _cut(self, place: Location, wanted: Attributes) -> Deferred[None]:
        rest = partial(self._change_open, path=paths.from_wire(place.path), wanted=wanted)
        in_thread = self.run_in_thread
        return cut(place, wanted["size"], self.account, run_in_thread=in_thread, let_go=self._let_go, rest=rest)

    def _truncate(self, place: Location, status: os.stat_result, size: int) -> None:
        """Set a file's size; what it grows by is counted before."""
        self.account.resize(status, size)
        try:
            place.truncate(size)
        except BaseException:
            self.account.resized(place.stat(), size)
            raise
        finally:
            self.account.flush()

    def _may_change_open(self, path: str, attributes: Attributes) -> Attributes:
        wanted = self._wanted(attributes)
        directory = paths.to_wire(paths.parent(path))
        self._may_change(paths.to_wire(path), directory, {k: v for k, v in wanted.items() if k != "size"})
        return wanted

    def _change_open(self, descriptor: int, path: str, wanted: Attributes) -> None:
        if "permissions" in wanted:
            os.fchmod(descriptor, wanted["permissions"] & _MODE_BITS)
        if "uid" in wanted:
            os.fchown(descriptor, _owner(wanted["uid"]), _owner(wanted["gid"]))
        if "atime" in wanted:
            os.utime(descriptor, ns=(wanted["atime"] * 10**9, wanted["mtime"] * 10**9))
        self.journal.changed(self._join_real(path), wanted)

    def _wanted(self, attributes: Attributes) -> Attributes:
        if attributes.get("size", 0) > _MAX_SIZE:
            raise OSError(errno.EFBIG, "File too large")
        if self.setstat_ignored:
            return {name: value for name, value in attributes.items() if name == "size"}
        return attributes

    def _may_change(self, directory: bytes, parent: bytes, wanted: Attributes) -> None:
        """Which permission each attribute needs; a new size is an overwrite."""
        if "size" in wanted:
            self.places.require(parent, Permission.OVERWRITE)
        if "permissions" in wanted:
            self.places.require(directory, Permission.CHMOD)
        if "uid" in wanted:
            self.places.require(directory, Permission.CHOWN)
        if "atime" in wanted:
            self.places.require(directory, Permission.CHTIMES)

    def _let_go(self, descriptor: int) -> None:
        """Free in a thread what a large file takes whose last name is gone."""
        freeing = self.run_in_thread(os.close, descriptor)
        freeing.addErrback(lambda failure: self.journal.warn(f"a file could not be freed: {failure.value}"))

    def _space_of(self, descriptor: int) -> StatVFS:
        return space_for(self.account, os.fstatvfs(descriptor))

    def _refuse_root(self, place: Location) -> None:
        if place.is_root:
            raise PermissionDenied

    # Real paths, for the log alone.

    def _real(self, place: Location) -> str:
        return self._join_real(_text(place.path))

    def _join_real(self, path: str) -> str:
        return self.user.home_dir.rstrip("/") + path

    def _virtual(self, target: bytes) -> bytes:
        """A link's target without the home's real path, which links made by the original start with."""
        real = os.fsencode(self.user.home_dir.rstrip("/"))
        if real and (target == real or target.startswith(real + b"/")):
            return target[len(real) :] or b"/"
        return target

    def _real_of(self, target: bytes, place: Location) -> str:
        return self._join_real(paths.canonical(_text(os.path.join(place.directory, target))))


def _without_stale(place: Location, action: Callable[[], None]) -> None:
    """Do what needs C{place} to be gone or an empty directory; what a killed server left there does not count."""
    try:
        action()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not _is_directory(place):
            raise
        if not remove_stale_only(place):
            raise
        action()


def _is_directory(place: Location) -> bool:
    return stat.S_ISDIR(place.stat().st_mode)


def _text(path: bytes) -> str:
    return paths.from_wire(path)


def _owner(number: int) -> int:
    """C{chown(2)}'s "leave it" travels as all ones in an unsigned field."""
    return _KEEP if number == _NO_OWNER else number
