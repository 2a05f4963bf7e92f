"""Lines of an C{authorized_keys} file (sshd(8), AUTHORIZED_KEYS FILE FORMAT): which key, and whose comment."""

from __future__ import annotations

import base64
import binascii
import re
import struct

import attrs
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import Key

from sftpgo.fingerprint import fingerprint
from sftpgo.ssh.signatures import ACCEPTED

_TYPES = frozenset(name.decode("ascii") for name in ACCEPTED if not name.startswith(b"rsa-")) | {"ssh-rsa"}

#: Options before the key type: words with commas between them, whose values may be quoted and hold blanks.
_OPTIONS = re.compile(r'(?:[^\s"]|"(?:\\.|[^"\\])*")+')


@attrs.frozen
class AuthorizedKey:
    """One parsed line.

    @ivar blob: the public key as it goes over the wire (RFC 4253, section 6.6).
    @ivar comment: what stands behind it, maybe empty.
    """

    blob: bytes
    comment: str = ""

    def fingerprint(self) -> str:
        """The fingerprint as OpenSSH shows it: C{SHA256:...}."""
        return fingerprint(self.blob)


def parse(line: str) -> AuthorizedKey:
    """Read one line; options in front of the key are read over.

    @raise ValueError: when there is no key of a known type, or its blob is damaged.
    """
    rest = line.strip()
    kind = rest.split(None, 1)[0] if rest else ""
    if kind not in _TYPES:
        options = _OPTIONS.match(rest)
        rest = rest[options.end() :].strip() if options else ""
        kind = rest.split(None, 1)[0] if rest else ""
    if kind not in _TYPES:
        raise ValueError("no key found")
    _kind, _, tail = rest.partition(kind)
    fields = tail.split(None, 1)
    if not fields:
        raise ValueError("no key found")
    try:
        blob = base64.b64decode(fields[0].encode("ascii"), validate=True)
        named, _rest = getNS(blob)
    except (binascii.Error, UnicodeError, struct.error) as error:
        raise ValueError("the key is not base64 of a public key") from error
    if named != kind.encode("ascii"):
        raise ValueError("the key is of another type than its line says")
    return AuthorizedKey(blob, fields[1].strip() if len(fields) > 1 else "")


def check(line: str) -> None:
    """Raise C{ValueError} unless the line holds a public key that can be used."""
    blob = parse(line).blob
    try:
        Key.fromString(blob)
    except Exception as error:  # the parsers below raise whatever a damaged number makes them raise
        raise ValueError(f"the key is damaged: {error}") from error
