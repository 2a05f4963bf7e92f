"""C{/static/*}: the files that pages are made with."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
from collections import OrderedDict
from typing import Final

import attrs
from werkzeug.exceptions import NotFound as NoSuchPath

from sftpgo.web.accepting import takes_gzip
from sftpgo.web.metrics import RunInThread
from sftpgo.web.request import Request
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route

_OWN: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")

#: Bytes of a file, and how many files are remembered.
_MAX_SIZE: Final = 8 * 1024 * 1024
_MAX_FILES: Final = 64

_TEXT: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_BINARY: Final = {
    ".gif": "image/gif",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}

#: A picture may bring a script along; opened by itself it has no rights here.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

#: What tells one version of a file from another: device, inode, size, time in nanoseconds.
_Version = tuple[int, int, int, int]


@attrs.frozen
class _Asset:
    """A file as it is and compressed; C{packed} is empty where that gains nothing."""

    version: _Version
    plain: bytes
    packed: bytes
    tag: str


class Statics:
    """Serves files of one directory, and the server's own where that has none of the name.

    @param directory: it need not exist.
    """

    def __init__(self, run_in_thread: RunInThread, directory: str = "") -> None:
        self._run_in_thread = run_in_thread
        self._directories = [directory, _OWN] if directory else [_OWN]
        self._assets: OrderedDict[str, _Asset] = OrderedDict()

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", "/static", self.redirect, page=True),
            Route("GET", "/static/<path:name>", self.file, page=True),
        )

    async def redirect(self, _request: Request) -> Content:
        """Where it always led."""
        return Content(b"", "text/plain", {"Location": "/static/"}, 301)

    async def file(self, request: Request, name: str) -> Content:
        """A file, or 304 for who has it (RFC 9110, section 13.1.2)."""
        extension = os.path.splitext(name)[1].lower()
        content_type = _TEXT.get(extension) or _BINARY.get(extension, "application/octet-stream")
        asset: _Asset = await self._run_in_thread(self._find, name, extension in _TEXT)
        packed = bool(asset.packed) and takes_gzip(request.getHeader(b"accept-encoding") or b"")
        tag = f'"{asset.tag}-gzip"' if packed else f'"{asset.tag}"'
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": _POLICY,
            "ETag": tag,
            "Vary": "Accept-Encoding",
        }
        if _has(request.getHeader(b"if-none-match") or b"", tag):
            return Content(b"", content_type, headers, 304)
        if packed:
            return Content(asset.packed, content_type, {**headers, "Content-Encoding": "gzip"})
        return Content(asset.plain, content_type, headers)

    def _find(self, name: str, text: bool) -> _Asset:
        parts = name.split("/")
        if "\0" in name or "\\" in name or any(part.startswith(".") or not part for part in parts):
            raise NoSuchPath
        for directory in self._directories:
            try:
                return self._read(os.path.realpath(directory), parts, text)
            except (OSError, UnicodeEncodeError):
                continue
        raise NoSuchPath

    def _read(self, directory: str, parts: list[str], text: bool) -> _Asset:
        """The file, from memory when it is as it was; raises L{OSError} for what is no file in the directory."""
        path = os.path.realpath(os.path.join(directory, *parts))
        if not path.startswith(directory.rstrip("/") + "/"):
            raise FileNotFoundError(errno.ENOENT, "a link leads out")
        # A pipe would wait for somebody to write.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_SIZE:
                raise FileNotFoundError(errno.ENOENT, "no regular file of a bearable size")
            version = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
            asset = self._assets.get(path)
            if asset is None or asset.version != version:
                asset = self._assets[path] = _asset(version, file.read(_MAX_SIZE), text)
                if len(self._assets) > _MAX_FILES:
                    self._assets.popitem(last=False)
        return asset


def _asset(version: _Version, plain: bytes, text: bool) -> _Asset:
    packed = gzip.compress(plain, 9, mtime=0) if text else b""
    tag = hashlib.sha256(plain).hexdigest()[:32]
    return _Asset(version, plain, packed if len(packed) < len(plain) else b"", tag)


def _has(header: bytes, tag: str) -> bool:
    """Whether If-None-Match names this tag; weak ones count (RFC 9110, section 13.1.2)."""
    given = [item.strip().removeprefix(b"W/") for item in header.split(b",")]
    return b"*" in given or tag.encode("ascii") in given
