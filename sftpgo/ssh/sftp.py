"""The server's side of SFTP version 3 (draft-ietf-secsh-filexfer-02) as a protocol over one channel.

It frames, orders and answers; what a request means for a file is L{sftpgo.ssh.requests}, and who may do it is the
business of the C{ISFTPServer} behind it.  The promises kept here:

  - every request that carries an id gets exactly one reply, whatever the rest of it holds;
  - READs and WRITEs run side by side and are answered as they end; any other request waits for all before it and is
    waited for by all after it, so a client sees the order in which it asked;
  - while replies cannot leave, requests are not read: memory is bounded by C{REPLIES_IN_FLIGHT} and one packet;
  - nothing a client sends raises out of here.
"""

from __future__ import annotations

import errno
from struct import Struct
from typing import Any

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.ssh import codec
from sftpgo.ssh.requests import Requests, Unsupported

#: The largest request accepted, in bytes without its length field: 256 KiB of data and what is around it.
MAX_PACKET = 256 * 1024 + 1024
#: READs and WRITEs that may be under way at once on one channel.
REPLIES_IN_FLIGHT = 64

_VERSION = 3
_LENGTH_AND_TYPE = Struct(">LB")
_TYPE_AND_ID = Struct(">BL")

_MESSAGES = {
    codec.OK: b"OK",
    codec.EOF: b"EOF",
    codec.NO_SUCH_FILE: b"No Such File",
    codec.PERMISSION_DENIED: b"Permission Denied",
    codec.FAILURE: b"Failure",
    codec.BAD_MESSAGE: b"Bad Message",
    codec.OP_UNSUPPORTED: b"Operation Unsupported",
}

_ERRNO_STATUS = {
    errno.ENOENT: codec.NO_SUCH_FILE,
    errno.EACCES: codec.PERMISSION_DENIED,
    errno.EPERM: codec.PERMISSION_DENIED,
    errno.EROFS: codec.PERMISSION_DENIED,
}

#: What a person reads beside "Failure"; nothing here names a path.
_ERRNO_TEXT = {
    errno.EEXIST: b"File exists",
    errno.ENOTEMPTY: b"Directory not empty",
    errno.EISDIR: b"Is a directory",
    errno.ENOTDIR: b"Not a directory",
    errno.ENAMETOOLONG: b"File name too long",
    errno.ELOOP: b"Too many levels of symbolic links",
    errno.ENOSPC: b"No space left on device",
    errno.EDQUOT: b"Disk quota exceeded",
    errno.EFBIG: b"File too large",
    errno.EXDEV: b"Cross-device link",
    errno.EMFILE: b"Too many open files",
    errno.ENFILE: b"Too many open files",
    errno.EINVAL: b"Invalid argument",
    errno.EIO: b"Input/output error",
}


