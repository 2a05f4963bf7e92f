"""Text from elsewhere, made fit for a terminal: names of users, files and programs may hold any character."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, with escapes in place of whatever could move the cursor, change colours or forge a line."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
