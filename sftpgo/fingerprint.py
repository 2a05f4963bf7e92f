"""The name that people know a public key by."""

from __future__ import annotations

import base64
import hashlib


def fingerprint(blob: bytes) -> str:
    """C{SHA256:...}, as C{ssh-keygen -l} shows it (RFC 4716 section 4, with SHA-256).

    @param blob: the public key as it goes over the wire (RFC 4253 section 6.6).
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")
