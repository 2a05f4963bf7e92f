"""Cookies (RFC 6265): read as they come, set so that no script and no other site gets at them."""

from __future__ import annotations

from sftpgo.web.request import Request


def read(request: Request, name: str) -> str:
    """The value of a cookie; empty when there is none."""
    return (request.getCookie(name.encode("ascii")) or b"").decode("ascii", "replace")


def send(request: Request, name: str, value: str, seconds: int | None = None) -> None:
    """Set one with the answer to this request; an empty value takes it away.

    @param seconds: until it is gone; when not given it lives as long as the browser does.
    """
    parts = [f"{name}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
    if request.over_https():
        parts.append("Secure")
    if not value or seconds is not None:
        parts.append(f"Max-Age={seconds or 0}")
    request.cookies.append("; ".join(parts).encode("ascii"))
