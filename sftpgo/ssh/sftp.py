"""The server's side of SFTP version 3 (draft-ietf-secsh-filexfer-02), in place on a channel's byte stream.

It frames, orders and answers; what a request means for a file is L{sftpgo.ssh.requests}, and who may do it is the
business of the C{ISFTPServer} behind it.  The promises kept here:

  - every request that carries an id gets exactly one reply, whatever the rest of it holds;
  - READs and WRITEs run side by side and are answered as they end; any other request waits for all before it and is
    waited for by all after it, so a client sees the order in which it asked;
  - while replies cannot leave, requests are not read: what is in memory is bounded by L{REQUESTS_IN_FLIGHT},
    L{BYTES_IN_FLIGHT} and the stream's queues;
  - nothing a client sends raises out of here.

READ and WRITE on a file that can serve them at once never become Python objects: the bytes go between the descriptor
and the stream's queues.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import IGlances
from sftpgo.ssh.listing import packed_attributes
from sftpgo.ssh.requests import MAX_READ, Requests
from sftpgo.ssh.statuses import refusal
from sftpgo.ssh.stream import ByteStream

#: The largest request accepted, in bytes without its length field: 256 KiB of data and what is around it.
MAX_PACKET = 256 * 1024 + 1024
#: READs and WRITEs that may be under way at once on one channel.
REQUESTS_IN_FLIGHT = 64
#: Bytes of theirs that may be.
BYTES_IN_FLIGHT = 2 * 1024 * 1024

_VERSION = 3
_LARGEST_OTHER_REPLY = 192 * 1024

_unpack_start = Struct(">LB").unpack_from
_unpack_head = Struct(">LBL").unpack_from
_unpack_size = Struct(">L").unpack_from
_unpack_handle = Struct(">LL").unpack_from
#: An FSTAT with a handle of ours, without its length field.
_FSTAT_SIZE = 13
#: READ and WRITE alike: length of the handle, a handle of ours, offset, and the size asked for or sent.
_unpack_transfer = Struct(">LLQL").unpack_from
_TRANSFER_SIZE = 20
_pack_data = Struct(">LBLL").pack_into
_DATA_HEADER = 13
_pack_status = Struct(">LBLLLL").pack_into
_STATUS_SIZE = 21
_pack_head = Struct(">LBL").pack_into
_ATTRIBUTES_HEADER = 9
_SMALL_REPLY = 4096
#: What a request takes from the stream's allowance besides the bytes it reads or writes: it takes the time of as many.
_COST = 4096

#: Serves the request at the front, of a type, an id and a length.  True when it is served, False when there is no room
#: for the reply, None when it takes the long way.
_AtOnce = Callable[[int, int, int], bool | None]


class SFTPSession:
    """One SFTP session: a L{sftpgo.ssh.stream.StreamHandler}.

    @param files: an C{ISFTPServer}; with L{sftpgo.ssh.interfaces.IExtendedSFTPServer} the extensions are offered.
    """

    _log = Logger()

    def __init__(self, stream: ByteStream, files: Any) -> None:
        self._stream = stream
        self._incoming = stream.incoming
        self._outgoing = stream.outgoing
        self._requests = Requests(files)
        self._handles = self._requests.handles
        self._glances: Any = IGlances(files, None)
        self._at_once: dict[int, _AtOnce] = {
            codec.READ: self._serve_read,
            codec.WRITE: self._serve_write,
            codec.FSTAT: self._serve_fstat,
        }
        if self._glances is not None:
            self._at_once |= {codec.STAT: self._serve_status, codec.LSTAT: self._serve_status}
        self._side_by_side = 0
        self._octets = 0
        self._alone = False
        self._over = False

    # The stream beneath.

    def serve(self) -> bool:
        """Serve what is complete and may run now; True when only room for replies is missing."""
        stream = self._stream
        if stream.missing > 0 and not self._over and not stream.ended:
            return False
        try:
            return self._serve()
        finally:
            if self._glances is not None:
                self._glances.forget()

    def _serve(self) -> bool:
        incoming = self._incoming
        while not self._over and not self._alone:
            length = self._complete_packet()
            if not length:
                break
            if self._stream.allowance <= 0:
                return True
            _length, kind, request_id = _unpack_head(incoming.data, incoming.head)
            at_once = self._at_once.get(kind)
            served = at_once(kind, request_id, length) if at_once is not None else None
            if served is None:
                if not self._may_start(kind, length):
                    return False
                served = self._serve_any(kind, request_id, length)
            if not served:
                return True
            self._stream.allowance -= _COST
        if self._over:
            self._stream.consume(len(incoming))
        elif self._stream.ended and not self._alone and not self._side_by_side:
            self._over = True
            self._stream.finish(0)
        return False

    def closed(self) -> None:
        """Let go of every handle; uploads that were not closed are told so."""
        self._over = True
        self._at_once.clear()
        self._requests.abandon()

    # Framing and order.

    def _complete_packet(self) -> int:
        """The length of the packet that stands whole at the front, without its length field; 0 for none."""
        incoming = self._incoming
        available = incoming.tail - incoming.head
        if available < 5:
            return 0
        length, kind = _unpack_start(incoming.data, incoming.head)
        if not 1 <= length <= MAX_PACKET:
            self._refuse_stream(f"a packet of {length} bytes")
            return 0
        if length < 5:
            self._refuse_stream(f"a request of type {kind} without an id")
            return 0
        if available < 4 + length:
            self._stream.wanted = 4 + length
            return 0
        self._stream.wanted = 0
        return int(length)

    def _may_start(self, kind: int, length: int) -> bool:
        if not self._side_by_side:
            return True
        if kind not in (codec.READ, codec.WRITE):
            return False
        return self._side_by_side < REQUESTS_IN_FLIGHT and self._octets + self._cost(kind, length) <= BYTES_IN_FLIGHT

    def _cost(self, kind: int, length: int) -> int:
        """Bytes that the READ or WRITE at the front keeps in memory while it is under way."""
        if kind == codec.READ and length >= 5 + _TRANSFER_SIZE:
            size: int = _unpack_transfer(self._incoming.data, self._incoming.head + 9)[3]
            return length + min(size, MAX_READ)
        return length

    def _refuse_stream(self, what: str) -> None:
        """After a length that cannot be there is no next packet to find: close the channel."""
        self._log.info("closing an SFTP session that sent {what}", what=what)
        self._over = True
        self._stream.finish(1)

    # READ and WRITE at once.

    def _serve_read(self, _kind: int, request_id: int, length: int) -> bool | None:
        """Read straight into the replies."""
        if length < 5 + _TRANSFER_SIZE:
            return None
        incoming, outgoing = self._incoming, self._outgoing
        size_of_handle, handle, offset, size = _unpack_transfer(incoming.data, incoming.head + 9)
        read_into = getattr(self._handles.get(handle), "readInto", None)
        if size_of_handle != 4 or read_into is None:
            return None
        size = min(size, MAX_READ)
        if size > self._stream.allowance or not outgoing.reserve(_DATA_HEADER + size):
            return False
        start = outgoing.tail
        body = start + _DATA_HEADER
        try:
            got = read_into(outgoing.view[body : body + size], offset)
        except Exception:
            outgoing.append(refusal(Failure(), request_id))
            got = -1
        if got is None:
            return None
        self._stream.consume(4 + length)
        self._stream.allowance -= got
        if got > 0 or (not got and not size):
            _pack_data(outgoing.data, start, 9 + got, codec.DATA, request_id, got)
            outgoing.tail = body + got
        elif not got:
            outgoing.append(codec.status(request_id, codec.EOF, b"EOF"))
        return True

    def _serve_write(self, _kind: int, request_id: int, length: int) -> bool | None:
        """Write straight from the requests."""
        if length < 5 + _TRANSFER_SIZE:
            return None
        incoming, outgoing = self._incoming, self._outgoing
        head = incoming.head
        size_of_handle, handle, offset, size = _unpack_transfer(incoming.data, head + 9)
        write_from = getattr(self._handles.get(handle), "writeFrom", None)
        if size_of_handle != 4 or write_from is None or length != 5 + _TRANSFER_SIZE + size:
            return None
        if size > self._stream.allowance or not outgoing.reserve(_LARGEST_OTHER_REPLY):
            return False
        body = head + 9 + _TRANSFER_SIZE
        try:
            if not write_from(incoming.view[body : body + size], offset):
                return None
        except Exception:
            outgoing.append(refusal(Failure(), request_id))
        else:
            _pack_status(outgoing.data, outgoing.tail, _STATUS_SIZE - 4, codec.STATUS, request_id, codec.OK, 0, 0)
            outgoing.tail += _STATUS_SIZE
        self._stream.consume(4 + length)
        self._stream.allowance -= size
        return True

    # STAT, LSTAT and FSTAT at once.

    def _serve_status(self, kind: int, request_id: int, length: int) -> bool | None:
        """Answer from what a glance tells."""
        incoming, outgoing = self._incoming, self._outgoing
        body = incoming.head + 13
        size = length - 9
        if self._side_by_side or size < 0 or _unpack_size(incoming.data, body - 4)[0] != size:
            return None
        if not outgoing.reserve(_SMALL_REPLY):
            return False
        try:
            status = self._glances.glance(bytes(incoming.view[body : body + size]), kind == codec.STAT)
            if status is None:
                return None
        except Exception:
            outgoing.append(refusal(Failure(), request_id))
        else:
            self._put_attributes(request_id, status)
        self._stream.consume(4 + length)
        return True

    def _serve_fstat(self, _kind: int, request_id: int, length: int) -> bool | None:
        """Answer from what an open file tells."""
        incoming, outgoing = self._incoming, self._outgoing
        if self._side_by_side or length != _FSTAT_SIZE:
            return None
        size_of_handle, handle = _unpack_handle(incoming.data, incoming.head + 9)
        stat_now = getattr(self._handles.get(handle), "statNow", None)
        if size_of_handle != 4 or stat_now is None:
            return None
        if not outgoing.reserve(_SMALL_REPLY):
            return False
        try:
            status = stat_now()
        except Exception:
            outgoing.append(refusal(Failure(), request_id))
        else:
            self._put_attributes(request_id, status)
        self._stream.consume(4 + length)
        return True

    def _put_attributes(self, request_id: int, status: os.stat_result) -> None:
        """Append an ATTRS to the replies, where there is room for it."""
        outgoing = self._outgoing
        attributes = packed_attributes(status)
        tail = outgoing.tail
        end = tail + _ATTRIBUTES_HEADER + len(attributes)
        _pack_head(outgoing.data, tail, 5 + len(attributes), codec.ATTRS, request_id)
        outgoing.data[tail + _ATTRIBUTES_HEADER : end] = attributes
        outgoing.tail = end

    # Everything else.

    def _serve_any(self, kind: int, request_id: int, length: int) -> bool:
        """Any request; False when there is no room for its reply."""
        if self._glances is not None:
            self._glances.forget()
        incoming = self._incoming
        if not self._outgoing.reserve(_LARGEST_OTHER_REPLY):
            return False
        if kind == codec.INIT:
            self._stream.consume(4 + length)
            self._outgoing.append(codec.version(_VERSION, self._requests.extensions()))
            return True
        cost = self._cost(kind, length) if kind in (codec.READ, codec.WRITE) else 0
        body = bytes(incoming.view[incoming.head + 9 : incoming.head + 4 + length])
        self._stream.consume(4 + length)
        try:
            answer = self._requests.answer(kind, request_id, codec.Reader(body))
        except Exception:
            answer = refusal(Failure(), request_id)
        if not isinstance(answer, Deferred):
            self._outgoing.append(answer)
            return True
        if cost:
            self._side_by_side += 1
            self._octets += cost
        else:
            self._alone = True
        answer.addErrback(refusal, request_id)
        answer.addCallback(self._answered, cost)
        answer.addErrback(self._broken)
        return True

    def _answered(self, packet: bytes, cost: int) -> None:
        if cost:
            self._side_by_side -= 1
            self._octets -= cost
        else:
            self._alone = False
        if not self._over:
            self._outgoing.append(packet)
            self._stream.wake()

    def _broken(self, failure: Failure) -> None:
        """The last net: a reply that could not be sent must not hang the client."""
        self._log.failure("An SFTP session is closed after an unexpected error", failure=failure)
        self._over = True
        self._stream.finish(1)
