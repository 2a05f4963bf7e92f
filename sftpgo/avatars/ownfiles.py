"""The requests of a user whose files are an embedding program's own: judged here, done there."""

from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.conch.interfaces import ISFTPServer
from twisted.conch.ssh.filetransfer import FX_NO_SUCH_FILE, SFTPError
from twisted.internet.defer import Deferred
from zope.interface import implementer

from sftpgo.avatars.hooked import client_of
from sftpgo.avatars.hookedsession import as_status
from sftpgo.avatars.ownfile import OwnFile
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.domain.connection import DOWNLOAD, UPLOAD
from sftpgo.domain.permissions import Permission
from sftpgo.errors import PermissionDenied
from sftpgo.hooks.model import Operation, Verb
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes, IExtendedSFTPServer

if TYPE_CHECKING:
    from sftpgo.avatars.own import OwnSession

_WRITING = codec.OPEN_WRITE | codec.OPEN_APPEND | codec.OPEN_CREAT | codec.OPEN_TRUNC


@implementer(ISFTPServer)
class OwnFiles:
    """What one SFTP session may do with somebody's C{ISFTPServer}, which gets canonical paths only.

    @param own: may return its results, Deferreds of them, or coroutines; raises C{SFTPError} or L{OSError}.
    """

    avatar: Any = None

    def __init__(self, own: Any, session: OwnSession) -> None:
        self._own = own
        self._session = session
        self._ended = False

    def end(self) -> None:
        """The channel is gone."""
        self._ended = True

    def gotVersion(self, otherVersion: int, extData: Any) -> dict[bytes, bytes]:
        """Conch's hook for VERSION; the wire announces the extensions."""
        return {}

    # Files.

    def openFile(self, filename: bytes, flags: int, attrs: Attributes) -> Any:
        """OPEN: any flag of writing makes it an upload."""
        path = canonical(filename)
        if not flags & (_WRITING | codec.OPEN_READ):
            raise SFTPError(codec.FAILURE, "bad file flags")
        open_ = partial(self._open, path, flags)
        if not flags & _WRITING:
            return self._judged(Verb.DOWNLOAD, path, open_, transfer=True)
        if flags & codec.OPEN_READ:
            inner = open_
            ask = partial(self._operation, Verb.DOWNLOAD, path)
            open_ = partial(self._session.gate.only_ask, ask, inner)
        return self._judged(Verb.UPLOAD, path, open_, transfer=True)

    def _open(self, path: bytes, flags: int) -> Any:
        return Deferred.fromCoroutine(self._opened(path, flags))

    async def _opened(self, path: bytes, flags: int) -> OwnFile:
        writing = bool(flags & _WRITING)
        if writing:
            missing = await self._is_missing(path)
            self._require(path, Permission.UPLOAD if missing else Permission.OVERWRITE)
            if missing and not self._allows(path, Permission.OVERWRITE):
                flags |= codec.OPEN_CREAT | codec.OPEN_EXCL  # should somebody else be quicker
        if not writing or flags & codec.OPEN_READ:
            self._require(path, Permission.DOWNLOAD)
        file = await later(self._own.openFile(path, flags, {}))
        session = self._session
        transfer = session.journal.started(UPLOAD if writing else DOWNLOAD, paths.from_wire(path))
        opened = OwnFile(
            file,
            transfer,
            session,
            path=paths.from_wire(path),
            writable=writing,
            may_change=partial(self._may_change, path),
        )
        if self._ended or session.over:
            await later(opened.abort())
            raise SFTPError(codec.FAILURE, "the channel is closed")
        return opened

    async def _is_missing(self, path: bytes) -> bool:
        try:
            await later(self._own.getAttrs(path, True))
        except FileNotFoundError:
            return True
        except SFTPError as error:
            if error.code != FX_NO_SUCH_FILE:
                raise
            return True
        return False

    # Names.

    def removeFile(self, filename: bytes) -> Any:
        """REMOVE."""
        path = canonical(filename)
        self._refuse_root(path)
        return self._on(Verb.REMOVE, path, [Permission.DELETE], lambda: self._own.removeFile(path), "Remove")

    def removeDirectory(self, path: bytes) -> Any:
        """RMDIR, never of the root."""
        path = canonical(path)
        self._refuse_root(path)
        return self._on(Verb.RMDIR, path, [Permission.DELETE], lambda: self._own.removeDirectory(path), "Rmdir")

    def makeDirectory(self, path: bytes, attrs: Attributes) -> Any:
        """MKDIR."""
        path = canonical(path)
        make = partial(self._own.makeDirectory, path, {})  # modes follow the server, not the client
        return self._on(Verb.MKDIR, path, [Permission.CREATE_DIRS], make, "Mkdir")

    def renameFile(self, oldpath: bytes, newpath: bytes) -> Any:
        """RENAME; what stands at the target is the C{ISFTPServer}'s to replace or to refuse."""
        return self._rename(self._own.renameFile, oldpath, newpath)

    def _rename(self, rename: Callable[[bytes, bytes], Any], oldpath: bytes, newpath: bytes) -> Any:
        old, new = canonical(oldpath), canonical(newpath)
        self._refuse_root(old)
        self._refuse_root(new)

        async def judged() -> Any:
            for path in (old, new):
                self._require(path, Permission.RENAME)
                text = paths.from_wire(path)
                if self._session.rules.has_entry(text) or self._session.rules.entries_below(text):
                    raise PermissionDenied("Permission Denied: the directory has permissions of its own")
            if old != new and not await self._is_missing(new):
                self._require(new, Permission.OVERWRITE)
            return await later(rename(old, new))

        return self._told(Verb.RENAME, old, judged, "Rename", target=new)

    def makeLink(self, linkPath: bytes, targetPath: bytes) -> Any:
        """SYMLINK: what is stored is the target as given."""
        link = canonical(linkPath)
        leads_to = canonical(os.path.join(os.path.dirname(link), targetPath))

        async def judged() -> Any:
            self._require(link, Permission.CREATE_SYMLINKS)
            self._require(leads_to, Permission.CREATE_SYMLINKS)
            return await later(self._own.makeLink(link, targetPath))

        return self._told(Verb.SYMLINK, leads_to, judged, "Symlink", target=link)

    # Looking.

    def openDirectory(self, path: bytes) -> Any:
        """OPENDIR: the permission is the directory's own."""
        path = canonical(path)

        async def judged() -> Any:
            self._require(path, Permission.LIST, itself=True)
            opened = await later(self._own.openDirectory(path))
            if self._ended or self._session.over:
                await later(getattr(opened, "close", lambda: None)())
                raise SFTPError(codec.FAILURE, "the channel is closed")
            return opened

        return self._judged(Verb.LIST, path, lambda: Deferred.fromCoroutine(judged()))

    def getAttrs(self, path: bytes, followLinks: bool) -> Any:
        """STAT and LSTAT."""
        path = canonical(path)
        return self._on(Verb.STAT, path, [Permission.LIST], lambda: self._own.getAttrs(path, followLinks))

    def readLink(self, path: bytes) -> Any:
        """READLINK."""
        path = canonical(path)
        return self._on(Verb.READLINK, path, [Permission.LIST], lambda: self._own.readLink(path))

    def realPath(self, path: bytes) -> bytes:
        """REALPATH: the path cleaned as text."""
        self._session.touched()
        return canonical(path)

    # Attributes.

    def setAttrs(self, path: bytes, attrs: Attributes) -> Any:
        """SETSTAT."""
        return self._change(self._own.setAttrs, canonical(path), attrs)

    def _change(self, change: Callable[[bytes, Attributes], Any], path: bytes, attrs: Attributes) -> Any:
        if not attrs:
            raise SFTPError(codec.BAD_MESSAGE, "Bad Message")

        async def judged() -> Any:
            self._may_change(path, attrs)
            result = await later(change(path, attrs))
            self._session.journal.changed(paths.from_wire(path), attrs)
            return result

        ask = partial(self._operation, Verb.SETSTAT, path, attributes=attrs)
        return self._answer(ask, lambda: Deferred.fromCoroutine(judged()))

    def _may_change(self, path: bytes, attrs: Attributes) -> None:
        for name, permission in (
            ("size", Permission.OVERWRITE),
            ("permissions", Permission.CHMOD),
            ("uid", Permission.CHOWN),
            ("atime", Permission.CHTIMES),
        ):
            if name in attrs:
                self._require(path, permission)

    def extendedRequest(self, extendedName: bytes, extendedData: bytes) -> Any:
        """No extension whose paths nobody here could judge."""
        raise NotImplementedError(extendedName)

    # The way of each request: the hook, the permission, the ISFTPServer, the log.

    def _on(self, verb: Verb, path: bytes, needed: list[Permission], do: Callable[[], Any], command: str = "") -> Any:
        async def judged() -> Any:
            for permission in needed:
                self._require(path, permission)
            return await later(do())

        return self._told(verb, path, judged, command)

    def _told(self, verb: Verb, path: bytes, do: Callable[[], Any], command: str, target: bytes = b"") -> Any:
        async def told() -> Any:
            result = await do()
            if command:
                journal = self._session.journal
                journal.command(command, paths.from_wire(path), target_path=paths.from_wire(target))
            return result

        return self._judged(verb, path, lambda: Deferred.fromCoroutine(told()), target=paths.from_wire(target))

    def _judged(
        self, verb: Verb, path: bytes, do: Callable[[], Any], *, target: str = "", transfer: bool = False
    ) -> Any:
        return self._answer(partial(self._operation, verb, path, target=target), do, transfer=transfer)

    def _answer(self, ask: Callable[[], Operation], do: Callable[[], Any], *, transfer: bool = False) -> Any:
        self._session.touched()
        try:
            result = self._session.gate.run(ask, do, transfer=transfer)
        except PermissionDenied as error:
            raise SFTPError(codec.PERMISSION_DENIED, str(error)) from error
        return result.addErrback(as_status) if isinstance(result, Deferred) else result

    def _operation(
        self, verb: Verb, path: bytes, *, target: str = "", attributes: Attributes | None = None
    ) -> Operation:
        session = self._session
        user, client = session.user.without_password(), client_of(session.journal)
        return Operation(verb, paths.from_wire(path), user, client, target, attributes or {})

    def _require(self, path: bytes, permission: Permission, *, itself: bool = False) -> None:
        if not self._allows(path, permission, itself=itself):
            raise PermissionDenied

    def _allows(self, path: bytes, permission: Permission, *, itself: bool = False) -> bool:
        text = paths.from_wire(path)
        return self._session.rules.allows(text if itself else paths.parent(text), permission)

    def _refuse_root(self, path: bytes) -> None:
        if path == b"/":
            raise SFTPError(codec.PERMISSION_DENIED, "Permission Denied")


