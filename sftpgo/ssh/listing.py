"""What a listing shows of a file: its attributes and the C{ls -l} line that many clients parse."""

from __future__ import annotations

import os
import stat
import time

from sftpgo.ssh.interfaces import Attributes, NameEntry

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HALF_A_YEAR = 182 * 86400


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


def entry_of(name: bytes, status: os.stat_result, now: float) -> NameEntry:
    """One entry of a listing."""
    return NameEntry(name, longname(name, status, now), attributes_of(status))


def longname(name: bytes, status: os.stat_result, now: float) -> bytes:
    """The line C{ls -l} would print, with numbers for owner and group; C{now} in seconds.

    The format is the draft's recommendation (section 7); FileZilla and others take names and times from it.
    """
    line = (
        f"{stat.filemode(status.st_mode)} {status.st_nlink:>4} {status.st_uid:<8} {status.st_gid:<8} "
        f"{status.st_size:>8} {_when(status.st_mtime, now)} "
    )
    return line.encode("ascii") + name


def _when(mtime: float, now: float) -> str:
    try:
        moment = time.localtime(mtime)
    except (OverflowError, ValueError, OSError):
        moment = time.localtime(0)
    day = f"{_MONTHS[moment.tm_mon - 1]} {moment.tm_mday:>2}"
    if abs(now - mtime) < _HALF_A_YEAR:
        return f"{day} {moment.tm_hour:02}:{moment.tm_min:02}"
    return f"{day} {moment.tm_year:>5}"
