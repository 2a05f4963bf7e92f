"""The life of an open file: what is under way on it, and how it ends.

A descriptor is closed only when nothing uses it any more; a CLOSE waits for that, and tells the first error there was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import attrs
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sftpgo.avatars.bandwidth import UNLIMITED, Bandwidth
from sftpgo.avatars.sequential import SequentialDigest
from sftpgo.avatars.upload import Upload
from sftpgo.domain.connection import Transfer
from sftpgo.errors import PermissionDenied, QuotaExceeded
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes, StatVFS
from sftpgo.storage.freeing import LARGE, LetGo, close

RunInThread = Callable[..., "Deferred[Any]"]


class OverQuota(SFTPError, QuotaExceeded):
    """A write that the quota has no room for, in the terms of the wire and in those of the domain."""

    def __init__(self, error: QuotaExceeded) -> None:
        SFTPError.__init__(self, codec.FAILURE, str(error))

    def __str__(self) -> str:
        """The text for the client."""
        return str(self.message)


class Denied(SFTPError, PermissionDenied):
    """A request on an open file that the user may not make, in both terms as well."""

    def __init__(self, error: PermissionDenied) -> None:
        SFTPError.__init__(self, codec.PERMISSION_DENIED, str(error))

    def __str__(self) -> str:
        """The text for the client."""
        return str(self.message)


@attrs.define
class FileHooks:
    """What an open file asks of the session it belongs to.

    @ivar may_change: which of these attributes are to be set on an open file of this virtual path; raises
        L{sftpgo.errors.PermissionDenied} unless the user may set them all.
    @ivar change: sets them, but for the size; gets the descriptor as well.
    @ivar space: the file system as the user sees it, of a descriptor.
    @ivar in_memory: by device, where the kernel does not say whether a read would wait, whether none ever does (tmpfs).
    @ivar let_go: closes a descriptor of what may take long to free, in a thread.
    @ivar ended: called once with the error that spoilt the transfer, or None, when all is done.
    """

    run_in_thread: RunInThread
    clock: Callable[[], float]
    may_change: Callable[[str, Attributes], Attributes]
    change: Callable[[int, str, Attributes], None]
    space: Callable[[int], StatVFS]
    ended: Callable[[Any, BaseException | None], None]
    let_go: LetGo = os.close
    bandwidth: Bandwidth = UNLIMITED
    in_memory: dict[int, bool] = attrs.field(factory=dict)


class Handle:
    """A descriptor and what is under way on it.

    @param descriptor: owned from now on; with C{upload} it is the upload's.
    @param transfer: the registry's counters, bumped as bytes move.
    @param upload: where it is open for writing: what becomes of it.
    @ivar digest: SHA-256 of a whole sequential upload in hexadecimal, once it is closed; else empty.
    """

    def __init__(
        self, descriptor: int, hooks: FileHooks, transfer: Transfer, upload: Upload | None, *, readable: bool
    ) -> None:
        self.transfer = transfer
        self.readable = readable
        self.writable = upload is not None
        self.digest = ""
        self._descriptor = descriptor
        self._hooks = hooks
        self._clock = hooks.clock
        self._upload = upload
        self._hasher = SequentialDigest() if upload and upload.settings.digest and upload.whole else None
        self._in = hooks.bandwidth.upload() if upload else None
        self._out = hooks.bandwidth.download() if readable else None
        self._closing = False
        self._closed = False
        self._pending = 0
        self._waiting_close: Deferred[None] | None = None
        self._error: BaseException | None = None

    # The end.

    def close(self) -> Deferred[None] | None:
        """Wait for what is under way, then close and commit; the first error of the transfer is the answer."""
        if self._closing:
            raise SFTPError(codec.FAILURE, "Invalid handle")
        self._closing = True
        if self._pending:
            self._waiting_close = Deferred()
            return self._waiting_close
        return self._finish()

    def abort(self) -> None:
        """The client went away without a CLOSE."""
        if self._closing:
            return
        self._closing = True
        self._failed(ConnectionAbortedError("the client went away before it closed the file"))
        self._end_flows()
        if not self._pending:
            self._fail()

    def _finish(self) -> Deferred[None] | None:
        """Commit, or fail with the error there was."""
        if self._error is not None:
            self._fail()
            raise self._error
        if self._upload is not None and self._upload.settings.fsync and self._upload.changed:
            return Deferred.fromCoroutine(self._finish_durably(self._upload))
        self._commit()
        self._end(None)
        return None

    async def _finish_durably(self, upload: Upload) -> None:
        """The content to the disk, then its name, then the directory that holds the name."""
        try:
            await self._threaded(os.fsync, self._descriptor)
        except BaseException:
            self._fail()
            raise
        self._commit()
        try:
            await self._hooks.run_in_thread(os.fsync, upload.directory)
        except BaseException as error:
            self._end(error)
            raise
        self._end(None)

    def _finish_late(self, waiting: Deferred[None]) -> None:
        """The CLOSE that had to wait gets its answer."""
        try:
            finished = self._finish()
        except BaseException:
            waiting.errback(Failure())
            return
        if finished is None:
            waiting.callback(None)
        else:
            finished.chainDeferred(waiting)

    def _commit(self) -> None:
        self._closed = True
        try:
            if self._upload is None:
                self._close_download()
            else:
                self._take_digest()
                self._upload.commit()
        except BaseException as error:
            if self._upload is not None and self._upload.descriptor >= 0:
                self._upload.fail()
            self._end(error)
            if isinstance(error, QuotaExceeded):
                raise OverQuota(error) from error
            raise

    def _close_download(self) -> None:
        """Close it; if it was removed meanwhile, that ends it only now."""
        status = os.fstat(self._descriptor) if (self.transfer.total or 0) >= LARGE else None
        close(self._descriptor, status, self._hooks.let_go)

    def _take_digest(self) -> None:
        if self._hasher is not None:
            self.digest = self._hasher.value(os.fstat(self._descriptor).st_size)

    def _fail(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._upload is None:
                self._close_download()
            else:
                self._upload.fail()
        except OSError as error:
            self._failed(error)
        self._end(self._error)

    def _end(self, error: BaseException | None) -> None:
        self._end_flows()
        if self._upload is not None:
            self._upload.close_directory()
        self._hooks.ended(self, error)

    def _end_flows(self) -> None:
        for flow in (self._in, self._out):
            if flow is not None:
                flow.end()

    # What is under way.

    def _live(self) -> int:
        if self._closed:
            raise SFTPError(codec.FAILURE, "Invalid handle")
        return self._descriptor

    def _uploading(self) -> Upload:
        if self._upload is None:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
        return self._upload

    def _failed(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _threaded(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Run a call on the descriptor in a thread; that it fails fails the transfer."""

        def failed(failure: Any) -> Any:
            self._failed(failure.value)
            return failure

        return self._later(self._hooks.run_in_thread(function, *args).addErrback(failed))

    def _later(self, result: Deferred[Any]) -> Deferred[Any]:
        """The descriptor stays open until this has come."""
        self._begin()

        def ended(result: Any) -> Any:
            self._one_less()
            return result

        return result.addBoth(ended)

    def _held_back(self, wait: Deferred[None]) -> Deferred[None]:
        """All is done but the answer, which has to wait."""
        self.transfer.waiting += 1

        def passed(result: Any) -> Any:
            self.transfer.waiting -= 1
            self.transfer.last_activity = int(self._clock() * 1000)
            return result

        return wait.addBoth(passed)

    def _begin(self) -> None:
        self._pending += 1
        self.transfer.waiting += 1

    def _one_less(self) -> None:
        self._pending -= 1
        self.transfer.waiting -= 1
        if self._pending or not self._closing:
            return
        waiting, self._waiting_close = self._waiting_close, None
        if waiting is not None:
            self._finish_late(waiting)
        elif self._error is not None:
            self._fail()
