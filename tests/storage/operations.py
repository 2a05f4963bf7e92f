"""Every operation a client can ask for, as a function from a home and a virtual path to what the client would see."""

from __future__ import annotations

import os
from collections.abc import Callable

from sftpgo.storage.confined import Home, link, rename
from tests.storage.entries import list_directory

#: What was seen: contents and names as bytes, attributes as stat results.
Seen = list[object]
Operation = Callable[[Home, bytes, bool], Seen]

EPOCH = 1_000_000_000


def _stat(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return [place.stat()]


def _read(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return _content(place.open(os.O_RDONLY))


def _write(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return _content(place.open(os.O_RDWR | os.O_CREAT), written=b"overwritten")


def _write_truncated(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return _content(place.open(os.O_RDWR | os.O_CREAT | os.O_TRUNC), written=b"new")


def _append(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return _content(place.open(os.O_RDWR | os.O_APPEND), written=b"more")


def _create(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return _content(place.open(os.O_RDWR | os.O_CREAT | os.O_EXCL), written=b"created")


def _list(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        return [item for entry in list_directory(place) for item in entry]


def _mkdir(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.mkdir()
        return []


def _rmdir(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.rmdir()
        return []


def _unlink(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.unlink()
        return []


def _readlink(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.readlink()  # its text is the link's own content, wherever it points
        return []


def _symlink(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.symlink(b"/anywhere")
        return []


def _chmod(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.chmod(0o7751)
        return []


def _chown(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.chown(os.getuid(), os.getgid())
        return []


def _utime(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.utime((EPOCH, EPOCH))
        return []


def _truncate(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.truncate(3)
        return []


def _statvfs(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place:
        place.statvfs()
        return []


def _sibling(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as place, place.sibling(b"sibling") as temporary:
        return _content(temporary.open(os.O_RDWR | os.O_CREAT | os.O_EXCL), written=b"temporary")


def _rename_from(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as src, home.locate(b"/moved", follow=False) as dst:
        rename(src, dst, replace=True)
    return _read(home, b"/moved", False)


def _rename_from_unless_there(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as src, home.locate(b"/moved", follow=False) as dst:
        rename(src, dst, replace=False)
    return _list(home, b"/moved", True)


def _rename_to(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(b"/own", follow=False) as src, home.locate(path, follow=follow) as dst:
        rename(src, dst, replace=True)
        return []


def _rename_to_unless_there(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(b"/own", follow=False) as src, home.locate(path, follow=follow) as dst:
        rename(src, dst, replace=False)
        return []


def _link_from(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(path, follow=follow) as src, home.locate(b"/linked", follow=False) as dst:
        link(src, dst)
    return _read(home, b"/linked", True)


def _link_to(home: Home, path: bytes, follow: bool) -> Seen:
    with home.locate(b"/own", follow=False) as src, home.locate(path, follow=follow) as dst:
        link(src, dst)
        return []


def _content(descriptor: int, written: bytes = b"") -> Seen:
    try:
        before = os.pread(descriptor, 1 << 16, 0)
        if written:
            os.write(descriptor, written)
        return [before, os.fstat(descriptor)]
    finally:
        os.close(descriptor)


OPERATIONS: dict[str, Operation] = {
    name.lstrip("_"): function
    for name, function in globals().items()
    if name.startswith("_") and not name.startswith("__") and name != "_content" and callable(function)
}
