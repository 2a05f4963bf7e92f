"""Public keys as people tell them apart: type, length and fingerprint (RFC 4716, section 4, with SHA-256)."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Final

import attrs

from sftpgo.fingerprint import fingerprint

#: How every key's blob begins: the length of the name of its type, of less than 256 bytes.
_BLOB: Final = "AAAA"

#: Characters of a line that is looked at, and strings of a blob: no key has more.
_MAX_LINE: Final = 16 * 1024
_MAX_FIELDS: Final = 16


@attrs.frozen
class KeyView:
    """One key.

    @ivar kind: C{ssh-ed25519}, C{ssh-rsa 4096}, ...
    @ivar fingerprint: C{SHA256:...} as C{ssh-keygen -l} shows it.
    """

    kind: str
    fingerprint: str
    comment: str


def view_of(line: str) -> KeyView | None:
    """The key of a line of C{authorized_keys}; C{None} for what cannot be read as one."""
    if len(line) > _MAX_LINE:
        return None
    words = line.split()
    for index, word in enumerate(words):
        if not word.startswith(_BLOB):
            continue
        try:
            blob = base64.b64decode(word, validate=True)
            fields = _fields(blob)
            kind = fields[0].decode("ascii")
        except (binascii.Error, UnicodeDecodeError, struct.error, IndexError):
            continue
        if kind == "ssh-rsa" and len(fields) > 2:
            kind = f"ssh-rsa {int.from_bytes(fields[2], 'big').bit_length()}"
        return KeyView(kind, fingerprint(blob), " ".join(words[index + 1 :]))
    return None


def _fields(blob: bytes) -> list[bytes]:
    """The strings of a blob (RFC 4251, section 5)."""
    fields: list[bytes] = []
    while blob and len(fields) < _MAX_FIELDS:
        (length,) = struct.unpack_from(">L", blob)
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields
