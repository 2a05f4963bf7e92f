"""One line about what was done, shown once on the next page."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from sftpgo.web import cookies
from sftpgo.web.request import Request

_COOKIE: Final = "sftpgo_notice"

#: Seconds in which the next page is asked for.
_LIFE: Final = 60

_TEXTS: Final = {
    "added": "“{}” was added.",
    "updated": "“{}” was saved.",
    "deleted": "“{}” was deleted. The files stay where they are.",
    "enabled": "“{}” may log in now.",
    "disabled": "“{}” may not log in any more. Connections that are open stay open.",
    "scan": "The quota scan of “{}” has begun.",
    "scanning": "The quota of “{}” is being scanned already.",
    "cancelled": "The quota scan of “{}” was cancelled.",
    "not_scanning": "The quota of “{}” is not being scanned.",
}


def leave(request: Request, kind: str, name: str) -> None:
    """Have something told; C{kind} is a key of the texts."""
    cookies.send(request, _COOKIE, f"{kind}.{quote(name, safe='', errors='replace')}", _LIFE)


def take(request: Request) -> str:
    """What is to be told, once; empty for nothing."""
    value = cookies.read(request, _COOKIE)
    if not value:
        return ""
    cookies.send(request, _COOKIE, "")
    kind, _, name = value.partition(".")
    return _TEXTS[kind].format(unquote(name, errors="replace")) if kind in _TEXTS else ""
