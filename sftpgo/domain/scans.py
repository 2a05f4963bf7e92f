"""What is known of a quota scan while it runs."""

from __future__ import annotations

import attrs


@attrs.frozen
class ScanInfo:
    """A running scan as REST shows it, in that order.

    @ivar start_time: unix milliseconds.
    @ivar files: regular files found so far; C{size}: their bytes.
    """

    username: str
    start_time: int
    files: int = 0
    size: int = 0
