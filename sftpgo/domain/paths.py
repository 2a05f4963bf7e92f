"""Virtual paths: what the user sees, C{/} being the home.

A path is a C{str} with C{/} between the names.  Names are bytes on the wire and on the disk; those that are not UTF-8
are kept as they are by C{surrogateescape} (PEP 383), whatever the locale of the process.  Everything here is text only:
no link is followed and nothing need exist.
"""

from __future__ import annotations

ROOT = "/"


def canonical(path: str) -> str:
    """The one way to write a path: absolute, without C{.}, C{..}, doubled or trailing slashes.

    C{..} never climbs above C{/}, and a relative path starts there.  A backslash is a character like any other.

    @raise ValueError: for a path with a NUL, which no file system can hold.
    """
    if "\0" in path:
        raise ValueError("a path cannot hold a NUL character")
    names: list[str] = []
    for name in path.split("/"):
        if name == "..":
            if names:
                names.pop()
        elif name not in ("", "."):
            names.append(name)
    return ROOT + "/".join(names)


def parent(path: str) -> str:
    """The directory that holds a canonical path; C{/} is its own parent."""
    return path[: path.rindex("/")] or ROOT


def basename(path: str) -> str:
    """The last name of a canonical path; empty for C{/}."""
    return path[path.rindex("/") + 1 :]


def join(base: str, relative: str) -> str:
    """The canonical path of C{relative} as seen from the directory C{base}; an absolute one stands for itself.

    @raise ValueError: as L{canonical}.
    """
    return canonical(relative if relative.startswith("/") else f"{base}/{relative}")


def contains(directory: str, path: str) -> bool:
    """Tell whether a canonical path is the directory or lies below it, name by name: C{/u1} has no part in C{/u10}."""
    return directory in (ROOT, path) or path.startswith(f"{directory}/")


def depth(path: str) -> int:
    """How many names a canonical path has; 0 for C{/}."""
    return 0 if path == ROOT else path.count("/")


def from_wire(path: bytes) -> str:
    """The text of a path as it came over the wire; L{to_wire} gives back exactly these bytes."""
    return path.decode("utf-8", "surrogateescape")


def to_wire(path: str) -> bytes:
    """The bytes of a path.

    @raise ValueError: for a surrogate that does not stand for a byte; L{from_wire} never makes one.
    """
    return path.encode("utf-8", "surrogateescape")