@implementer(IExtendedSFTPServer)
class OwnExtendedFiles(OwnFiles):
    """As above, where the C{ISFTPServer} has the extensions too."""

    def posixRename(self, oldpath: bytes, newpath: bytes) -> Any:
        """C{posix-rename@openssh.com}."""
        return self._rename(self._own.posixRename, oldpath, newpath)

    def hardLink(self, oldpath: bytes, newpath: bytes) -> Any:
        """C{hardlink@openssh.com}: where that grants nothing that the first place does not."""
        old, new = canonical(oldpath), canonical(newpath)

        async def judged() -> Any:
            self._require(old, Permission.CREATE_SYMLINKS)
            self._require(new, Permission.CREATE_SYMLINKS)
            self._require(new, Permission.UPLOAD)
            there, here = (self._session.rules.granted(paths.parent(paths.from_wire(path))) for path in (old, new))
            if Permission.ANY not in there and not here <= there:
                raise PermissionDenied
            return await later(self._own.hardLink(old, new))

        return self._told(Verb.LINK, old, judged, "Link", target=new)

    def statvfs(self, path: bytes) -> Any:
        """C{statvfs@openssh.com}."""
        path = canonical(path)
        return self._on(Verb.SPACE, path, [Permission.LIST], lambda: self._own.statvfs(path))

    def setLinkAttrs(self, path: bytes, attrs: Attributes) -> Any:
        """C{lsetstat@openssh.com}."""
        return self._change(self._own.setLinkAttrs, canonical(path), attrs)

    def expandPath(self, path: bytes) -> bytes:
        """C{expand-path@openssh.com}: the home is the root; other users' homes are unknown."""
        if path == b"~" or path.startswith(b"~/"):
            path = path[1:]
        elif path.startswith(b"~"):
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        return canonical(path)

    def copyData(self, source: Any, offset: int, length: int, target: Any, position: int) -> Any:
        """C{copy-data}."""
        raise SFTPError(codec.OP_UNSUPPORTED, "Operation Unsupported")


async def later(result: Any) -> Any:
    """A result that may be a Deferred or a coroutine."""
    if inspect.iscoroutine(result):
        result = Deferred.fromCoroutine(result)
    return await result if isinstance(result, Deferred) else result
