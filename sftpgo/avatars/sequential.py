"""A digest that is computed while the bytes come by."""

from __future__ import annotations

import hashlib


class SequentialDigest:
    """SHA-256 of a file that is written from its beginning to its end; given up when it is not."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._next = 0

    def update(self, offset: int, data: bytes | memoryview) -> None:
        """These bytes were written at C{offset}."""
        if offset == self._next:
            self._hash.update(data)
            self._next += len(data)
        else:
            self._next = -1

    def value(self, size: int) -> str:
        """The digest in hexadecimal; empty unless exactly the C{size} bytes of the file came by in order."""
        return self._hash.hexdigest() if self._next == size else ""
