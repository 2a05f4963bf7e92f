"""TOML 1.0."""

from __future__ import annotations

import tomllib

from sftpgo.config.formats.content import Malformed, Tree, tree


def parse(text: str) -> Tree:
    """Read TOML; the text of an error already holds line and column."""
    try:
        return tree(tomllib.loads(text))
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        raise Malformed(f"not TOML: {error}") from None
