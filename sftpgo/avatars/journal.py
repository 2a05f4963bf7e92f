"""What a session tells of what its user did, in one place: log lines, metrics, hooks and the live registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from sftpgo.domain.actions import TransferEvent
from sftpgo.domain.connection import ConnectionRegistry, Transfer
from sftpgo.domain.user import User
from sftpgo.log import Log
from sftpgo.ssh.interfaces import Attributes

if TYPE_CHECKING:
    from sftpgo.avatars.transfer import OpenFile


TransferKind: TypeAlias = Literal["upload", "download"]

#: Commands that hooks are told of, by the name they have there.
_ACTIONS = {"Remove": "delete", "Rename": "rename"}


@attrs.frozen
class Audience:
    """Who is told of what happened, once it has; neither may raise or wait.

    @ivar notify: gets what succeeded, for the hooks.
    @ivar count: gets C{upload} or C{download}, the bytes and whether it went well, for the metrics.
    """

    notify: Callable[[TransferEvent], None]
    count: Callable[[TransferKind, int, bool], None]


NOBODY = Audience(lambda event: None, lambda kind, size, ok: None)


@attrs.define(eq=False)
class Journal:
    """The session's own writer: knows whose it is, so that nobody has to say it with every line.

    @ivar connection_id: the SSH session's id as 64 hexadecimal digits.
    @ivar clock: seconds since the epoch.
    @ivar protocol: C{SFTP}, C{SCP} or C{SSH}.
    @ivar audience: who else hears of it.
    """

    user: User
    connection_id: str
    registry: ConnectionRegistry
    log: Log
    clock: Callable[[], float]
    protocol: str = "SFTP"
    audience: Audience = NOBODY

    def started(self, operation: str, path: str) -> Transfer:
        """Enter a transfer into the registry; C{operation} is C{upload} or C{download}."""
        return self.registry.transfer_started(self.connection_id, operation, path, self._now())

    def dropped(self, transfer: Transfer) -> None:
        """It did not come to be after all; nothing is told of it."""
        self.registry.transfer_ended(self.connection_id, transfer)

    def ended(self, file: OpenFile, error: BaseException | None) -> None:
        """Take it out again, and say how it went."""
        self.registry.transfer_ended(self.connection_id, file.transfer)
        elapsed = max(0, self._now() - file.transfer.start_time)
        size = file.transfer.size
        kind: TransferKind = "upload" if file.writable else "download"
        self.audience.count(kind, size, error is None)
        if error is not None:
            self.log.warn(
                f'transfer error, path: "{file.real_path}", error: {_text(error)}, bytes: {size}, '
                f"elapsed: {elapsed} ms",
                connection_id=self.connection_id,
            )
            return
        self.log.transfer(
            "Upload" if file.writable else "Download",
            elapsed_ms=elapsed,
            size_bytes=size,
            username=self.user.username,
            file_path=file.real_path,
            connection_id=self.connection_id,
            protocol=self.protocol,
            sha256=file.digest,
        )
        self._notify(kind, file.real_path)

    def command(self, name: str, path: str, *, target_path: str = "") -> None:
        """Say that a command was carried out; paths are real ones."""
        self.log.command(
            name,
            username=self.user.username,
            file_path=path,
            target_path=target_path,
            connection_id=self.connection_id,
            protocol=self.protocol,
        )
        if name in _ACTIONS:
            self._notify(_ACTIONS[name], path, target_path)

    def _notify(self, action: str, path: str, target_path: str = "") -> None:
        self.audience.notify(TransferEvent(action, self.user.username, path, target_path))

    def changed(self, path: str, attributes: Attributes) -> None:
        """Say which attributes were set, a line each."""
        if "permissions" in attributes:
            self._changed("Chmod", path, filemode=_filemode(attributes["permissions"] & 0o777))
        if "uid" in attributes:
            self._changed("Chown", path, uid=_signed(attributes["uid"]), gid=_signed(attributes["gid"]))
        if "atime" in attributes:
            self._changed(
                "Chtimes",
                path,
                access_time=_local(attributes["atime"]),
                modification_time=_local(attributes["mtime"]),
            )

    def warn(self, message: str) -> None:
        """Say what went wrong without failing the request."""
        self.log.warn(message, connection_id=self.connection_id)

    def _changed(
        self,
        name: str,
        path: str,
        *,
        filemode: str = "",
        uid: int = -1,
        gid: int = -1,
        access_time: str = "",
        modification_time: str = "",
    ) -> None:
        self.log.command(
            name,
            username=self.user.username,
            file_path=path,
            filemode=filemode,
            uid=uid,
            gid=gid,
            access_time=access_time,
            modification_time=modification_time,
            connection_id=self.connection_id,
            protocol=self.protocol,
        )

    def _now(self) -> int:
        return int(self.clock() * 1000)


def _filemode(bits: int) -> str:
    letters = "rwxrwxrwx"
    return "-" + "".join(letter if bits & (0o400 >> place) else "-" for place, letter in enumerate(letters))


def _signed(number: int) -> int:
    return -1 if number == 0xFFFFFFFF else number


def _local(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds))


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
