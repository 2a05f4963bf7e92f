"""C{md5sum}, C{sha1sum} and their kin: digests of files and of what the client sends, printed as by coreutils."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.reasons import reason
from sftpgo.avatars.streams import ClientGone, CommandStream
from sftpgo.domain import paths
from sftpgo.domain.permissions import Permission
from sftpgo.errors import PermissionDenied, QuotaExceeded
from sftpgo.ssh.words import Word
from sftpgo.storage.upload import has_temporary

#: Command -> algorithm of hashlib.
ALGORITHMS = {f"{name}sum": name for name in ("md5", "sha1", "sha256", "sha384", "sha512")}

#: Bytes read at once, and those hashed before the thread is given back to others.
_PIECE = 1024 * 1024
_SLICE = 64 * _PIECE

_OPTIONS = frozenset({b"-b", b"-t", b"--binary", b"--text"})


async def digest(
    files: UserFilesystem, name: str, words: Sequence[Word], stream: CommandStream, touched: Callable[[], None]
) -> int:
    """Print a line for each path, or one for standard input; the exit status is 1 when any of them failed."""
    status = 0
    operands = _operands(words)
    if operands is None:
        stream.write_error(f"{name}: unknown option\n")
        return 1
    for operand in operands or [b"-"]:
        hasher = hashlib.new(ALGORITHMS[name], usedforsecurity=False)
        if operand == b"-":
            await _hash_input(files, hasher, stream, touched)
            shown = b"-"
        else:
            shown = operand
            try:
                shown = paths.to_wire(paths.canonical(paths.from_wire(operand)))
                await _hash_file(files, shown, hasher, stream, touched)
            except (OSError, PermissionDenied, QuotaExceeded) as error:
                stream.write_error(f"{name}: {paths.from_wire(shown)}: {reason(error)}\n")
                status = 1
                continue
        stream.write(_line(hasher.hexdigest(), shown))
        await stream.drain()
    return status


def _operands(words: Sequence[Word]) -> list[bytes] | None:
    """The paths among the arguments; None for an option there is no use for here."""
    operands: list[bytes] = []
    options = True
    for word in words:
        text = word.text
        if options and text == b"--":
            options = False
        elif options and text.startswith(b"-") and text != b"-":
            if text not in _OPTIONS:
                return None
        else:
            operands.append(text[1:] if word.tilde else text)
    return operands


def _line(digest: str, path: bytes) -> bytes:
    r"""A line as coreutils have it: a name with a backslash or an end of line is escaped, and C{\} stands before."""
    escaped = path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != path else b"") + digest.encode("ascii") + b"  " + escaped + b"\n"


async def _hash_input(files: UserFilesystem, hasher: Any, stream: CommandStream, touched: Callable[[], None]) -> None:
    while data := await stream.read(_PIECE):
        await files.run_in_thread(hasher.update, data)
        touched()


async def _hash_file(
    files: UserFilesystem, path: bytes, hasher: Any, stream: CommandStream, touched: Callable[[], None]
) -> None:
    """Hash a file in slices, so that a large one does not keep a thread from others."""
    descriptor = _open(files, path)
    try:
        while await files.run_in_thread(_hash_slice, descriptor, hasher):
            touched()
            if stream.gone:
                raise ClientGone
    finally:
        os.close(descriptor)


def _hash_slice(descriptor: int, hasher: Any) -> bool:
    """Hash some of a file; whether there may be more.  Runs in a thread."""
    left = _SLICE
    while left > 0:
        data = os.read(descriptor, min(left, _PIECE))
        if not data:
            return False
        hasher.update(data)
        left -= len(data)
    return True


def _open(files: UserFilesystem, path: bytes) -> int:
    """A descriptor of a file that the user may list: a digest tells no more of it than its name, size and time do.

    The permission is looked up on the path of the file itself.
    """
    try:
        place = files.home.locate(path, follow=True)
    except OSError:
        _require(files, path)
        raise
    with place:
        _require(files, place.path)
        if has_temporary(place.path):
            raise PermissionDenied  # an upload's own file
        return place.open(os.O_RDONLY)


def _require(files: UserFilesystem, path: bytes) -> None:
    if not files.rules.allows(paths.from_wire(path), Permission.LIST):
        raise PermissionDenied
