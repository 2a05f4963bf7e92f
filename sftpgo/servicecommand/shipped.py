"""The service files that the package ships, which administrators may also install by hand."""

from __future__ import annotations

import os

from sftpgo.errors import StartupError

UNIT = "systemd/sftpgo.service"
PROPERTY_LIST = "launchd/org.sftpgo.server.plist"

_HERE = os.path.dirname(os.path.abspath(__file__))

#: In an installation, and in a checkout.
_PLACES = (os.path.join(_HERE, "etc"), os.path.join(os.path.dirname(os.path.dirname(_HERE)), "etc"))


def shipped(name: str) -> bytes:
    """A file of C{etc}; raises L{StartupError} when it is missing."""
    for place in _PLACES:
        try:
            with open(os.path.join(place, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise StartupError(f"this installation is not whole: {os.path.join(_PLACES[0], name)} is missing")
