"""The faces of a session whose files may take their time: SFTP requests and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sftpgo.avatars.commands import Command, Commands, CommandSession
from sftpgo.avatars.hooked import HookedFilesystem
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.sftp import Directory, UserSFTPServer
from sftpgo.avatars.streams import ClientGone, CommandStream, Exit, settle
from sftpgo.avatars.user import UserAvatar
from sftpgo.domain import paths
from sftpgo.errors import PermissionDenied, QuotaExceeded
from sftpgo.hooks.calls import Refusal
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes
from sftpgo.ssh.listing import attributes_of
from sftpgo.ssh.words import Word


class HookedAvatar(UserAvatar):
    """The avatar of a user with a L{HookedFilesystem}."""

    def _sftp_server(self) -> UserSFTPServer:
        return HookedSFTPServer(self._files, self._touched)


class HookedSFTPServer(UserSFTPServer):
    """As above, where every answer may be a Deferred."""

    _files: Any

    def openFile(self, filename: bytes, flags: int, attrs: Attributes) -> Any:
        """OPEN."""
        opening: Any = super().openFile(filename, flags, attrs)
        return opening.addCallbacks(self._opened, as_status) if isinstance(opening, Deferred) else opening

    def openDirectory(self, path: bytes) -> Any:
        """OPENDIR."""
        return self._answer(lambda: self._files.open_directory(path), self._directory)

    def _directory(self, reader: Any) -> Directory:
        if self._ended:
            reader.close()
            raise SFTPError(codec.FAILURE, "the channel is closed")
        return Directory(reader, self._files)

    def removeFile(self, filename: bytes) -> Any:
        """REMOVE."""
        return self._answer(lambda: self._files.remove(filename))

    def renameFile(self, oldpath: bytes, newpath: bytes) -> Any:
        """RENAME."""
        return self._answer(lambda: self._files.rename(oldpath, newpath))

    posixRename = renameFile

    def hardLink(self, oldpath: bytes, newpath: bytes) -> Any:
        """C{hardlink@openssh.com}."""
        return self._answer(lambda: self._files.hard_link(oldpath, newpath))

    def makeDirectory(self, path: bytes, attrs: Attributes) -> Any:
        """MKDIR."""
        return self._answer(lambda: self._files.make_directory(path))

    def removeDirectory(self, path: bytes) -> Any:
        """RMDIR."""
        return self._answer(lambda: self._files.remove_directory(path))

    def getAttrs(self, path: bytes, followLinks: bool) -> Any:
        """STAT and LSTAT."""
        return self._answer(lambda: self._files.stat(path, follow=followLinks), attributes_of)

    def glance(self, path: bytes, follow: bool) -> None:
        """Each STAT is asked about by itself."""

    def setAttrs(self, path: bytes, attrs: Attributes) -> Any:
        """SETSTAT."""
        return self._change(path, attrs, True) if attrs else super().setAttrs(path, attrs)

    def setLinkAttrs(self, path: bytes, attrs: Attributes) -> Any:
        """C{lsetstat@openssh.com}."""
        return self._change(path, attrs, False) if attrs else super().setLinkAttrs(path, attrs)

    def _change(self, path: bytes, attrs: Attributes, follow: bool) -> Any:
        return self._answer(lambda: self._files.change(path, attrs, follow=follow))

    def readLink(self, path: bytes) -> Any:
        """READLINK."""
        return self._answer(lambda: self._files.readlink(path))

    def makeLink(self, linkPath: bytes, targetPath: bytes) -> Any:
        """SYMLINK."""
        return self._answer(lambda: self._files.symlink(targetPath, linkPath))

    def statvfs(self, path: bytes) -> Any:
        """C{statvfs@openssh.com}."""
        return self._answer(lambda: self._files.space(path))

    def _answer(self, call: Callable[[], Any], convert: Callable[[Any], Any] = lambda result: result) -> Any:
        """What the call gives, converted, now or when it comes."""
        with self._request:
            result = call()
            return result.addCallbacks(convert, as_status) if isinstance(result, Deferred) else convert(result)


def as_status(failure: Failure) -> Any:
    """What the domain refuses as an SFTP status; anything else as it is."""
    error = failure.value
    if isinstance(error, SFTPError):
        return failure
    if isinstance(error, PermissionDenied):
        raise SFTPError(codec.PERMISSION_DENIED, str(error)) from error
    if isinstance(error, QuotaExceeded):
        raise SFTPError(codec.FAILURE, str(error)) from error
    return failure


class CommandFailed(Exception):
    """A command has told the client itself what went wrong."""

    def __init__(self, exit: Exit) -> None:
        self.exit = exit
        super().__init__(f"the command ended with {exit}")


class HookedCommands(Commands):
    """As above, where a hook is asked before a command is run."""

    def _command(self, name: str, words: Sequence[Word]) -> Command | None:
        command = super()._command(name, words)
        return None if command is None else partial(_asked, command)


async def _asked(
    command: Command, session: CommandSession, name: str, words: Sequence[Word], stream: CommandStream
) -> Exit:
    files: Any = session.files
    if not isinstance(files, HookedFilesystem):
        return await command(session, name, words, stream)
    arguments = [paths.from_wire(word.text) for word in words]

    async def run() -> Exit:
        if stream.gone:
            raise ClientGone
        exit = await command(session, name, words, stream)
        if exit != 0:
            raise CommandFailed(exit)
        return exit

    path = paths.canonical(arguments[-1]) if arguments else ""
    try:
        result = files.command(" ".join([name, *arguments]), path, lambda: Deferred.fromCoroutine(run()))
        return await settle(result)
    except CommandFailed as failed:
        return failed.exit
    except Refusal as error:
        stream.write_error(f"{name}: {reason(error)}\n")
        return 1
