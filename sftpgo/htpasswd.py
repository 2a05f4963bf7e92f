"""The users of the REST API in a file as Apache's C{htpasswd} writes it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable

import attrs
import bcrypt
from passlib.hash import apr_md5_crypt, sha512_crypt

from sftpgo.errors import StartupError

_MAX_SIZE = 1024 * 1024
_MAX_PASSWORD = 1024

#: The most that a hash may cost: a second or so.
_MAX_BCRYPT_COST = 14
_MAX_ROUNDS = 1_000_000

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}", re.ASCII)
_BCRYPT_LENGTH = 72

#: What tells one version of a file from another: device, inode, size, time in nanoseconds.
Version = tuple[int, int, int, int]


@attrs.frozen
class Entries:
    """The content of the file.

    @ivar hashes: by user name.
    @ivar faults: a line for each line that is not used; never the hash itself.
    """

    version: Version
    hashes: dict[str, str] = attrs.field(repr=False)
    faults: tuple[str, ...] = ()


class HtpasswdFile:
    """The file, read again when it has changed.  Every method may block: for use in a thread, one at a time.

    Known are bcrypt, Apache's MD5 (C{$apr1$}) and SHA-512 crypt (C{$6$}).

    @param warn: told of what is wrong with the file, once for each change of it.
    """

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self.path = path
        self._warn = warn
        self._entries: Entries | None = None

    def load(self) -> None:
        """Read the file for the first time.

        @raise StartupError: when it cannot be read or nobody in it could ever log in.
        """
        try:
            entries = self._current()
        except OSError as error:
            raise StartupError(f"httpd.auth_user_file: {self.path} cannot be read: {error.strerror}") from error
        if not entries.hashes:
            fault = f": {entries.faults[0]}" if entries.faults else ""
            raise StartupError(f"httpd.auth_user_file: {self.path} has no usable entry{fault}")

    def hash_of(self, username: str) -> tuple[str, bool]:
        """A user's hash, and C{True}; for an unknown user any hash of the file, which takes as long, and C{False}.

        While the file cannot be read nobody is known.
        """
        try:
            hashes = self._current().hashes
        except OSError as error:
            if self._entries is not None:
                self._warn(f"{self.path} cannot be read, nobody is let in: {error.strerror}")
                self._entries = None
            return "", False
        if username in hashes:
            return hashes[username], True
        return next(iter(hashes.values()), ""), False

    def _current(self) -> Entries:
        version = _version(os.stat(self.path))
        if self._entries is None or self._entries.version != version:
            self._entries = _read(self.path)
            for fault in self._entries.faults:
                self._warn(f"{self.path}: {fault}")
        return self._entries


def matches(stored: str, password: bytes) -> bool:
    """Check a password; a hash of no known form matches none.  May take a second."""
    if len(password) > _MAX_PASSWORD or b"\0" in password:
        return False
    if stored.startswith("$2"):
        return bcrypt.checkpw(password[:_BCRYPT_LENGTH], stored.encode("ascii"))
    if stored.startswith("$apr1$"):
        return bool(apr_md5_crypt.verify(password, stored))
    return stored.startswith("$6$") and bool(sha512_crypt.verify(password, stored))


def _read(path: str) -> Entries:
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        content = file.read(_MAX_SIZE + 1)
    if len(content) > _MAX_SIZE:
        return Entries(_version(status), {}, (f"it is larger than {_MAX_SIZE} bytes",))
    hashes, faults = _parse(content.splitlines())
    if stat.S_IMODE(status.st_mode) & stat.S_IWOTH:
        faults.append("anybody may write to it")
    return Entries(_version(status), hashes, tuple(faults))


def _parse(lines: Iterable[bytes]) -> tuple[dict[str, str], list[str]]:
    hashes: dict[str, str] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            username, _, stored = text.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            faults.append(f"line {number}: it is not valid UTF-8")
            continue
        # Whatever may follow belongs to other programs.
        stored = stored.partition(":")[0]
        fault = _fault(username, stored)
        if fault or username in hashes:
            faults.append(f"line {number}: {fault or 'the user stands above already'}")
        else:
            hashes[username] = stored
    return hashes, faults


def _fault(username: str, stored: str) -> str:
    if not username or not stored:
        return "expected name:hash"
    if stored.startswith("$2"):
        form = _BCRYPT.fullmatch(stored)
        if form is None:
            return "a damaged bcrypt hash"
        return f"a bcrypt cost over {_MAX_BCRYPT_COST}" if int(form["cost"]) > _MAX_BCRYPT_COST else ""
    if stored.startswith(("$apr1$", "$6$")):
        return _crypt_fault(stored)
    return "a hash of no known form: use bcrypt, as htpasswd -B does"


def _crypt_fault(stored: str) -> str:
    try:
        parsed = (apr_md5_crypt if stored.startswith("$apr1$") else sha512_crypt).from_string(stored)
    except ValueError:
        return "a damaged hash"
    if parsed.checksum is None:
        return "a hash without its end"
    return f"more than {_MAX_ROUNDS} rounds" if getattr(parsed, "rounds", 0) > _MAX_ROUNDS else ""


def _version(status: os.stat_result) -> Version:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
