"""Cookies (RFC 6265): read as they come, set so that no script and no other site gets at them."""

from __future__ import annotations

from sftpgo.web.request import Request


def read(request: Request, name: str) -> str:
    """The value of a cookie; empty when there is none."""
    return (request.getCookie(name.encode("ascii")) or b"").decode("ascii", "replace")


def written(request: Request, name: str, value: str) -> str:
    """The C{Set-Cookie} header for one that lives as long as the browser does; an empty value takes it away."""
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
    if request.over_https():
        parts.append("Secure")
    if not value:
        parts.append("Max-Age=0")
    return "; ".join(parts)
