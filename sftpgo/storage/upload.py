"""The new file beside the target that an atomic upload is written to, until one rename puts it in place.

Its name is C{.sftpgo-upload.}, an id of 20 characters, a dot, and the target's name.  Its writer holds a lock on it
for as long as it lives, so whoever finds such a file without a lock knows that nobody will finish it.
"""

from __future__ import annotations

import base64
import errno
import fcntl
import os
import re
import secrets

from sftpgo.storage.freeing import LetGo, freed_later
from sftpgo.storage.location import Location
from sftpgo.storage.names import failure
from sftpgo.storage.rename import rename

PREFIX = b".sftpgo-upload."

#: The longest name in a directory, in bytes (NAME_MAX of every Linux file system in wide use).
NAME_LIMIT = 255

_ID_BYTES = 12
_FORM = re.compile(rb"\.sftpgo-upload\.[0-9a-v]{20}\.(.+)", re.DOTALL)
_IN_PATH = re.compile(rb"(?:^|/)\.sftpgo-upload\.[0-9a-v]{20}\.[^/]")
_ROOM = NAME_LIMIT - len(PREFIX) - 20 - 1

#: Somebody would have to clear away each new file in the instant before it is locked.
_ATTEMPTS = 100


def is_temporary(name: bytes) -> bool:
    """Tell whether a bare name is that of an upload's temporary file."""
    return name.startswith(PREFIX) and _FORM.fullmatch(name) is not None


def has_temporary(path: bytes) -> bool:
    """Tell whether any name in a path is such a name."""
    return PREFIX in path and _IN_PATH.search(path) is not None


def target_name(temporary: bytes) -> bytes:
    """The name of the file that an upload was to become, as far as it fits; empty when it is no such name."""
    match = _FORM.fullmatch(temporary)
    return match[1] if match else b""


def temporary_name(target: bytes, identifier: bytes) -> bytes:
    """The name for the upload C{identifier} of a file called C{target}, cut so that the system takes it."""
    return PREFIX + identifier + b"." + _cut(target, _ROOM)


def new_identifier() -> bytes:
    """20 characters (base32hex, lower case) that nobody has had before."""
    return base64.b32hexencode(secrets.token_bytes(_ID_BYTES)).rstrip(b"=").lower()


def lock(descriptor: int) -> bool:
    """Take the writer's lock; C{False} when somebody has it.

    @raise OSError: when this file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


class Temporary:
    """An upload's own file, from its creation to the rename that commits it or to its removal.

    @ivar descriptor: open for reading and writing; the caller closes it, at the latest before L{release}.
    """

    def __init__(self, place: Location, target: bytes, descriptor: int) -> None:
        self._place = place
        self._target = target
        self.descriptor = descriptor

    @classmethod
    def create(cls, target: Location, mode: int) -> Temporary:
        """Make a new empty file beside C{target}; C{mode} before the umask.

        @raise OSError: as the kernel says.
        """
        for _ in range(_ATTEMPTS):
            place = target.sibling(temporary_name(target.name, new_identifier()))
            try:
                descriptor = place.open(os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
            except BaseException:
                place.close()
                raise
            # Somebody who clears away what has no writer may have come between the two.
            if _locked(descriptor) and _is_there(place, descriptor):
                return cls(place, target.name, descriptor)
            os.close(descriptor)
            place.close()
        raise failure(errno.EBUSY, target.name)

    def target(self) -> os.stat_result | None:
        """What stands under the target's name now, or nothing."""
        try:
            return os.stat(self._target, dir_fd=self._place.dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def commit(self, *, replace: bool, standing: os.stat_result | None = None, let_go: LetGo = os.close) -> None:
        """Take the target's name, in one step.

        @param standing: what L{target} told; if that is large it is freed by C{let_go}.
        @raise OSError: the target, if there is one, is as it was: EEXIST without C{replace}, EISDIR, ENOENT when this
            file is gone, ...
        """
        # Shares the descriptor, and so is not closed.
        target = Location(self._place.dir_fd, self._target, self._place.directory)
        with freed_later(target.dir_fd, target.name, standing, let_go):
            rename(self._place, target, replace=replace)

    def discard(self) -> None:
        """Remove the file; it may be gone already.

        @raise OSError: when it cannot be removed.
        """
        try:
            self._place.unlink()
        except FileNotFoundError:
            return

    def release(self) -> None:
        """Give the directory back.  May be called twice."""
        self._place.close()


def _locked(descriptor: int) -> bool:
    try:
        return lock(descriptor)
    except OSError:
        return True  # no locks on this file system: then nobody clears away by them either


def _is_there(place: Location, descriptor: int) -> bool:
    try:
        return os.path.samestat(place.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _cut(name: bytes, room: int) -> bytes:
    """The name's beginning, without half a UTF-8 character at its end."""
    if len(name) <= room:
        return name
    end = room
    while end > room - 4 and name[end] & 0xC0 == 0x80:
        end -= 1
    return name[:end] if name[end] & 0xC0 != 0x80 else name[:room]
