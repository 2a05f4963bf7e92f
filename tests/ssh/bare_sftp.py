"""The least of an SFTP server above a stream: enough for clients to get and put files, no user, no confinement."""

from __future__ import annotations

import errno
import os
import struct
from typing import Any

from sftpgo.ssh.channel import Channel
from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.stream import ByteStream

LARGEST_PACKET = 257 * 1024
LARGEST_READ = 255 * 1024

_get_head = struct.Struct(">LBL").unpack_from
_get_transfer = struct.Struct(">LLQL").unpack_from  # length of the handle (4), handle, offset, size
_put_status = struct.Struct(">LBLLLL").pack_into
_put_data = struct.Struct(">LBLL").pack_into


class BareSftp:
    """Serves READ and WRITE in place and everything else simply."""

    def __init__(self, stream: ByteStream, root: str) -> None:
        self.stream = stream
        self.root = root
        self.handles: dict[int, Any] = {}
        self.next = 1
        self.done = False

    def closed(self) -> None:
        self.done = True
        for handle in self.handles.values():
            if isinstance(handle, int):
                os.close(handle)

    def serve(self) -> bool:
        incoming, outgoing = self.stream.incoming, self.stream.outgoing
        while len(incoming) >= 9:
            length, kind, request = _get_head(incoming.data, incoming.head)
            if length > LARGEST_PACKET:
                self.stream.finish(1)
                return False
            if len(incoming) < 4 + length:
                break
            if kind == 5:
                if not self.read(request):
                    return True
            elif not outgoing.reserve(40 * 1024):
                return True
            elif kind == 6:
                self.write(request)
            else:
                payload = bytes(incoming.view[incoming.head + 9 : incoming.head + 4 + length])
                try:
                    reply = self.request(kind, request, payload)
                except OSError as error:
                    code = {errno.ENOENT: 2, errno.EACCES: 3}.get(error.errno or 0, 4)
                    reply = b"\x65" + uint32(request) + uint32(code) + bytes(8)
                outgoing.append(string(reply))
            self.stream.consume(4 + length)
        if self.stream.ended:
            self.stream.finish(0)
        return False

    def read(self, request: int) -> bool:
        incoming, out = self.stream.incoming, self.stream.outgoing
        _, handle, offset, size = _get_transfer(incoming.data, incoming.head + 9)
        size = min(size, LARGEST_READ)
        if not out.reserve(13 + size):
            return False
        start = out.tail
        got = os.preadv(self.handles[handle], (out.view[start + 13 : start + 13 + size],), offset)
        if got:
            _put_data(out.data, start, got + 9, 103, request, got)
            out.tail = start + 13 + got
        else:
            self.status(request, 1)
        return True

    def write(self, request: int) -> None:
        incoming = self.stream.incoming
        _, handle, offset, size = _get_transfer(incoming.data, incoming.head + 9)
        start = incoming.head + 29
        os.pwrite(self.handles[handle], incoming.view[start : start + size], offset)
        self.status(request, 0)

    def status(self, request: int, code: int) -> None:
        out = self.stream.outgoing
        out.reserve(21)
        _put_status(out.data, out.tail, 17, 101, request, code, 0, 0)
        out.tail += 21

    def path(self, name: bytes) -> bytes:
        return os.path.join(os.fsencode(self.root), os.path.normpath(b"/" + name).lstrip(b"/"))

    def request(self, kind: int, request: int, payload: bytes) -> bytes:  # noqa: C901, PLR0911
        fields, number = Fields(payload), uint32(request)
        ok = b"\x65" + number + bytes(12)
        if kind == 1:
            return b"\x02" + uint32(3) + string(b"limits@openssh.com") + string(b"1")
        if kind == 3:
            path, flags = self.path(fields.string()), fields.uint32()
            mode = os.O_RDWR if flags & 3 == 3 else os.O_WRONLY if flags & 2 else os.O_RDONLY
            mode |= os.O_CREAT if flags & 8 else 0
            mode |= os.O_TRUNC if flags & 16 else 0
            return self.handle(number, os.open(path, mode | os.O_CLOEXEC, 0o644))
        if kind == 4:
            handle = self.handles.pop(Fields(fields.string()).uint32())
            if isinstance(handle, int):
                os.close(handle)
            return ok
        if kind in {7, 17}:
            return b"\x69" + number + self.attributes(os.stat(self.path(fields.string())))
        if kind == 8:
            return b"\x69" + number + self.attributes(os.fstat(self.handles[Fields(fields.string()).uint32()]))
        if kind == 11:
            return self.handle(number, os.scandir(self.path(fields.string())))
        if kind == 12:
            return self.names(number, self.handles[Fields(fields.string()).uint32()])
        if kind == 13:
            os.remove(self.path(fields.string()))
            return ok
        if kind == 16:
            path = os.path.normpath(b"/" + fields.string())
            return b"\x68" + number + uint32(1) + string(path) + string(b"") + uint32(0)
        if kind == 200 and fields.string() == b"limits@openssh.com":
            return b"\xc9" + number + struct.pack(">QQQQ", LARGEST_PACKET, LARGEST_READ, LARGEST_READ, 100)
        if kind in {9, 10}:
            return ok
        return b"\x65" + number + uint32(8) + bytes(8)

    def names(self, number: bytes, entries: Any) -> bytes:
        found = []
        for entry in entries:
            found.append(string(entry.name) + string(entry.name) + self.attributes(entry.stat()))
            if len(found) == 100:
                break
        if not found:
            return b"\x65" + number + uint32(1) + bytes(8)
        return b"\x68" + number + uint32(len(found)) + b"".join(found)

    def handle(self, number: bytes, what: Any) -> bytes:
        self.handles[self.next] = what
        self.next += 1
        return b"\x66" + number + string(uint32(self.next - 1))

    @staticmethod
    def attributes(found: os.stat_result) -> bytes:
        return struct.pack(">LQLLL", 13, found.st_size, found.st_mode, int(found.st_atime), int(found.st_mtime))


class BareSession(Channel):
    name = b"session"

    def request_subsystem(self, data: bytes) -> bool:
        if Fields(data).string() != b"sftp" or self.stream is not None:
            return False
        self.start_stream(lambda stream: BareSftp(stream, self.avatar.root))
        return True

    def request_exec(self, data: bytes) -> bool:
        """Echo, through the ordinary way of reading and writing."""
        self.start_reading()
        return True

    def dataReceived(self, data: bytes) -> None:
        self.write(data)

    def ended(self) -> None:
        self.finish(0)
