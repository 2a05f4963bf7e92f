"""The data types of SFTP version 3 as bytes (draft-ietf-secsh-filexfer-02).

Pure: no sockets, no files.  Whoever reads gets L{Malformed} when the bytes end too early, never a half-read value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from sftpgo.ssh.interfaces import Attributes, NameEntry, StatVFS

# Packet types (section 3).
INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = range(1, 11)
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = range(11, 21)
STATUS, HANDLE, DATA, NAME, ATTRS = range(101, 106)
EXTENDED, EXTENDED_REPLY = 200, 201

# Status codes (section 7).
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE = range(6)
OP_UNSUPPORTED = 8

# Attribute flags (section 5).
ATTR_SIZE, ATTR_UIDGID, ATTR_PERMISSIONS, ATTR_ACMODTIME = 1, 2, 4, 8
ATTR_EXTENDED = 0x80000000
#: What a stat tells.
ATTR_ALL = ATTR_SIZE | ATTR_UIDGID | ATTR_PERMISSIONS | ATTR_ACMODTIME

# Open flags (section 6.3).
OPEN_READ, OPEN_WRITE, OPEN_APPEND, OPEN_CREAT, OPEN_TRUNC, OPEN_EXCL = 1, 2, 4, 8, 16, 32

_U32 = Struct(">L")
_U64 = Struct(">Q")
_HEADER = Struct(">LBL")
_STATVFS = Struct(">11Q")
_MAX_U32 = 0xFFFFFFFF
_MAX_U64 = 0xFFFFFFFFFFFFFFFF


class Malformed(ValueError):
    """The packet is shorter than what it announces."""


class Unsupported(Exception):
    """A request of an unknown type or extension."""


class Reader:
    """A cursor over one packet's fields, first to last."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def uint32(self) -> int:
        """The next C{uint32}."""
        return self._number(_U32)

    def uint64(self) -> int:
        """The next C{uint64}."""
        return self._number(_U64)

    def string(self) -> bytes:
        """The next C{string} (RFC 4251, section 5)."""
        length = self._number(_U32)
        start = self._position
        end = start + length
        if end > len(self._data):
            raise Malformed("a string goes beyond the end of the packet")
        self._position = end
        return self._data[start:end]

    def attributes(self) -> Attributes:
        """The next ATTRS (section 5); extended pairs are read over."""
        flags = self.uint32()
        attributes: Attributes = {}
        if flags & ATTR_SIZE:
            attributes["size"] = self.uint64()
        if flags & ATTR_UIDGID:
            attributes["uid"] = self.uint32()
            attributes["gid"] = self.uint32()
        if flags & ATTR_PERMISSIONS:
            attributes["permissions"] = self.uint32()
        if flags & ATTR_ACMODTIME:
            attributes["atime"] = self.uint32()
            attributes["mtime"] = self.uint32()
        if flags & ATTR_EXTENDED:
            for _ in range(self.uint32()):
                self.string()
                self.string()
        return attributes

    def rest(self) -> bytes:
        """All that was not read yet."""
        return self._data[self._position :]

    def _number(self, form: Struct) -> int:
        start = self._position
        end = start + form.size
        if end > len(self._data):
            raise Malformed("a number goes beyond the end of the packet")
        self._position = end
        number: int = form.unpack_from(self._data, start)[0]
        return number


def string(data: bytes) -> bytes:
    """A C{string} (RFC 4251, section 5)."""
    return _U32.pack(len(data)) + data


def attributes(attrs: Attributes) -> bytes:
    """ATTRS (section 5).  Numbers beyond the field are clamped: one odd file must not break a listing."""
    flags = 0
    fields = b""
    if "size" in attrs:
        flags |= ATTR_SIZE
        fields += _U64.pack(min(max(0, attrs["size"]), _MAX_U64))
    if "uid" in attrs and "gid" in attrs:
        flags |= ATTR_UIDGID
        fields += _clamped(attrs["uid"]) + _clamped(attrs["gid"])
    if "permissions" in attrs:
        flags |= ATTR_PERMISSIONS
        fields += _clamped(attrs["permissions"])
    if "atime" in attrs and "mtime" in attrs:
        flags |= ATTR_ACMODTIME
        fields += _clamped(attrs["atime"]) + _clamped(attrs["mtime"])
    return _U32.pack(flags) + fields


def reply(kind: int, request_id: int, body: bytes) -> bytes:
    """A whole packet with its length, type and request id."""
    return _HEADER.pack(5 + len(body), kind, request_id) + body


def status(request_id: int, code: int, message: bytes) -> bytes:
    """SSH_FXP_STATUS (section 7) with an empty language tag."""
    return reply(STATUS, request_id, _U32.pack(code) + string(message) + b"\0\0\0\0")


def name(entry: NameEntry) -> bytes:
    """One entry of SSH_FXP_NAME (section 7)."""
    return string(entry.name) + string(entry.longname) + attributes(entry.attributes)


def names(request_id: int, entries: Iterable[NameEntry]) -> bytes:
    """SSH_FXP_NAME (section 7)."""
    return packed_names(request_id, [name(entry) for entry in entries])


def packed_names(request_id: int, entries: Sequence[bytes]) -> bytes:
    """The same of entries that are packed already."""
    return reply(NAME, request_id, _U32.pack(len(entries)) + b"".join(entries))


def version(number: int, extensions: Iterable[tuple[bytes, bytes]]) -> bytes:
    """SSH_FXP_VERSION (section 4): the one reply without a request id."""
    pairs = b"".join(string(name) + string(data) for name, data in extensions)
    body = bytes((VERSION,)) + _U32.pack(number) + pairs
    return _U32.pack(len(body)) + body


def statvfs(request_id: int, answer: StatVFS) -> bytes:
    """The reply to C{statvfs@openssh.com}."""
    return reply(EXTENDED_REPLY, request_id, _STATVFS.pack(*(number & 0xFFFFFFFFFFFFFFFF for number in answer)))


def limits(request_id: int, packet: int, read: int, write: int, handles: int) -> bytes:
    """The reply to C{limits@openssh.com}: bytes, bytes, bytes, open handles."""
    return reply(EXTENDED_REPLY, request_id, Struct(">4Q").pack(packet, read, write, handles))


def _clamped(number: int) -> bytes:
    return _U32.pack(min(max(0, number), _MAX_U32))
