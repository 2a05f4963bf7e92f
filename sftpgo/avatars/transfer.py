"""One open file: what READ, WRITE, FSTAT and CLOSE do to it.

Permissions were judged when it was opened; here there is only the descriptor.  Reads are served on the reactor when the
page cache has the bytes and in a thread when the disk has to be asked.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from zope.interface import implementer

from sftpgo.domain.connection import Transfer
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes, IExtendedSFTPFile, StatVFS
from sftpgo.ssh.listing import attributes_of

RunInThread = Callable[..., "Deferred[Any]"]

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_MAX_OFFSET = 2**63 - 1
_COPY_STEP = 16 * 1024 * 1024


@attrs.define
class FileHooks:
    """What an open file asks of the session it belongs to.

    @ivar change: sets attributes on this file as far as the user may; gets the descriptor,
        the virtual path and the attributes.
    @ivar space: the file system as the user sees it, of a descriptor.
    @ivar ended: called once with the error that spoilt the transfer, or None, after the descriptor is closed.
    """

    run_in_thread: RunInThread
    clock: Callable[[], float]
    change: Callable[[int, str, Attributes], None]
    space: Callable[[int], StatVFS]
    ended: Callable[[OpenFile, BaseException | None], None]


@implementer(IExtendedSFTPFile)
class OpenFile:
    """A regular file opened for reading, for writing, or for both.

    @param descriptor: owned from now on.
    @param path: canonical virtual path, for the log.
    @param real_path: where it is for the administrator, for the log.
    @param transfer: the registry's counters, bumped as bytes move.
    @param write_from: with an append-only open, the size the file had: WRITEs below it are refused.
    """

    def __init__(
        self,
        descriptor: int,
        hooks: FileHooks,
        transfer: Transfer,
        *,
        path: str,
        real_path: str,
        readable: bool,
        writable: bool,
        write_from: int = 0,
    ) -> None:
        self.transfer = transfer
        self.path = path
        self.real_path = real_path
        self.readable = readable
        self.writable = writable
        self._descriptor = descriptor
        self._hooks = hooks
        self._write_from = write_from
        self._closed = False
        self._pending = 0
        self._waiting_close: Deferred[None] | None = None
        self._error: BaseException | None = None
        self._nowait = _RWF_NOWAIT

    # Reading.

    def readChunk(self, offset: int, length: int) -> bytes | Deferred[bytes]:
        """Bytes from C{offset}; fewer than C{length} only at the end, none beyond it."""
        if offset > _MAX_OFFSET - length:
            return b""
        buffer = memoryview(bytearray(length))
        got = self.readInto(buffer, offset)
        return self._read_in_thread(offset, length) if got is None else bytes(buffer[:got])

    def readInto(self, buffer: memoryview, offset: int) -> int | None:
        """Fill C{buffer} from C{offset} with what the page cache has; the wire's fast way.

        @return: bytes read, 0 at the end; None when it would wait: then L{readChunk} is asked.
        """
        if not self.readable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for reading")
        length = len(buffer)
        if offset > _MAX_OFFSET - length:
            return 0
        try:
            got = os.preadv(self._live(), (buffer,), offset, self._nowait)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP and self._nowait:
                self._nowait = 0  # tmpfs and the like: always in memory, never asked again
                return self.readInto(buffer, offset)
            if error.errno == errno.EAGAIN:
                return None
            self._failed(error)
            raise
        if got < length and self._nowait and got and offset + got < os.fstat(self._descriptor).st_size:
            return None
        self._moved(got)
        return got

    def _read_in_thread(self, offset: int, length: int) -> Deferred[bytes]:
        def done(data: bytes) -> bytes:
            self._moved(len(data))
            return data

        return self._threaded(os.pread, self._live(), length, offset).addCallback(done)

    # Writing.

    def writeFrom(self, data: memoryview, offset: int) -> bool:
        """Write all of C{data}, which is only lent, at C{offset}; the wire's fast way.

        @return: False when it would have to wait: then L{writeChunk} is asked, with bytes to keep.
        """
        self.writeChunk(offset, data)
        return True

    def writeChunk(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of C{data} at C{offset}."""
        if not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        if offset < self._write_from:
            raise SFTPError(codec.FAILURE, f"invalid write offset {offset}")
        if offset > _MAX_OFFSET - len(data):
            raise OSError(errno.EFBIG, "File too large")
        descriptor = self._live()
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(descriptor, rest, offset)
                rest = rest[written:]
                offset += written
                self._moved(written)
        except OSError as error:
            self._failed(error)
            raise

    def sync(self) -> Deferred[None]:
        """Bring the file to the disk, in a thread."""
        if not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        return self._threaded(os.fsync, self._live())

    def copy_to(self, offset: int, length: int, target: OpenFile, position: int) -> Deferred[None]:
        """Copy bytes into another open file, in a thread; length 0 means up to the end."""
        if not self.readable or not target.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "Permission Denied")
        if max(offset, position) > _MAX_OFFSET - length or position < target._write_from:
            raise SFTPError(codec.FAILURE, "Invalid argument")
        source, sink = self._live(), target._live()
        if os.path.sameopenfile(source, sink):
            end = length or os.fstat(source).st_size
            if offset < position + end and position < offset + end:
                raise SFTPError(codec.FAILURE, "The ranges overlap")
        target._pending += 1

        def done(result: Any) -> Any:
            target._moved(target._copied)
            target._copied = 0
            target._one_less()
            return result

        return self._threaded(_copy, source, offset, length, sink, position, target).addBoth(done)

    _copied = 0

    # Attributes.

    def getAttrs(self) -> Attributes:
        """FSTAT: of the open file, wherever its name is by now."""
        return attributes_of(os.fstat(self._live()))

    def setAttrs(self, attrs: Attributes) -> None:
        """FSETSTAT: on the open file."""
        if "size" in attrs and not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        self._hooks.change(self._live(), self.path, attrs)

    def statvfs(self) -> StatVFS:
        """The file system that holds this file."""
        return self._hooks.space(self._live())

    # The end.

    def close(self) -> Deferred[None] | None:
        """Wait for what is under way, then close; the first error of the transfer is the answer."""
        if self._pending:
            self._waiting_close = Deferred()
            return self._waiting_close
        self._finish(self._error)
        if self._error is not None:
            raise self._error
        return None

    def abort(self) -> None:
        """The client went away without a CLOSE."""
        if self._error is None:
            self._error = ConnectionAbortedError("the client went away before it closed the file")
        if not self._pending:
            self._finish(self._error)

    def _finish(self, error: BaseException | None) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            os.close(self._descriptor)
        except OSError as close_error:
            error = self._error = error or close_error
        self._hooks.ended(self, error)

    # Helpers.

    def _live(self) -> int:
        if self._closed:
            raise SFTPError(codec.FAILURE, "Invalid handle")
        return self._descriptor

    def _moved(self, count: int) -> None:
        self.transfer.size += count
        self.transfer.last_activity = int(self._hooks.clock() * 1000)

    def _failed(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _threaded(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Run a call on the descriptor in a thread; the descriptor stays open until it has ended."""
        self._pending += 1

        def failed(failure: Any) -> Any:
            self._failed(failure.value)
            return failure

        def ended(result: Any) -> Any:
            self._one_less()
            return result

        return self._hooks.run_in_thread(function, *args).addErrback(failed).addBoth(ended)

    def _one_less(self) -> None:
        self._pending -= 1
        if self._pending:
            return
        waiting, self._waiting_close = self._waiting_close, None
        if waiting is not None:
            self._finish(self._error)
            if self._error is None:
                waiting.callback(None)
            else:
                waiting.errback(self._error)
        elif isinstance(self._error, ConnectionAbortedError):
            self._finish(self._error)


def _copy(source: int, offset: int, length: int, sink: int, position: int, target: OpenFile) -> None:
    """Copy in the kernel where it can, in steps; runs in a thread."""
    left = length or _MAX_OFFSET
    while left:
        step = min(left, _COPY_STEP)
        try:
            moved = os.copy_file_range(source, sink, step, offset, position)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            moved = os.pwrite(sink, os.pread(source, min(step, 1024 * 1024), offset), position)
        if not moved:
            return
        offset += moved
        position += moved
        left -= moved
        target._copied += moved
