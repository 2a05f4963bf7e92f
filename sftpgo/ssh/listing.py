"""What a listing shows of a file: its attributes and the C{ls -l} line that many clients parse."""

from __future__ import annotations

import os
import stat
import struct
import time
from functools import lru_cache

from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HALF_A_YEAR = 182 * 86400

_pack_u32 = struct.Struct(">L").pack
_pack_attributes = struct.Struct(">LQLLLLL").pack


def attributes_of(status: os.stat_result) -> Attributes:
    """The attributes of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 5) of what C{stat} told."""
    return {
        "size": status.st_size,
        "uid": status.st_uid,
        "gid": status.st_gid,
        "permissions": status.st_mode,
        "atime": int(status.st_atime),
        "mtime": int(status.st_mtime),
    }


def packed_attributes(status: os.stat_result) -> bytes:
    """The same as bytes: ATTRS (section 5)."""
    mode, _, _, _, uid, gid, size, atime, mtime, _ = status
    try:
        return _pack_attributes(codec.ATTR_ALL, size, uid, gid, mode, atime, mtime)
    except struct.error:  # a number beyond its field
        return codec.attributes(attributes_of(status))


def packed_entry(name: bytes, status: os.stat_result, now: float) -> bytes:
    """One entry of SSH_FXP_NAME (section 7): the name, what C{ls -l} would print, and the attributes."""
    line = longname(name, status, now)
    return b"".join((_pack_u32(len(name)), name, _pack_u32(len(line)), line, packed_attributes(status)))


def longname(name: bytes, status: os.stat_result, now: float) -> bytes:
    """The line C{ls -l} would print, with numbers for owner and group; C{now} in seconds.

    The format is the draft's recommendation (section 7); FileZilla and others take names and times from it.
    """
    mode, _, _, links, uid, gid, size, _, mtime, _ = status
    when = _when(mtime // 60, -_HALF_A_YEAR < now - mtime < _HALF_A_YEAR)
    return b"%s %8d %s %s" % (_beginning(mode, links, uid, gid), size, when, name)


# The files of one directory have few modes and owners, and often the same minute; asking the time zone costs more than
# the rest.
@lru_cache(maxsize=1024)
def _beginning(mode: int, links: int, uid: int, gid: int) -> bytes:
    return f"{stat.filemode(mode)} {links:4d} {uid:<8d} {gid:<8d}".encode("ascii")


@lru_cache(maxsize=4096)
def _when(minute: int, recent: bool) -> bytes:
    return _when_text(minute * 60, recent).encode("ascii")


def _when_text(mtime: float, recent: bool) -> str:
    try:
        moment = time.localtime(mtime)
    except (OverflowError, ValueError, OSError):
        moment = time.localtime(0)
    day = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:>2}"
    if recent:
        return f"{day} {moment.tm_hour:02}:{moment.tm_min:02}"
    return f"{day} {moment.tm_year:>5}"
