"""Names for requests, so that lines of several logs can be brought together."""

from __future__ import annotations

import re
import secrets
import string
from itertools import count

_SANE = re.compile(rb"[!-~]{1,64}")
_ALPHABET = string.ascii_letters + string.digits


class RequestIds:
    """Gives every request its id: the client's own when it is fit to stand in a log, else C{host/random-000001}.

    @param host: the name of this machine.
    """

    def __init__(self, host: str) -> None:
        self._prefix = f"{host}/{''.join(secrets.choice(_ALPHABET) for _ in range(10))}"
        self._numbers = count(1)

    def id_for(self, header: bytes | None) -> str:
        """The id of a request that came with this C{X-Request-Id}."""
        if header is not None and _SANE.fullmatch(header):
            return header.decode("ascii")
        return f"{self._prefix}-{next(self._numbers):06d}"
