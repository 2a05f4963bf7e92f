"""Where the host keys of portable mode are kept: never in what is shared.

They are made once, in C{$XDG_STATE_HOME/sftpgo/portable}, so that clients know the server again.  Where that lies in
the shared directory, or cannot be written, they are made anew at each start and kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import attrs

from sftpgo.errors import StartupError
from sftpgo.ssh import hostkeys

#: Kinds that every client of these years takes one of.
NAMES = ("id_rsa", "id_ed25519")


@attrs.frozen
class KeyFiles:
    """The host keys, until the server has read them.

    @ivar paths: of the private keys.
    @ivar fingerprints: as OpenSSH shows them, by the type of the key.
    @ivar descriptors: what keeps those without a name.
    """

    paths: tuple[str, ...]
    fingerprints: Mapping[str, str]
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """The server has read them."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def find_or_make(environ: Mapping[str, str], shared: str, say: Callable[[str], None]) -> KeyFiles:
    """The host keys, ready to be read; making them may take a second.

    @param shared: real path of the directory that clients see.
    @param say: told why the keys are not kept.
    @raise StartupError: for a kept key that cannot be used, and where there is no place at all.
    """
    directory = state_directory(environ)
    reason = _unfit(directory, shared)
    descriptors: tuple[int, ...] = ()
    try:
        if reason:
            say(f"host keys are kept in memory, so that their fingerprints change with each start: {reason}")
            descriptors = tuple(_in_memory(name) for name in NAMES)
            paths = tuple(f"/proc/self/fd/{descriptor}" for descriptor in descriptors)
        else:
            paths = tuple(_kept(os.path.join(directory, name)) for name in NAMES)
        loaded = hostkeys.load(paths)
    except hostkeys.HostKeyError as error:
        raise StartupError(str(error)) from error
    except OSError as error:
        raise StartupError(f"host key {error.filename} cannot be used: {error.strerror}") from error
    fingerprints = {kind.decode("ascii"): hostkeys.fingerprint(key) for kind, key in loaded.items()}
    return KeyFiles(paths, fingerprints, descriptors)


def state_directory(environ: Mapping[str, str]) -> str:
    """Where programs keep what is to outlast them; empty where the user has no home."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # as the XDG Base Directory Specification has it
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return ""
        state = os.path.join(home, ".local", "state")
    return os.path.join(state, "sftpgo", "portable")


def _unfit(directory: str, shared: str) -> str:
    """Why keys cannot be kept there; empty when they can."""
    if not directory:
        return "neither XDG_STATE_HOME nor HOME is set"
    if _is_within(os.path.realpath(directory), shared):
        return f"{directory} lies in the shared directory"
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        return f"{directory} cannot be made: {error.strerror}"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} cannot be written"
    return ""


def _is_within(path: str, directory: str) -> bool:
    return os.path.commonpath([path, directory]) == directory


def _kept(path: str) -> str:
    if not os.path.lexists(path):
        hostkeys.generate(path)
    elif os.stat(path).st_mode & 0o077:
        raise hostkeys.HostKeyError(f"host key {path} can be read by others; make it private with chmod 600")
    return path


def _in_memory(name: str) -> int:
    """A key in a file without a name, which is gone with this process."""
    if not hasattr(os, "memfd_create"):
        raise StartupError("there is no place for the host keys; set XDG_STATE_HOME to a directory that is not shared")
    descriptor = os.memfd_create(name)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(hostkeys.new_key(name))
    return descriptor
