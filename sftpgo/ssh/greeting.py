"""The client's first line (RFC 4253 section 4.2)."""

from __future__ import annotations

from typing import Final

from sftpgo.ssh.buffers import ByteQueue

LONGEST: Final = 255
"""Bytes that it may take, with its end."""

_START: Final = b"SSH-"
_KNOWN: Final = (b"SSH-2.0-", b"SSH-1.99-")


def take(inbox: ByteQueue) -> bytes | None:
    """Take the line from the front of what has come, without its end; C{None} while it is not all there.

    @raise ValueError: for what is no such line, as soon as that can be told.
    """
    latest = min(inbox.tail, inbox.head + LONGEST)
    end = inbox.data.find(b"\n", inbox.head, latest)
    if end < 0:
        start = bytes(inbox.view[inbox.head : min(latest, inbox.head + len(_START))])
        if start != _START[: len(start)] or len(inbox) >= LONGEST:
            raise ValueError("no SSH version")
        return None
    line = bytes(inbox.view[inbox.head : end]).rstrip(b"\r")
    if not line.startswith(_KNOWN) or b"\0" in line:
        raise ValueError("no SSH version")
    inbox.head = end + 1
    return line
