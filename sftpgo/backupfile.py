"""Where a dump is written: a temporary for nobody else to read, which takes the dump's place when it is whole."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO

from sftpgo.domain.backups import BackupRefused
from sftpgo.domain.user import User
from sftpgo.jsons import user_to_json

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

#: What says that the name is to blame, not the disk.
_BAD_NAME = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ})

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def components(name: str) -> list[str]:
    """The names that lead to a dump, below the directory of dumps.

    @raise BackupRefused: for a name that is blank, absolute, ends as a directory does, or holds C{..} or a NUL.
    """
    if not name.strip() or name.startswith("/") or name.endswith("/") or ".." in name or "\0" in name:
        raise BackupRefused("Invalid or missing output_file")
    names = [part for part in name.split("/") if part not in ("", ".")]
    if not names or name.endswith("/."):
        raise BackupRefused("Invalid or missing output_file")
    return names


class BackupWriter:
    """A dump under way.  Every method but C{__init__} may block.

    @ivar count: users written so far.
    """

    def __init__(self, directory: int, name: str) -> None:
        """Take over C{directory}, a descriptor of the directory that is to hold the dump."""
        self._directory = directory
        self._name = name
        self._temporary = f".sftpgo-{secrets.token_hex(8)}.tmp"
        self._file: BinaryIO | None = None
        self.count = 0

    @classmethod
    def open(cls, root: str, names: Sequence[str]) -> BackupWriter:
        """Begin a dump; directories that are missing are made, for nobody else to look into.

        @raise BackupRefused: when there is a link on the way, or something that is no file in its place.
        @raise OSError: when it cannot be written for other reasons.
        """
        os.makedirs(root, mode=0o700, exist_ok=True)
        directory = os.open(root, _DIRECTORY)
        try:
            for name in names[:-1]:
                directory = _enter(directory, name)
            _require_replaceable(directory, names[-1])
            writer = cls(directory, names[-1])
            writer._begin()
        except OSError as error:
            os.close(directory)
            if error.errno in _BAD_NAME:
                raise BackupRefused(f"Invalid output_file: {error.strerror}") from error
            raise
        except BaseException:
            os.close(directory)
            raise
        return writer

    def write(self, users: Sequence[User]) -> None:
        """Append users."""
        assert self._file is not None  # noqa: S101 -- nobody writes after commit
        for user in users:
            if self.count:
                self._file.write(b",")
            text = _encode(user_to_json(user, with_password=True))
            self._file.write(text.encode("utf-8", "backslashreplace"))
            self.count += 1

    def commit(self) -> None:
        """End the dump: it stands under its name, on the disk."""
        assert self._file is not None  # noqa: S101 -- nobody commits twice
        self._file.write(b"]}")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        os.rename(self._temporary, self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        os.fsync(self._directory)

    def close(self) -> None:
        """Let go; of a dump that was not committed nothing stays."""
        try:
            if self._file is not None:
                os.unlink(self._temporary, dir_fd=self._directory)
                self._file.close()
        finally:
            os.close(self._directory)

    def _begin(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._temporary, flags, 0o600, dir_fd=self._directory)
        self._file = open(descriptor, "wb")  # noqa: SIM115 -- close does
        os.fchmod(descriptor, 0o600)  # whatever the umask
        self._file.write(b'{"users":[')


def _enter(directory: int, name: str) -> int:
    """The directory of this name in another, which is closed."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=directory)
    inner = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    os.close(directory)
    return inner


def _require_replaceable(directory: int, name: str) -> None:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise BackupRefused("Invalid output_file: there is a directory, a link or a device of this name")
