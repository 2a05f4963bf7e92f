"""What each SFTP request asks of the C{ISFTPServer} behind it (draft-ietf-secsh-filexfer-02, section 6)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from struct import Struct
from typing import Any

import attrs
from twisted.conch.interfaces import ISFTPServer
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger

from sftpgo.ssh import codec
from sftpgo.ssh.codec import Reader, Unsupported
from sftpgo.ssh.interfaces import (
    IDirectoryReader,
    IExtendedSFTPFile,
    IExtendedSFTPServer,
    NameEntry,
    StatVFS,
)

#: The longest answer to one READ, in bytes; what is beyond is left for the client's next READ.
MAX_READ = 255 * 1024
MAX_WRITE = 255 * 1024
MAX_PACKET = 256 * 1024
#: Open handles a channel may hold.
MAX_HANDLES = 1000
#: Entries in the answer to one READDIR at most.
ENTRIES_PER_READDIR = 512
#: Their bytes at most, if there are several: not every client takes as large a packet as it may be sent.
BYTES_PER_READDIR = 64 * 1024

_HANDLE = Struct(">L")

Reply = bytes | Deferred[bytes]


@attrs.define(eq=False)
class _OpenDirectory:
    """A directory handle over either kind of directory an C{ISFTPServer} may return."""

    source: Any
    _iterator: Iterator[Any] | None = None
    _left: list[bytes] = attrs.field(init=False, factory=list)

    def read(self, request_id: int) -> Reply:
        """The reply with the next entries."""
        if self._left:
            return self._some(request_id, self._left)
        if IDirectoryReader.providedBy(self.source):
            return _then(self.source.readPacked(ENTRIES_PER_READDIR), lambda packed: self._some(request_id, packed))
        if self._iterator is None:
            self._iterator = iter(self.source)
        some = [NameEntry(*entry) for entry, _ in zip(self._iterator, range(ENTRIES_PER_READDIR), strict=False)]
        return self._some(request_id, [codec.name(entry) for entry in some])

    def _some(self, request_id: int, packed: Sequence[bytes]) -> bytes:
        """The reply with as many of these as it may hold; the others wait for the next request."""
        ends = accumulate(map(len, packed))
        count = max(1, bisect_right(list(ends), BYTES_PER_READDIR))
        self._left = list(packed[count:])
        return _names(request_id, packed[:count])

    def close(self) -> Any:
        """Let go of it."""
        close = getattr(self.source, "close", None)
        return close() if close is not None else None


class Requests:
    """The requests of one session and the handles they opened.

    Each method takes a request's id and the rest of its packet, and returns the reply packet or a Deferred of it.

    @param files: an C{ISFTPServer}, maybe an L{IExtendedSFTPServer}.
    """

    _log = Logger()

    def __init__(self, files: Any) -> None:
        self._files = ISFTPServer(files)
        self._extended = IExtendedSFTPServer(files, None)
        #: What is open, by the number that stands in the handle.
        self.handles: dict[int, Any] = {}
        self._last_handle = 0

    def extensions(self) -> list[tuple[bytes, bytes]]:
        """What VERSION announces (OpenSSH's PROTOCOL, section 4)."""
        announced = [(b"limits@openssh.com", b"1"), (b"fsync@openssh.com", b"1")]
        if self._extended is not None:
            announced += [
                (b"posix-rename@openssh.com", b"1"),
                (b"hardlink@openssh.com", b"1"),
                (b"statvfs@openssh.com", b"2"),
                (b"fstatvfs@openssh.com", b"2"),
                (b"lsetstat@openssh.com", b"1"),
                (b"expand-path@openssh.com", b"1"),
                (b"copy-data", b"1"),
            ]
        return announced

    def answer(self, kind: int, request_id: int, packet: Reader) -> Reply:
        """Serve one request.

        @raise Unsupported: for an unknown type.
        @raise codec.Malformed: for a packet that ends too early.
        """
        serve = _REQUESTS.get(kind)
        if serve is None:
            raise Unsupported(kind)
        return serve(self, request_id, packet)

    def abandon(self) -> None:
        """Close what the client left open; one that fails does not keep the others from being closed."""
        handles = list(self.handles.values())
        self.handles.clear()
        for handle in handles:
            end = getattr(handle, "abort", handle.close)
            maybeDeferred(end).addErrback(lambda f: self._log.failure("Closing a left handle failed", failure=f))

    # Handles.

    def _open_handle(self, request_id: int, target: Any) -> bytes:
        self._last_handle += 1
        self.handles[self._last_handle] = target
        return codec.reply(codec.HANDLE, request_id, codec.string(_HANDLE.pack(self._last_handle)))

    def _opened(self, handle: bytes) -> Any:
        number = _HANDLE.unpack(handle)[0] if len(handle) == _HANDLE.size else 0
        return self.handles.get(number)

    def _check_room(self) -> None:
        if len(self.handles) >= MAX_HANDLES:
            raise SFTPError(codec.FAILURE, "Too many open handles")

    def _file(self, handle: bytes) -> Any:
        target = self._opened(handle)
        if target is None or isinstance(target, _OpenDirectory):
            raise SFTPError(codec.FAILURE, "Invalid handle")
        return target

    def _directory(self, handle: bytes) -> _OpenDirectory:
        target = self._opened(handle)
        if not isinstance(target, _OpenDirectory):
            raise SFTPError(codec.FAILURE, "Invalid handle")
        return target

    # Files.

    def open(self, request_id: int, packet: Reader) -> Reply:
        """OPEN (6.3)."""
        path, flags, attributes = packet.string(), packet.uint32(), packet.attributes()
        self._check_room()
        opened = self._files.openFile(path, flags, attributes)
        return _then(opened, lambda file: self._open_handle(request_id, file))

    def close(self, request_id: int, packet: Reader) -> Reply:
        """CLOSE (6.3): the handle is gone afterwards, whatever its end says."""
        handle = packet.string()
        target = self._opened(handle)
        if target is None:
            raise SFTPError(codec.FAILURE, "Invalid handle")
        del self.handles[_HANDLE.unpack(handle)[0]]
        return _done(request_id, target.close())

    def read(self, request_id: int, packet: Reader) -> Reply:
        """READ (6.4): at most L{MAX_READ} bytes; fewer are no end of the file."""
        file, offset, length = self._file(packet.string()), packet.uint64(), packet.uint32()

        def data(chunk: bytes) -> bytes:
            if not chunk and length:
                return codec.status(request_id, codec.EOF, b"EOF")
            return codec.reply(codec.DATA, request_id, codec.string(chunk))

        return _then(file.readChunk(offset, min(length, MAX_READ)), data)

    def write(self, request_id: int, packet: Reader) -> Reply:
        """WRITE (6.4)."""
        file, offset, data = self._file(packet.string()), packet.uint64(), packet.string()
        return _done(request_id, file.writeChunk(offset, data))

    def fstat(self, request_id: int, packet: Reader) -> Reply:
        """FSTAT (6.8)."""
        return _attributes(request_id, self._file(packet.string()).getAttrs())

    def fsetstat(self, request_id: int, packet: Reader) -> Reply:
        """FSETSTAT (6.9)."""
        file, attributes = self._file(packet.string()), packet.attributes()
        return _done(request_id, file.setAttrs(attributes))

    # Paths.

    def stat(self, request_id: int, packet: Reader) -> Reply:
        """STAT (6.8): follows links."""
        return _attributes(request_id, self._files.getAttrs(packet.string(), True))

    def lstat(self, request_id: int, packet: Reader) -> Reply:
        """LSTAT (6.8): does not."""
        return _attributes(request_id, self._files.getAttrs(packet.string(), False))

    def setstat(self, request_id: int, packet: Reader) -> Reply:
        """SETSTAT (6.9)."""
        path, attributes = packet.string(), packet.attributes()
        return _done(request_id, self._files.setAttrs(path, attributes))

    def remove(self, request_id: int, packet: Reader) -> Reply:
        """REMOVE (6.5)."""
        return _done(request_id, self._files.removeFile(packet.string()))

    def rename(self, request_id: int, packet: Reader) -> Reply:
        """RENAME (6.5)."""
        return _done(request_id, self._files.renameFile(packet.string(), packet.string()))

    def mkdir(self, request_id: int, packet: Reader) -> Reply:
        """MKDIR (6.6)."""
        path, attributes = packet.string(), packet.attributes()
        return _done(request_id, self._files.makeDirectory(path, attributes))

    def rmdir(self, request_id: int, packet: Reader) -> Reply:
        """RMDIR (6.6)."""
        return _done(request_id, self._files.removeDirectory(packet.string()))

    def opendir(self, request_id: int, packet: Reader) -> Reply:
        """OPENDIR (6.7)."""
        path = packet.string()
        self._check_room()
        opened = self._files.openDirectory(path)
        return _then(opened, lambda source: self._open_handle(request_id, _OpenDirectory(source)))

    def readdir(self, request_id: int, packet: Reader) -> Reply:
        """READDIR (6.7)."""
        return self._directory(packet.string()).read(request_id)

    def realpath(self, request_id: int, packet: Reader) -> Reply:
        """REALPATH (6.11)."""
        return _path(request_id, self._files.realPath(packet.string()))

    def readlink(self, request_id: int, packet: Reader) -> Reply:
        """READLINK (6.10)."""
        return _path(request_id, self._files.readLink(packet.string()))

    def symlink(self, request_id: int, packet: Reader) -> Reply:
        """SYMLINK (6.10), in the order OpenSSH made a fact: first what it points to, then the link."""
        target, link = packet.string(), packet.string()
        return _done(request_id, self._files.makeLink(link, target))

    # Extensions.

    def extension(self, request_id: int, packet: Reader) -> Reply:
        """EXTENDED (section 8)."""
        name = packet.string()
        if name == b"limits@openssh.com":
            return codec.limits(request_id, MAX_PACKET, MAX_READ, MAX_WRITE, MAX_HANDLES)
        if name == b"fsync@openssh.com":
            file = IExtendedSFTPFile(self._file(packet.string()), None)
            if file is None:
                raise Unsupported(name)
            return _done(request_id, file.sync())
        serve = _EXTENSIONS.get(name)
        if serve is not None and self._extended is not None:
            return serve(self, request_id, packet, self._extended)
        return self._foreign_extension(request_id, name, packet.rest())

    def _foreign_extension(self, request_id: int, name: bytes, data: bytes) -> Reply:
        """An extension that only the C{ISFTPServer} may know."""

        def unknown(failure: Any) -> Any:
            failure.trap(NotImplementedError)
            raise Unsupported(name)

        def packed(answer: bytes | None) -> bytes:
            if answer is None:
                return codec.status(request_id, codec.OK, b"")
            return codec.reply(codec.EXTENDED_REPLY, request_id, answer)

        return maybeDeferred(self._files.extendedRequest, name, data).addErrback(unknown).addCallback(packed)

    def _posix_rename(self, request_id: int, packet: Reader, files: Any) -> Reply:
        return _done(request_id, files.posixRename(packet.string(), packet.string()))

    def _hardlink(self, request_id: int, packet: Reader, files: Any) -> Reply:
        return _done(request_id, files.hardLink(packet.string(), packet.string()))

    def _statvfs(self, request_id: int, packet: Reader, files: Any) -> Reply:
        return _space(request_id, files.statvfs(packet.string()))

    def _fstatvfs(self, request_id: int, packet: Reader, files: Any) -> Reply:
        file = IExtendedSFTPFile(self._file(packet.string()), None)
        if file is None:
            raise Unsupported("fstatvfs")
        return _space(request_id, file.statvfs())

    def _lsetstat(self, request_id: int, packet: Reader, files: Any) -> Reply:
        path, attributes = packet.string(), packet.attributes()
        return _done(request_id, files.setLinkAttrs(path, attributes))

    def _expand_path(self, request_id: int, packet: Reader, files: Any) -> Reply:
        return _path(request_id, files.expandPath(packet.string()))

    def _copy_data(self, request_id: int, packet: Reader, files: Any) -> Reply:
        source, offset, length = self._file(packet.string()), packet.uint64(), packet.uint64()
        target, position = self._file(packet.string()), packet.uint64()
        return _done(request_id, files.copyData(source, offset, length, target, position))


_REQUESTS: dict[int, Callable[[Requests, int, Reader], Reply]] = {
    codec.OPEN: Requests.open,
    codec.CLOSE: Requests.close,
    codec.READ: Requests.read,
    codec.WRITE: Requests.write,
    codec.LSTAT: Requests.lstat,
    codec.FSTAT: Requests.fstat,
    codec.SETSTAT: Requests.setstat,
    codec.FSETSTAT: Requests.fsetstat,
    codec.OPENDIR: Requests.opendir,
    codec.READDIR: Requests.readdir,
    codec.REMOVE: Requests.remove,
    codec.MKDIR: Requests.mkdir,
    codec.RMDIR: Requests.rmdir,
    codec.REALPATH: Requests.realpath,
    codec.STAT: Requests.stat,
    codec.RENAME: Requests.rename,
    codec.READLINK: Requests.readlink,
    codec.SYMLINK: Requests.symlink,
    codec.EXTENDED: Requests.extension,
}

_EXTENSIONS: dict[bytes, Callable[[Requests, int, Reader, Any], Reply]] = {
    b"posix-rename@openssh.com": Requests._posix_rename,
    b"hardlink@openssh.com": Requests._hardlink,
    b"statvfs@openssh.com": Requests._statvfs,
    b"fstatvfs@openssh.com": Requests._fstatvfs,
    b"lsetstat@openssh.com": Requests._lsetstat,
    b"expand-path@openssh.com": Requests._expand_path,
    b"copy-data": Requests._copy_data,
}


def _then(result: Any, convert: Callable[[Any], bytes]) -> Reply:
    """The converted result, now or when it comes."""
    if isinstance(result, Deferred):
        converted: Deferred[bytes] = result.addCallback(convert)
        return converted
    return convert(result)


def _names(request_id: int, packed: Sequence[bytes]) -> bytes:
    return codec.packed_names(request_id, packed) if packed else codec.status(request_id, codec.EOF, b"EOF")


def _done(request_id: int, result: Any) -> Reply:
    return _then(result, lambda _: codec.status(request_id, codec.OK, b""))


def _attributes(request_id: int, result: Any) -> Reply:
    return _then(result, lambda attrs_: codec.reply(codec.ATTRS, request_id, codec.attributes(attrs_)))


def _path(request_id: int, result: Any) -> Reply:
    return _then(result, lambda path: codec.names(request_id, [NameEntry(path, path, {})]))


def _space(request_id: int, result: Any) -> Reply:
    return _then(result, lambda space: codec.statvfs(request_id, StatVFS(*space)))
