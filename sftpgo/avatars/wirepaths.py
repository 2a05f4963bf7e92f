"""Paths as clients send them, made canonical: cleaned as text, byte for byte."""

from __future__ import annotations

import errno
import os

from sftpgo.domain import paths


def canonical(path: bytes) -> bytes:
    """The canonical virtual path.

    @raise OSError: EINVAL for one that no file can have.
    """
    try:
        return paths.to_wire(paths.canonical(paths.from_wire(path)))
    except ValueError as error:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
