"""The side of SCP that sends: downloads."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

from twisted.conch.ssh.filetransfer import SFTPError

from sftpgo.avatars import scpstatus
from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.streams import ClientGone, CommandStream, settle
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.domain.permissions import Permission
from sftpgo.errors import PermissionDenied, SFTPGoError
from sftpgo.ssh import scp

#: Bytes read at once.
CHUNK = 256 * 1024

_ERRORS = (OSError, EOFError, SFTPGoError, SFTPError)


class Source:
    """One C{scp -f}."""

    def __init__(self, files: UserFilesystem, request: scp.Request, stream: CommandStream) -> None:
        self._files: Any = files  # its verbs answer at once or by a Deferred
        self._request = request
        self._stream = stream
        self._inside: list[tuple[int, int]] = []
        self._errors = 0

    async def run(self, operands: list[bytes]) -> int:
        """Send files and trees; the exit status is 1 when any of them failed.

        @raise scp.SCPError: when the client does not keep to the protocol.
        """
        await self._answer()
        for operand in operands:
            await self._send(canonical(operand))
        return 1 if self._errors else 0

    async def _send(self, path: bytes) -> None:
        """Send a file or a whole tree, a directory's files before its directories."""
        waiting: list[bytes | None] = [path]
        while waiting:
            following = waiting.pop()
            if following is not None:
                if await self._file(following):
                    waiting += await self._directory(following)
            else:
                self._inside.pop()
                self._stream.write(scp.END)
                await self._answer()

    # Files.

    async def _file(self, path: bytes) -> bool:
        """Send a file; what cannot be sent is told.  True when it is a directory."""
        try:
            file = await settle(self._files.open_for_reading(path))
        except IsADirectoryError:
            return True
        except _ERRORS as error:
            self._warn(path, error)
            return False
        whole = False
        try:
            whole = await self._content(path, file)
        finally:
            if not whole:
                await settle(file.abort())
        if whole:
            await settle(file.close())
        return False

    async def _content(self, path: bytes, file: Any) -> bool:
        """Send one open file; whether the client has it whole."""
        attributes = await settle(file.getAttrs())
        size = attributes["size"]
        header = scp.file(attributes["permissions"], size, os.path.basename(path))
        if not await self._announce(header, attributes["mtime"], attributes["atime"]):
            return False
        problem = await self._bytes(file, size)
        if problem is None:
            self._stream.write(scp.OK)
        else:
            self._warn(path, problem)
        return await self._answer() and problem is None

    async def _bytes(self, file: Any, size: int) -> BaseException | None:
        """Send exactly as many bytes as were announced; zeros for those that could not be read."""
        problem: BaseException | None = None
        offset = 0
        while offset < size:
            length = min(CHUNK, size - offset)
            data = b""
            if problem is None:
                try:
                    data = await settle(file.readChunk(offset, length))
                    if not data:
                        problem = OSError(errno.EIO, "the file became shorter")
                except _ERRORS as error:
                    problem = error
            data = data or bytes(length)
            self._stream.write(data)
            offset += len(data)
            await self._stream.drain()
        return problem

    # Directories.

    async def _directory(self, path: bytes) -> list[bytes | None]:
        """Announce a directory and send its files; the directories in it and the end (None), in reverse."""
        try:
            if not self._request.recursive:
                raise SFTPGoError("Unable to send directory for non recursive copy")
            status = self._enter(path)
            reader = await settle(self._files.open_directory(path))
        except _ERRORS as error:
            self._warn(path, error)
            return []
        below: list[bytes | None] = [None]
        try:
            name = os.path.basename(path) or os.path.basename(os.fsencode(self._files.user.home_dir.rstrip("/")))
            header = scp.directory(status.st_mode, name or os.fsencode(self._files.user.username))
            if not await self._announce(header, int(status.st_mtime), int(status.st_atime)):
                return []
            self._inside.append((status.st_dev, status.st_ino))
            while chunk := await self._files.run_in_thread(reader.next_chunk):
                for name, entry in chunk:
                    child = os.path.join(path, name)
                    if stat.S_ISDIR(entry.st_mode) or await self._is_directory_link(child, entry):
                        below.append(child)
                    elif stat.S_ISREG(entry.st_mode) or stat.S_ISLNK(entry.st_mode):
                        await self._file(child)
        except OSError as error:
            self._warn(path, error)
        finally:
            reader.close()
        return below

    async def _is_directory_link(self, path: bytes, entry: os.stat_result) -> bool:
        if not stat.S_ISLNK(entry.st_mode):
            return False
        try:
            with self._files.home.locate(path, follow=True) as place:
                return stat.S_ISDIR(place.stat().st_mode)
        except OSError:
            return False

    def _enter(self, path: bytes) -> os.stat_result:
        """The status of a directory that may be downloaded and that is not one of those it lies in."""
        with self._files.home.locate(path, follow=True) as place:
            if not self._files.rules.allows(paths.from_wire(place.path), Permission.DOWNLOAD):
                raise PermissionDenied
            status: os.stat_result = place.stat()
        if (status.st_dev, status.st_ino) in self._inside:
            raise OSError(errno.ELOOP, "a link to a directory above")
        return status

    # The client.

    async def _announce(self, header: bytes, modified: int, accessed: int) -> bool:
        """Send a header, with the times before it if asked; whether the client wants what follows."""
        if self._request.preserve:
            self._stream.write(scp.times(modified, accessed))
            if not await self._answer():
                return False
        self._stream.write(header)
        return await self._answer()

    async def _answer(self) -> bool:
        """The client's word on the last record.

        @raise ClientGone: when it gave up.
        """
        status = await scpstatus.status(self._stream)
        if status == scp.OK:
            return True
        self._errors += 1
        await scpstatus.line(self._stream)
        if status == b"\2":
            raise ClientGone
        return False

    def _warn(self, path: bytes, error: BaseException) -> None:
        self._errors += 1
        self._stream.write(scp.warning(f"{paths.from_wire(path)}: {reason(error)}"))
