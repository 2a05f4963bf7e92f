"""Paths as clients send them, made canonical: cleaned as text, byte for byte."""

from __future__ import annotations

import errno
import os

from sftpgo.domain import paths


def canonical(path: bytes) -> bytes:
    """The canonical virtual path.

    @raise OSError: EINVAL for one that no file can have.
    """
    if path[:1] != b"/":
        path = b"/" + path
    # Nearly all are clean as they come; a name that starts with a dot is looked at more closely.
    if b"/." not in path and b"//" not in path and b"\0" not in path and (path[-1] != 47 or len(path) == 1):
        return path
    try:
        return paths.to_wire(paths.canonical(paths.from_wire(path)))
    except ValueError as error:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
