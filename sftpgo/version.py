"""Which version of the server this is."""

from __future__ import annotations

import attrs

from sftpgo import __version__


@attrs.frozen
class VersionInfo:
    """The three strings of C{GET /api/v1/version}; the last two are empty unless the build told them."""

    version: str = __version__
    build_date: str = ""
    commit_hash: str = ""

    def __str__(self) -> str:
        """The parts that are set, with dashes between them."""
        return "-".join(part for part in (self.version, self.commit_hash, self.build_date) if part)


def version_line() -> str:
    """What C{sftpgo --version} prints."""
    return f"SFTPGo version: {VersionInfo()}"
