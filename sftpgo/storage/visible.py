"""Directories as clients see them: without the temporary files of uploads."""

from __future__ import annotations

from sftpgo.storage.listing import CHUNK, DirectoryReader, Entry
from sftpgo.storage.upload import PREFIX, is_temporary


class VisibleReader(DirectoryReader):
    """A reader that leaves out what is not the client's business."""

    def next_chunk(self, limit: int = CHUNK) -> list[Entry]:
        """Up to C{limit} further entries; none at the end.  See L{DirectoryReader.next_chunk}."""
        while chunk := super().next_chunk(limit):
            visible = [entry for entry in chunk if not (entry[0].startswith(PREFIX) and is_temporary(entry[0]))]
            if visible:
                return visible
        return []
