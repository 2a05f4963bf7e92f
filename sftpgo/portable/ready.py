"""What is told once the server listens: how to get in, as text, as a command, as a URL and as a QR code."""

from __future__ import annotations

import io
import shlex
import socket
from collections.abc import Mapping
from urllib.parse import quote

import segno

from sftpgo.listening import bracketed
from sftpgo.portable.options import Share
from sftpgo.portable.shown import quoted
from sftpgo.printable import printable

_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 -- looked for, not bound to

#: Addresses nobody has (RFC 5737, RFC 3849): which of ours would be used to go there?
_AWAY = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))

_QUIET_ZONE = 4


def ready_line(share: Share, port: int) -> str:
    """The one line of the original; a password that was given is not repeated."""
    user = share.user
    password = user.password if share.generated else ""
    return (
        f"Portable mode ready, SFTP port: {port}, user: {quoted(user.username)}, password: {quoted(password)}, "
        f"public keys: [{' '.join(map(printable, user.public_keys))}], directory: {quoted(user.home_dir)}, "
        f"permissions: map[/:[{' '.join(user.permissions['/'])}]], "
        f"enabled ssh commands: [{' '.join(share.commands)}]"
    )


def details(share: Share, port: int, fingerprints: Mapping[str, str], *, host: str, style: str | None) -> str:
    """What one pastes or scans.

    @param fingerprints: of the host keys, by type.
    @param style: C{unicode} or C{ascii} for a QR code, None for none.
    """
    url = sftp_url(share, host, port)
    user = share.user.username
    lines = [
        "",
        f"  sftp -P {port} {printable(shlex.quote(f'{user}@{bracketed(host)}'))}",
        f"  {url}",
        "",
        *(f"Host key ({kind}): {fingerprint}" for kind, fingerprint in fingerprints.items()),
    ]
    if style is not None:
        lines += ["", qr_code(url, style)]
    return "\n".join([*lines, "", "Ctrl-C stops the server."])


def sftp_url(share: Share, host: str, port: int) -> str:
    """The URL of what is shared; with the password where that was made up for this one occasion."""
    user = quote(share.user.username.encode("utf-8"), safe="")
    password = ":" + quote(share.user.password, safe="") if share.generated else ""
    return f"sftp://{user}{password}@{bracketed(host)}:{port}/"


def qr_code(text: str, style: str) -> str:
    """A QR code for a terminal: of half blocks, or of coloured blanks where there are none."""
    out = io.StringIO()
    segno.make(text, micro=False, error="l").terminal(out, border=_QUIET_ZONE, compact=style == "unicode")
    lines = out.getvalue().rstrip("\n").split("\n")
    # The full blocks are the light ones; without colours of its own a light terminal would show the negative.
    return "\n".join(lines if style != "unicode" else [f"\x1b[97;40m{line}\x1b[0m" for line in lines])


def qr_fits(text: str, style: str, columns: int) -> bool:
    """Whether there is a QR code for so much text, and L{qr_code} takes fewer than so many columns."""
    try:
        modules = segno.make(text, micro=False, error="l").symbol_size(border=_QUIET_ZONE)[0]
    except segno.DataOverflowError:
        return False
    return (modules if style == "unicode" else 2 * modules) < columns


def reachable_host(bind_address: str) -> str:
    """The address of this machine that others on its network use; nothing is sent to find it."""
    if bind_address not in _ANY:
        return bind_address
    for family, address in _AWAY:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return "127.0.0.1"
