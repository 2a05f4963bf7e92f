"""Which message numbers a client may send, and when.  Everything else ends the connection.

Conch serves whatever comes, a login before the first key exchange included.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Final

MSG_DISCONNECT: Final = 1
MSG_IGNORE: Final = 2
MSG_UNIMPLEMENTED: Final = 3
MSG_DEBUG: Final = 4
MSG_SERVICE_REQUEST: Final = 5
MSG_SERVICE_ACCEPT: Final = 6
MSG_EXT_INFO: Final = 7
MSG_KEXINIT: Final = 20
MSG_NEWKEYS: Final = 21
MSG_USERAUTH_REQUEST: Final = 50
MSG_USERAUTH_SUCCESS: Final = 52
MSG_USERAUTH_INFO_RESPONSE: Final = 61

METHOD_MESSAGES: Final = range(30, 50)
"""The numbers that key exchange methods share."""

KEX_MESSAGES: Final = frozenset((MSG_KEXINIT, MSG_NEWKEYS, *METHOD_MESSAGES))


class Phase(Enum):
    """How far the login is."""

    UNSECURED = "before the first key exchange"
    SECURED = "keys are in use, no service runs"
    LOGIN = "the ssh-userauth service runs"
    OPEN = "logged in: the ssh-connection service runs"


class Kex(Enum):
    """How far a key exchange is."""

    NONE = "none is under way"
    REQUESTED = "we have sent KEXINIT, the client has not"
    EXCHANGING = "both have sent KEXINIT, we have not sent NEWKEYS"
    KEYED = "we have sent NEWKEYS, the client has not"


_ANY_TIME = frozenset((MSG_DISCONNECT, MSG_IGNORE, MSG_UNIMPLEMENTED, MSG_DEBUG))

_BY_PHASE: Final = MappingProxyType(
    {
        Phase.UNSECURED: _ANY_TIME | {MSG_KEXINIT},
        Phase.SECURED: _ANY_TIME | {MSG_KEXINIT, MSG_SERVICE_REQUEST, MSG_EXT_INFO},
        # 61 is the client's part of keyboard-interactive (RFC 4256); no other method has messages from the client.
        # Some clients (paramiko) ask for the service again before each attempt; they get the same one.
        Phase.LOGIN: _ANY_TIME | {MSG_KEXINIT, MSG_SERVICE_REQUEST, MSG_USERAUTH_REQUEST, MSG_USERAUTH_INFO_RESPONSE},
        # 50: a login that was pipelined behind the one that succeeded is ignored (RFC 4252 section 5.3).
        Phase.OPEN: _ANY_TIME | {MSG_KEXINIT, MSG_USERAUTH_REQUEST, 80, 81, 82, *range(90, 101)},
    }
)


def allowed(phase: Phase, kex: Kex, strict: bool, expects: int) -> frozenset[int]:
    """The message numbers a client may send now.

    @param strict: strict key exchange was agreed on: the first exchange holds nothing but itself (OpenSSH's PROTOCOL
        section 1.10).
    @param expects: the number of the exchange method's next message, 0 for none.
    """
    if data_flows(kex):
        # What the client sent before it saw our KEXINIT is still on its way.
        return _BY_PHASE[phase]
    beside = frozenset((MSG_DISCONNECT,)) if strict and phase is Phase.UNSECURED else _ANY_TIME
    if kex is Kex.KEYED:
        return beside | {MSG_NEWKEYS}
    return beside | {expects} if expects else beside


def data_flows(kex: Kex) -> bool:
    """Whether the client may still send messages of services."""
    return kex is Kex.NONE or kex is Kex.REQUESTED


def services_send(kex: Kex) -> bool:
    """Whether we may send messages of services (RFC 4253 section 7.1)."""
    return kex is Kex.NONE or kex is Kex.KEYED


def sendable(kex: Kex, kind: int) -> bool:
    """Whether we may send a message of this number now, or have to keep it (RFC 4253 section 7.1)."""
    if services_send(kex):
        return True
    return kind < 50 and kind not in {MSG_SERVICE_REQUEST, MSG_SERVICE_ACCEPT, MSG_EXT_INFO, MSG_KEXINIT}
