"""The client's word on a record, alike for both sides of SCP."""

from __future__ import annotations

from sftpgo.avatars.streams import ClientGone, CommandStream
from sftpgo.ssh import scp


async def status(stream: CommandStream) -> bytes:
    """The byte that the client answers: C{scp.OK}, or 1 or 2 with a line behind it that tells why.

    @raise ClientGone: when it has sent its last.
    @raise scp.SCPError: for another byte.
    """
    word = await stream.read(1)
    if not word:
        raise ClientGone
    if word not in (scp.OK, b"\1", b"\2"):
        raise scp.SCPError("protocol error: expected a status")
    return word


async def line(stream: CommandStream) -> bytes | None:
    """A line without its end; None when the client has sent its last.

    @raise scp.SCPError: for one that is too long or cut off.
    """
    try:
        return await stream.read_line(scp.MAX_RECORD)
    except ValueError as error:
        raise scp.SCPError(f"protocol error: {error}") from error
