"""The side of SCP that receives: uploads."""

from __future__ import annotations

import os
import stat
from typing import Any

import attrs
from twisted.conch.ssh.filetransfer import SFTPError

from sftpgo.avatars import scpstatus
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.streams import ClientGone, CommandStream, settle
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.errors import SFTPGoError
from sftpgo.ssh import scp
from sftpgo.ssh.interfaces import Attributes

#: Bytes written at once.
CHUNK = 256 * 1024

_MAX_DEPTH = 1024
_MAX_TIME = 2**63 // 10**9 - 1
_ERRORS = (OSError, SFTPGoError, SFTPError)


@attrs.define
class _Level:
    """Where names that arrive go.

    @ivar is_directory: names go below C{path}; else C{path} is the name.
    @ivar attributes: what the directory gets when it is complete.
    """

    path: bytes
    is_directory: bool
    attributes: Attributes = attrs.field(factory=dict)


class Sink:
    """One C{scp -t}."""

    def __init__(self, files: UserFilesystem, request: scp.Request, stream: CommandStream) -> None:
        self._files: Any = files  # its verbs answer at once or by a Deferred
        self._request = request
        self._stream = stream
        self._levels: list[_Level] = []
        self._times: scp.Times | None = None
        self._errors = 0

    async def run(self, target: bytes) -> int:
        """Take what the client sends; the exit status is 1 when any of it failed.

        @raise scp.SCPError: when the client does not keep to the protocol.
        """
        is_directory = _is_directory(self._files, target)
        if self._request.directory and not is_directory:
            raise scp.SCPError(f"{_shown(target)}: Not a directory")
        self._levels.append(_Level(target, is_directory))
        self._stream.write(scp.OK)
        while (line := await scpstatus.line(self._stream)) is not None:
            if not await self._serve(scp.parse_record(line)):
                return 1
            await self._stream.drain()
        if len(self._levels) > 1:
            return 1  # the client went away in the midst of a tree
        return 1 if self._errors else 0

    async def _serve(self, record: scp.Record) -> bool:
        """Act on one record; False when the client gave up."""
        if isinstance(record, scp.Remark):
            self._errors += 1
            return not record.fatal
        if isinstance(record, scp.Times):
            self._times = record
            self._stream.write(scp.OK)
        elif isinstance(record, scp.End):
            await self._leave()
        elif isinstance(record, scp.Directory):
            await self._enter(record)
        else:
            await self._receive(record)
        return True

    def _destination(self, name: bytes) -> bytes:
        level = self._levels[-1]
        return os.path.join(level.path, name) if level.is_directory else level.path

    # Directories.

    async def _enter(self, record: scp.Directory) -> None:
        """Make the directory, or use the one that is there."""
        if not self._request.recursive:
            raise scp.SCPError("received directory without -r")
        if len(self._levels) > _MAX_DEPTH:
            raise scp.SCPError("directories too deep")
        path = self._destination(record.name)
        attributes = self._attributes(record.mode)
        try:
            if not _is_directory(self._files, path):
                await settle(self._files.make_directory(path))
        except _ERRORS as error:
            self._warn(path, error)
            return
        self._levels.append(_Level(path, True, attributes))
        self._stream.write(scp.OK)

    async def _leave(self) -> None:
        if len(self._levels) == 1:
            raise scp.SCPError("protocol error: unexpected end of a directory")
        level = self._levels.pop()
        if level.attributes:
            try:
                await settle(self._files.change(level.path, level.attributes))
            except _ERRORS as error:
                self._warn(level.path, error)
                return
        self._stream.write(scp.OK)

    def _attributes(self, mode: int) -> Attributes:
        """What C{-p} asks for; it holds for one record."""
        seen, self._times = self._times, None
        if not self._request.preserve:
            return {}
        attributes = {"permissions": mode & 0o777}
        if seen is not None:
            attributes |= {"atime": min(seen.accessed, _MAX_TIME), "mtime": min(seen.modified, _MAX_TIME)}
        return attributes

    # Files.

    async def _receive(self, record: scp.File) -> None:
        path = self._destination(record.name)
        if path.endswith(b"/"):
            path = os.path.join(path, record.name)
        attributes = self._attributes(record.mode)
        try:
            file = await settle(self._files.open_for_writing(path, truncate=True))
        except _ERRORS as error:
            self._warn(path, error)  # the client then sends the next record, not the data
            return
        self._stream.write(scp.OK)
        problem = await self._content(file, record.size, attributes)
        if problem is None:
            self._stream.write(scp.OK)
        else:
            self._warn(path, problem)

    async def _content(self, file: Any, size: int, attributes: Attributes) -> BaseException | None:
        """Take a file's bytes and the client's word that they are right; what went wrong on this side, if anything.

        The bytes must be read even when they cannot be written: the client listens only after the last of them.
        """
        whole = False
        try:
            problem = await self._write(file, size)
            whole = await self._client_agrees() and problem is None
        finally:
            if not whole:
                await settle(file.abort())
        if not whole:
            return problem
        try:
            if attributes:
                await settle(file.setAttrs(attributes))
        except _ERRORS as error:
            problem = error
        try:
            await settle(file.close())
        except _ERRORS as error:
            return error
        return problem

    async def _write(self, file: Any, size: int) -> BaseException | None:
        problem: BaseException | None = None
        offset = 0
        while offset < size:
            data = await self._stream.read(min(CHUNK, size - offset))
            if not data:
                raise ClientGone
            if problem is None:
                try:
                    await settle(file.writeChunk(offset, data))
                except _ERRORS as error:
                    problem = error
            offset += len(data)
        return problem

    async def _client_agrees(self) -> bool:
        """Whether the client could read the file to its end."""
        if await scpstatus.status(self._stream) == scp.OK:
            return True
        self._errors += 1
        await scpstatus.line(self._stream)
        return False

    def _warn(self, path: bytes, error: BaseException) -> None:
        self._errors += 1
        self._stream.write(scp.warning(f"{_shown(path)}: {reason(error)}"))


def _is_directory(files: UserFilesystem, path: bytes) -> bool:
    """Whether names go below C{path}; one need not be allowed to list a place to put something there."""
    try:
        with files.home.locate(canonical(path), follow=True) as place:
            return stat.S_ISDIR(place.stat().st_mode)
    except OSError:
        return False


def _shown(path: bytes) -> str:
    return paths.from_wire(path)
