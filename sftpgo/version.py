"""Which version of the server this is."""

from __future__ import annotations

import attrs

from sftpgo import __version__
from sftpgo.built import built


@attrs.frozen
class VersionInfo:
    """The three strings of C{GET /api/v1/version}; the last two are empty where nobody knows (L{sftpgo.built})."""

    version: str = __version__
    build_date: str = attrs.field(factory=lambda: built().date)
    commit_hash: str = attrs.field(factory=lambda: built().commit)

    def __str__(self) -> str:
        """The parts that are set, with dashes between them."""
        return "-".join(part for part in (self.version, self.commit_hash, self.build_date) if part)


def version_line() -> str:
    """What C{sftpgo --version} prints."""
    return f"SFTPGo version: {VersionInfo()}"
