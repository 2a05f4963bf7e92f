"""What a client takes."""

from __future__ import annotations


def takes_gzip(header: bytes) -> bool:
    """Whether gzip is named in Accept-Encoding (RFC 9110, section 12.5.3) and not refused there."""
    for item in header.lower().split(b","):
        coding, _, weight = item.replace(b" ", b"").partition(b";")
        if coding == b"gzip":
            return weight.rstrip(b"0.") != b"q="
    return False