@implementer(IHalfCloseableProtocol, IPushProducer)
class SFTPServer(Protocol):
    """One SFTP session.

    @param files: an C{ISFTPServer}; with L{sftpgo.ssh.interfaces.IExtendedSFTPServer} the extensions are offered.
    """

    _log = Logger()

    def __init__(self, files: Any) -> None:
        self._requests = Requests(files)
        self._buffer = bytearray()
        self._start = 0
        self._side_by_side = 0
        self._alone = False
        self._paused = False
        self._ended = False
        self._pumping = False
        self._lost = False

    # The channel below.

    def connectionMade(self) -> None:
        """Ask the channel to tell when replies cannot leave."""
        register = getattr(self.transport, "registerProducer", None)
        if register is not None:
            register(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the client's."""
        self._buffer += data
        self._pump()

    def readConnectionLost(self) -> None:
        """The client will send no more: answer what it asked, then close."""
        self._ended = True
        self._pump()

    def writeConnectionLost(self) -> None:
        """The client will read no more; the channel's end follows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let go of every handle; uploads that were not closed are told so."""
        self._lost = True
        self._buffer.clear()
        self._start = 0
        self._requests.abandon()

    def pauseProducing(self) -> None:
        """Replies cannot leave: stop reading requests."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Replies can leave again."""
        self._paused = False
        self._pump()

    def stopProducing(self) -> None:
        """Nobody wants replies any more."""
        self._paused = True

    # Framing and order.

    def _pump(self) -> None:
        """Serve what is complete in the buffer and may run now."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while not self._lost and not self._paused and self._serve_next():
                pass
        finally:
            self._pumping = False
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        if self._ended and not self._lost and self._idle() and not self._paused:
            self._lost = True
            self._lose()

    def _idle(self) -> bool:
        return not self._alone and not self._side_by_side

    def _serve_next(self) -> bool:
        """Start the next request; False when there is none or it has to wait."""
        length = self._complete_packet()
        if not length or self._alone:
            return False
        kind = self._buffer[self._start + 4]
        if kind == codec.INIT:
            self._start += 4 + length
            self._send(codec.version(_VERSION, self._requests.extensions()))
            return True
        shared = kind in (codec.READ, codec.WRITE)
        if self._side_by_side and (not shared or self._side_by_side >= REPLIES_IN_FLIGHT):
            return False
        kind, request_id = _TYPE_AND_ID.unpack_from(self._buffer, self._start + 4)
        body = bytes(memoryview(self._buffer)[self._start + 9 : self._start + 4 + length])
        self._start += 4 + length
        self._serve(kind, request_id, body, shared)
        return True

    def _complete_packet(self) -> int:
        """The length of the packet that stands whole at the start of the buffer, or 0."""
        available = len(self._buffer) - self._start
        if available < 5:
            return 0
        length, kind = _LENGTH_AND_TYPE.unpack_from(self._buffer, self._start)
        if not 1 <= length <= MAX_PACKET:
            self._refuse_stream(f"a packet of {length} bytes")
            return 0
        if kind != codec.INIT and length < _TYPE_AND_ID.size:
            self._refuse_stream("a request without an id")
            return 0
        return length if available >= 4 + length else 0

    def _serve(self, kind: int, request_id: int, body: bytes, shared: bool) -> None:
        try:
            answer = self._requests.answer(kind, request_id, codec.Reader(body))
        except Exception:
            answer = self._refusal(Failure(), request_id)
        if not isinstance(answer, Deferred):
            self._send(answer)
            return
        if shared:
            self._side_by_side += 1
        else:
            self._alone = True
        answer.addErrback(self._refusal, request_id)
        answer.addCallback(self._answered, shared)
        answer.addErrback(self._broken)

    def _answered(self, packet: bytes, shared: bool) -> None:
        if shared:
            self._side_by_side -= 1
        else:
            self._alone = False
        self._send(packet)
        self._pump()

    def _broken(self, failure: Failure) -> None:
        """The last net: a reply that could not be sent must not hang the client."""
        self._log.failure("An SFTP session is closed after an unexpected error", failure=failure)
        self._lose()

    # Answers.

    def _send(self, packet: bytes) -> None:
        if not self._lost and self.transport is not None:
            self.transport.write(packet)

    def _lose(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def _refusal(self, failure: Failure, request_id: int) -> bytes:
        code, message = self._status_of(failure)
        return codec.status(request_id, code, message or _MESSAGES.get(code, b"Failure"))

    def _status_of(self, failure: Failure) -> tuple[int, bytes]:
        """Every failure becomes a status in this one place; an unexpected one is logged as well."""
        error = failure.value
        if isinstance(error, SFTPError):
            return error.code, str(error.message).encode("utf-8", "backslashreplace")
        if isinstance(error, EOFError):
            return codec.EOF, b""
        if isinstance(error, codec.Malformed):
            return codec.BAD_MESSAGE, b""
        if isinstance(error, Unsupported):
            return codec.OP_UNSUPPORTED, b""
        if isinstance(error, OSError):
            number = error.errno or 0
            return _ERRNO_STATUS.get(number, codec.FAILURE), _ERRNO_TEXT.get(number, b"")
        self._log.failure("An SFTP request failed unexpectedly", failure=failure)
        return codec.FAILURE, b""

    def _refuse_stream(self, what: str) -> None:
        """After a length that cannot be there is no next packet to find: close the channel."""
        self._log.info("closing an SFTP session that sent {what}", what=what)
        self._lost = True
        self._buffer.clear()
        self._start = 0
        self._lose()
