"""SFTP requests as an honest client might send them, in odd orders and with odd values."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from sftpgo.ssh import codec

from .mutations import choose, maybe

LARGEST_FILE = 1 << 20
"""Files may grow to this: a SETSTAT may ask for any size."""

_PATHS = (b"/", b".", b"a", b"/a", b"b/c", b"b", b"/b/../a", b"..", b"/../outside/secret", b"out", b"out/secret")
_MORE_PATHS = (b"up/outside/secret", b"up", b"loop", b"\xff", b"n\0l", b"x" * 256, b"", b"a/b", b"//b//", b"~", b"new")
_EXTENSIONS = (b"posix-rename@openssh.com", b"hardlink@openssh.com", b"statvfs@openssh.com", b"fstatvfs@openssh.com")
_MORE_EXTENSIONS = (b"lsetstat@openssh.com", b"expand-path@openssh.com", b"copy-data", b"fsync@openssh.com")
_ODD_EXTENSIONS = (b"limits@openssh.com", b"users-groups-by-id@openssh.com", b"", b"\xff\xfe")


def _path(random: Random) -> bytes:
    return maybe(random, random.choice(_PATHS + _MORE_PATHS), 0.05)


def _attributes(random: Random) -> bytes:
    flags = random.choice((0, 1, 2, 4, 8, 15, codec.ATTR_EXTENDED, 0xFFFFFFFF))
    fields = b""
    if flags & codec.ATTR_SIZE:
        fields += struct.pack(">Q", random.choice((0, 1, 5000, LARGEST_FILE, 1 << 40, 1 << 63, (1 << 64) - 1)))
    if flags & codec.ATTR_UIDGID:
        fields += struct.pack(">LL", random.choice((0, 1000, 0xFFFFFFFF)), random.choice((0, 0xFFFFFFFF)))
    if flags & codec.ATTR_PERMISSIONS:
        fields += struct.pack(">L", random.choice((0, 0o700, 0o7777, 0o100644, 0xFFFFFFFF)))
    if flags & codec.ATTR_ACMODTIME:
        fields += struct.pack(">LL", random.choice((0, 1 << 31, 0xFFFFFFFF)), random.choice((0, 1, 0xFFFFFFFF)))
    if flags & codec.ATTR_EXTENDED:
        count = random.choice((0, 1, 3, 0xFFFFFFFF))
        fields += struct.pack(">L", count) + codec.string(b"name@x") * (2 * min(count, 3))
    return struct.pack(">L", flags) + fields


def _handle(random: Random) -> bytes:
    number = random.choice((1, 1, 1, 2, 2, 3, 4, 0, 99, 0xFFFFFFFF))
    return choose(random, (30, struct.pack(">L", number)), (1, b""), (1, b"\0"), (1, bytes(300)))


def _offset(random: Random) -> bytes:
    return struct.pack(">Q", random.choice((0, 0, 0, 1, 3000, 6000, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)))


def _sized(random: Random) -> bytes:
    size = random.choice((0, 1, 100, 6000, 32768, 255 * 1024, 1 << 30, 0xFFFFFFFF))
    return _offset(random) + struct.pack(">L", size)


def _written(random: Random) -> bytes:
    return _offset(random) + codec.string(bytes(random.choice((0, 1, 100, 32768))))


def _flags(random: Random) -> bytes:
    return struct.pack(">L", random.randrange(64))


def _handle_field(random: Random) -> bytes:
    return codec.string(_handle(random))


def _path_field(random: Random) -> bytes:
    return codec.string(_path(random))


def _extension(random: Random) -> bytes:
    string = codec.string
    name = random.choice(_EXTENSIONS + _MORE_EXTENSIONS + _ODD_EXTENSIONS)
    if name == b"copy-data":
        source, target = string(_handle(random)), string(_handle(random))
        return string(name) + source + _offset(random) + _offset(random) + target + _offset(random)
    if name in (b"fsync@openssh.com", b"fstatvfs@openssh.com"):
        return string(name) + string(_handle(random))
    return string(name) + string(_path(random)) + (_attributes(random) if b"set" in name else string(_path(random)))


def _open(path: bytes, flags: int) -> bytes:
    return codec.reply(codec.OPEN, 0, codec.string(path) + struct.pack(">LL", flags, 0))


OPENED = (
    _open(b"/a", codec.OPEN_READ | codec.OPEN_WRITE | codec.OPEN_CREAT)
    + _open(b"/new", codec.OPEN_WRITE | codec.OPEN_CREAT | codec.OPEN_TRUNC)
    + codec.reply(codec.OPENDIR, 0, codec.string(b"/"))
)
"""Handles 1 to 3: one to read and write, one to write, and a directory."""


_BODIES: dict[int, tuple[Callable[[Random], bytes], ...]] = {
    codec.OPEN: (_path_field, _flags, _attributes),
    codec.CLOSE: (_handle_field,),
    codec.READ: (_handle_field, _sized),
    codec.WRITE: (_handle_field, _written),
    codec.FSTAT: (_handle_field,),
    codec.FSETSTAT: (_handle_field, _attributes),
    codec.READDIR: (_handle_field,),
    codec.SETSTAT: (_path_field, _attributes),
    codec.MKDIR: (_path_field, _attributes),
    codec.RENAME: (_path_field, _path_field),
    codec.SYMLINK: (_path_field, _path_field),
    codec.EXTENDED: (_extension,),
}
"""The fields of each request; of those that are not here, a path."""


def _body(random: Random, kind: int) -> bytes:
    """The fields that a request of this kind should have."""
    return b"".join(field(random) for field in _BODIES.get(kind, (_path_field,)))


def packet(random: Random, number: int) -> bytes:
    """One request, mostly well formed."""
    kind = choose(
        random,
        (20, codec.OPEN),
        (10, codec.OPENDIR),
        (10, codec.READ),
        (10, codec.WRITE),
        (60, random.randint(codec.OPEN, codec.SYMLINK)),
        (12, codec.EXTENDED),
        (2, random.randrange(256)),
        (1, codec.INIT),
    )
    body = maybe(random, _body(random, kind), 0.25)
    return request_of(kind, random.choice((number, number, number, 0xFFFFFFFF)), body)


def request_of(kind: int, number: int, body: bytes) -> bytes:
    """A packet of any kind, with the length that it has."""
    if kind == codec.INIT:
        return struct.pack(">LBL", 5, codec.INIT, 3)
    return codec.reply(kind, number, body)
