"""An open file of an embedding program's own: its bytes are counted and paid for here."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.conch.interfaces import ISFTPFile
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.avatars.hooked import Gate, client_of
from sftpgo.avatars.hookedsession import as_status
from sftpgo.domain.connection import Transfer
from sftpgo.errors import PermissionDenied
from sftpgo.hooks.model import Operation, Verb
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes

if TYPE_CHECKING:
    from sftpgo.avatars.own import OwnSession


@implementer(ISFTPFile)
class OwnFile:
    """One transfer.

    @param file: an C{ISFTPFile}; its methods may return their results, Deferreds of them, or coroutines.
    @param may_change: raises L{PermissionDenied} unless the user may set these attributes.
    """

    #: What the log says of an upload where its content was not hashed.
    digest = ""

    def __init__(
        self,
        file: Any,
        transfer: Transfer,
        session: OwnSession,
        *,
        path: str,
        writable: bool,
        may_change: Callable[[Attributes], None],
    ) -> None:
        self.transfer = transfer
        self.writable = writable
        self.real_path = path
        self._file = file
        self._session = session
        self._may_change = may_change
        self._in = session.bandwidth.upload() if writable else None
        self._out = session.bandwidth.download()
        self._error: BaseException | None = None
        self._pending = 0
        self._idle: Deferred[None] | None = None
        self._closing = False
        self._asked: tuple[Gate, Operation, float] | None = None

    def opened_for(self, gate: Gate, operation: Operation, started: float) -> None:
        """Remember what it was opened for, to tell of its end."""
        self._asked = gate, operation, started

    # Bytes.

    def readChunk(self, offset: int, length: int) -> Any:
        """READ: an empty answer is the end of the file."""

        def ask() -> Any:
            return _called(lambda: self._file.readChunk(offset, length)).addCallback(lambda data: data[:length])

        def read(_paid: object = None) -> Any:
            return self._watched(ask, len)

        wait = self._out.wait(length) if self._out is not None else None
        return read() if wait is None else wait.addCallback(read)

    def writeChunk(self, offset: int, data: bytes) -> Any:
        """WRITE; the answer waits for its bandwidth."""
        if not self.writable:
            raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")

        def paid(_result: object) -> Any:
            return self._in.wait(len(data)) if self._in is not None else None

        return self._watched(lambda: self._file.writeChunk(offset, bytes(data)), lambda _: len(data)).addCallback(paid)

    def _watched(self, call: Callable[[], Any], count: Callable[[Any], int]) -> Deferred[Any]:
        """A call that moves bytes, and whose failure fails the transfer, unless it is the end of the file."""
        self._pending += 1
        self.transfer.waiting += 1

        def ended(result: Any) -> Any:
            self._pending -= 1
            self.transfer.waiting -= 1
            if not isinstance(result, Failure):
                self.transfer.size += count(result)
                self.transfer.last_activity = self._session.now()
            elif not _is_end(result) and self._error is None:
                self._error = result.value
            if not self._pending and self._idle is not None and not self._idle.called:
                self._idle.callback(None)
            return result

        return _called(call).addBoth(ended)

    # Attributes.

    def getAttrs(self) -> Any:
        """FSTAT."""
        return _called(self._file.getAttrs)

    def setAttrs(self, attrs: Attributes) -> Any:
        """FSETSTAT."""
        session = self._session
        asked = Operation(
            Verb.SETSTAT, self.real_path, session.user.without_password(), client_of(session.journal), attributes=attrs
        )

        def change() -> Any:
            if "size" in attrs and not self.writable:
                raise SFTPError(codec.PERMISSION_DENIED, "The file is not open for writing")
            self._may_change({name: value for name, value in attrs.items() if name != "size"})
            return _called(lambda: self._file.setAttrs(attrs))

        try:
            result = session.gate.run(lambda: asked, change)
        except PermissionDenied as error:
            raise SFTPError(codec.PERMISSION_DENIED, str(error)) from error
        return result.addErrback(as_status)

    # The end.

    def close(self) -> Any:
        """CLOSE, once nothing is under way; the first error of the transfer is the answer."""
        return self._end(None).addCallback(self._answer)

    def _answer(self, result: Any) -> Any:
        if self._error is not None:
            raise self._error
        return result

    def abort(self) -> Any:
        """The client went away without a CLOSE: C{abort} of the file where it has one, else C{close}."""
        return self._end(ConnectionAbortedError("the client went away before it closed the file"))

    def _end(self, error: BaseException | None) -> Deferred[Any]:
        if self._closing:
            raise SFTPError(codec.FAILURE, "Invalid handle")
        self._closing = True
        if self._error is None:
            self._error = error
        for flow in (self._in, self._out):
            if flow is not None and error is not None:
                flow.end()
        self._idle = Deferred()
        if not self._pending:
            self._idle.callback(None)
        return self._idle.addCallback(lambda _: _called(self._closer(error))).addBoth(self._ended)

    def _closer(self, error: BaseException | None) -> Callable[[], Any]:
        close: Callable[[], Any] = self._file.close
        return close if error is None else getattr(self._file, "abort", close)

    def _ended(self, result: Any) -> Any:
        if isinstance(result, Failure) and self._error is None:
            self._error = result.value
        for flow in (self._in, self._out):
            if flow is not None:
                flow.end()
        self._session.journal.ended(self, self._error)  # type: ignore[arg-type]
        if self._asked is not None:
            gate, operation, started = self._asked
            gate.tell(operation, started, self._error, self.transfer.size)
        return result


def _is_end(failure: Failure) -> bool:
    return failure.check(EOFError) is not None or getattr(failure.value, "code", None) == codec.EOF


def _called(call: Callable[[], Any]) -> Deferred[Any]:
    """What a call gives, as a Deferred, be it a value, a Deferred or a coroutine."""

    def start() -> Any:
        result = call()
        return Deferred.fromCoroutine(result) if inspect.iscoroutine(result) else result

    return maybeDeferred(start)
