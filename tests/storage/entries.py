"""All entries of a directory at once, as tests want them."""

from __future__ import annotations

from collections.abc import Iterator

from sftpgo.storage.listing import DirectoryReader, Entry
from sftpgo.storage.location import Location


def list_directory(location: Location) -> Iterator[Entry]:
    """The entries, chunk by chunk."""
    reader = DirectoryReader.open(location)
    try:
        while chunk := reader.next_chunk():
            yield from chunk
    finally:
        reader.close()
