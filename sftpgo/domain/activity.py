"""What the whole server has done since its start, in a few numbers."""

from __future__ import annotations

import attrs


@attrs.frozen
class Totals:
    """How things stood at one moment.  What goes on growing is counted since the start of the server.

    @ivar time: unix milliseconds.
    @ivar connections: those the list of connections shows.
    @ivar transfers: those running.
    @ivar uploaded: bytes that clients have sent, running transfers included; C{downloaded}: that they have been sent.
    @ivar uploads: that ended well; C{upload_errors}: that did not.
    @ivar logins_ok: passwords and keys that let somebody in; C{logins_failed}: that did not.
    @ivar provider_available: whether the data provider answered when last asked.
    """

    time: int
    connections: int
    transfers: int
    uploaded: int
    downloaded: int
    uploads: int
    downloads: int
    upload_errors: int
    download_errors: int
    logins_ok: int
    logins_failed: int
    provider_available: bool


@attrs.frozen
class FileSystem:
    """A file system that users' homes are on.

    @ivar path: where it is mounted.
    @ivar homes: how many homes are on it.
    @ivar size: bytes in all; C{free}: bytes that users can still write.
    @ivar files: inodes in all, 0 where there is no such limit; C{files_free}: those left.
    @ivar error: why it could not be asked; then the numbers are 0.
    """

    path: str
    homes: int
    size: int = 0
    free: int = 0
    files: int = 0
    files_free: int = 0
    error: str = ""
