"""One open file: what READ, WRITE, FSTAT and CLOSE do to it.

Permissions were judged when it was opened; here there is only the descriptor.  Reads are served on the reactor when the
page cache has the bytes and in a thread when the disk has to be asked.  Where neither quota nor bandwidth limits the
user, a block costs a system call and a few additions.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.handle import Denied, FileHooks, Handle, OverQuota, RunInThread
from sftpgo.avatars.upload import Upload
from sftpgo.domain.connection import Transfer
from sftpgo.errors import PermissionDenied, QuotaExceeded
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes, IExtendedSFTPFile, StatVFS
from sftpgo.ssh.listing import attributes_of
from sftpgo.storage.copying import STEP, copy_range
from sftpgo.storage.freeing import takes_long
from sftpgo.storage.memory import is_in_memory

__all__ = ["Denied", "FileHooks", "OpenFile", "OverQuota", "RunInThread"]

_RWF_NOWAIT = getattr(os, "RWF_NOWAIT", 0)
_MAX_OFFSET = 2**63 - 1


@implementer(IExtendedSFTPFile)
class OpenFile(Handle):
    """A regular file opened for reading, for writing, or for both.

    @param descriptor: owned from now on; with C{upload} it is the upload's.
    @param path: canonical virtual path, for the log.
    @param real_path: where it is for the administrator, for the log.
    @param transfer: the registry's counters, bumped as bytes move.
    @param upload: where it is open for writing: what becomes of it.
    @param device: the number of the file's device, if known.
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
        upload: Upload | None = None,
        device: int = -1,
    ) -> None:
        super().__init__(descriptor, hooks, transfer, upload, readable=readable)
        self.path = path
        self.real_path = real_path
        # Whoever writes below has to be asked about, and whoever writes beyond the stake's size paid for.
        self._floor = max(upload.floor, upload.write_from) if upload else 0
        self._stake = upload.stake if upload and upload.account.limited else None
        self._changed = upload is not None and upload.changed
        self._device = device
        self._nowait = 0 if hooks.in_memory.get(device) else _RWF_NOWAIT

    # Reading.

    def readChunk(self, offset: int, length: int) -> bytes | Deferred[bytes]:
        """Bytes from C{offset}; fewer than C{length} only at the end, none beyond it."""
        if not self.readable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for reading")
        if offset > _MAX_OFFSET - length:
            return b""
        if self._out is not None:
            here = max(0, os.fstat(self._live()).st_size - offset)
            wait = self._out.wait(min(length, here))
            if wait is not None:
                return self._later(wait.addCallback(lambda _: self._read(offset, length)))
        return self._read(offset, length)

    def _read(self, offset: int, length: int) -> bytes | Deferred[bytes]:
        buffer = bytearray(length)
        got = self._read_now(memoryview(buffer), offset)
        if got is None:
            return self._read_in_thread(offset, length)
        return bytes(memoryview(buffer)[:got])

    def readInto(self, buffer: memoryview, offset: int) -> int | None:
        """Fill C{buffer} with bytes from C{offset} and tell how many there were; fewer only at the end.

        @return: None when that cannot be done at once: for L{readChunk} then.
        """
        if self._out is not None or not self.readable or offset > _MAX_OFFSET - len(buffer):
            return None
        return self._read_now(buffer, offset)

    def _read_now(self, buffer: memoryview, offset: int) -> int | None:
        """What the page cache has; None when the disk has to be asked."""
        try:
            got = os.preadv(self._live(), [buffer], offset, self._nowait)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return None
            if error.errno == errno.EOPNOTSUPP and self._nowait:
                if not self._is_in_memory():
                    return None  # nobody can say whether it would wait
                self._nowait = 0  # never asked again
                return self._read_now(buffer, offset)
            self._failed(error)
            raise
        if 0 < got < len(buffer) and self._nowait and offset + got < os.fstat(self._descriptor).st_size:
            return None
        self.transfer.size += got
        self.transfer.last_activity = int(self._clock() * 1000)
        return got

    def _is_in_memory(self) -> bool:
        if self._device < 0:
            self._device = os.fstat(self._descriptor).st_dev
        known = self._hooks.in_memory
        if self._device not in known:
            known[self._device] = is_in_memory(self._device)
        return known[self._device]

    def _read_in_thread(self, offset: int, length: int) -> Deferred[bytes]:
        def done(data: bytes) -> bytes:
            self.transfer.size += len(data)
            self.transfer.last_activity = int(self._clock() * 1000)
            return data

        return self._threaded(os.pread, self._live(), length, offset).addCallback(done)

    # Writing.

    def writeChunk(self, offset: int, data: bytes | memoryview) -> Deferred[None] | None:
        """Write all of C{data} at C{offset}; a Deferred when the answer has to wait for its bandwidth.

        @raise OverQuota: when there is no room for it; nothing of it is written.
        """
        self._write(offset, data)
        wait = self._in.wait(len(data)) if self._in is not None else None
        return None if wait is None else self._held_back(wait)

    def writeFrom(self, data: memoryview, offset: int) -> bool:
        """Write all of C{data} at C{offset}, at once.

        @return: C{False} when the answer has to wait, and nothing was done: for L{writeChunk} then.
        """
        if self._in is not None:
            return False
        self._write(offset, data)
        return True

    def _write(self, offset: int, data: bytes | memoryview) -> None:
        length = len(data)
        end = offset + length
        if not self.writable or end > _MAX_OFFSET:
            self._refuse_write(end)
        descriptor = self._live()
        if offset < self._floor:
            self._below(offset)
        stake = self._stake
        if stake is not None and end > stake.size:
            self._grow(end)
        transfer = self.transfer
        try:
            written = os.pwrite(descriptor, data, offset)
            transfer.size += written
            if written != length:
                self._write_rest(offset + written, memoryview(data)[written:])
        except OSError as error:
            self._write_failed(error)
            raise
        if self._hasher is not None:
            self._hasher.update(offset, data)
        if not self._changed:
            self._change()
        transfer.last_activity = int(self._clock() * 1000)

    def _write_rest(self, offset: int, rest: memoryview) -> None:
        """The system took a part: the next call takes more or says why not."""
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            if not written:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.transfer.size += written
            rest = rest[written:]
            offset += written

    def _refuse_write(self, end: int) -> None:
        if not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        if end > _MAX_OFFSET:
            raise OSError(errno.EFBIG, "File too large")

    def _below(self, offset: int) -> None:
        upload = self._uploading()
        if offset < upload.write_from:
            raise SFTPError(codec.FAILURE, f"invalid write offset {offset}")
        upload.below()
        self._floor = upload.write_from

    def _grow(self, end: int) -> None:
        try:
            self._uploading().grow(end)
        except QuotaExceeded as error:
            refusal = OverQuota(error)
            self._failed(refusal)
            raise refusal from error

    def _write_failed(self, error: BaseException) -> None:
        self._failed(error)
        if self._upload is not None and not self._closed:
            self._change()
            self._upload.settle()

    def _change(self) -> None:
        self._changed = self._uploading().changed = True

    def sync(self) -> Deferred[None]:
        """Bring the file to the disk, in a thread."""
        if not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        return self._threaded(os.fsync, self._live())

    def copy_to(self, offset: int, length: int, target: OpenFile, position: int) -> Deferred[None]:
        """Copy bytes into another open file, in threads; length 0 means up to the end."""
        if not self.readable or not target.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "Permission Denied")
        if max(offset, position) > _MAX_OFFSET - length:
            raise SFTPError(codec.FAILURE, "Invalid argument")
        source, sink = self._live(), target._live()
        rest = max(0, os.fstat(source).st_size - offset)
        length = min(length or rest, rest)
        if os.path.sameopenfile(source, sink) and offset < position + length and position < offset + length:
            raise SFTPError(codec.FAILURE, "The ranges overlap")
        target._prepare_copy(position, position + length)

        def progress(moved: int) -> None:  # in the thread
            target.transfer.size += moved
            self.transfer.last_activity = target.transfer.last_activity = int(self._clock() * 1000)
            if isinstance(target._error, ConnectionAbortedError):
                raise ConnectionAbortedError("the copy was given up")

        async def copy() -> None:
            # A step is a thread's work, not the whole: others need threads too, a login among them.
            for done in range(0, length, STEP):
                some = min(STEP, length - done)
                work = copy_range, source, offset + done, some, sink, position + done, progress
                if not await self._hooks.run_in_thread(*work):
                    break

        target._begin()
        return self._later(Deferred.fromCoroutine(copy())).addBoth(target._copied)

    def _prepare_copy(self, position: int, end: int) -> None:
        if position < self._floor:
            self._below(position)
        if self._stake is not None and end > self._stake.size:
            self._grow(end)
        self._hasher = None
        self._change()

    def _copied(self, result: Any) -> Any:
        if isinstance(result, Failure):
            self._failed(result.value or ConnectionAbortedError("the copy failed"))
        self._uploading().settle()
        self._one_less()
        return result

    # Attributes.

    def getAttrs(self) -> Attributes:
        """FSTAT: of the open file, wherever its name is by now."""
        return attributes_of(os.fstat(self._live()))

    def statNow(self) -> os.stat_result:
        """What L{getAttrs} tells, as the system says it."""
        return os.fstat(self._live())

    def setAttrs(self, attrs: Attributes) -> Deferred[None] | None:
        """FSETSTAT: on the open file; nothing is done unless all may be.  It takes a while where much is cut off."""
        if "size" in attrs:
            self._uploading()
        try:
            wanted = self._hooks.may_change(self.path, attrs)
        except PermissionDenied as error:
            raise Denied(error) from error
        cutting = self._resize(wanted["size"]) if "size" in wanted else None
        if cutting is not None:
            return self._later(cutting.addCallback(lambda _: self._set(wanted)))
        self._set(wanted)
        return None

    def _set(self, wanted: Attributes) -> None:
        self._hooks.change(self._live(), self.path, wanted)
        if self._upload is not None:
            self._change()

    def _resize(self, size: int) -> Deferred[None] | None:
        """Cut or extend it; a Deferred while a thread frees what is cut off."""
        upload = self._uploading()
        status = os.fstat(self._live())
        self._hasher = None
        try:
            upload.require_size(size)
        except QuotaExceeded as error:
            raise OverQuota(error) from error
        finally:
            self._floor = max(upload.floor, upload.write_from)
        if not takes_long(status, size):
            upload.resize(size)
            return None
        return self._hooks.run_in_thread(os.ftruncate, self._descriptor, size).addBoth(self._cut)

    def _cut(self, result: Any) -> Any:
        self._uploading().settle()
        return result

    def statvfs(self) -> StatVFS:
        """The file system that holds this file."""
        return self._hooks.space(self._live())
