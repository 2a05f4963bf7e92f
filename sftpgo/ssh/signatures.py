"""Which public keys and signatures are accepted at all, before anybody asks whose they are.

The algorithm asked for, the type of the key and the type of the signature must agree (RFC 8332, section 3.2), SHA-1 is
out, and a security key must say that its user was present (OpenSSH's PROTOCOL.u2f).
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.conch.ssh.common import getNS

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 16384

_RSA = (b"rsa-sha2-512", b"rsa-sha2-256")
_OTHERS = (
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"sk-ssh-ed25519@openssh.com",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
)

#: What C{server-sig-algs} (RFC 8308, section 3.1) may announce.
ACCEPTED = (*_OTHERS, *_RSA)

_USER_PRESENT = 0x01


class BadSignatureFormat(ValueError):
    """The key, the algorithm and the signature do not belong together, or are not accepted."""


@attrs.frozen
class Signed:
    """What kind of signature it is."""

    security_key: bool


def signed_algorithm(key: Any, algorithm: bytes, signature: bytes | None) -> Signed:
    """Hold a key and its signature (None for a key that is only offered) against the algorithm named.

    @param key: a L{twisted.conch.ssh.keys.Key}.
    @raise BadSignatureFormat: when they disagree or are not accepted.
    """
    blob_type = key.sshType()
    if blob_type == b"ssh-rsa":
        if algorithm not in _RSA:
            raise BadSignatureFormat("RSA keys sign with SHA-2 here")
        if not MIN_RSA_BITS <= key.size() <= MAX_RSA_BITS:
            raise BadSignatureFormat(f"an RSA key of {key.size()} bits")
    elif algorithm != blob_type or algorithm not in _OTHERS:
        raise BadSignatureFormat("the algorithm is not accepted or not the key's")
    security_key = algorithm.startswith(b"sk-")
    if signature is not None:
        signature_type, _blob, rest = getNS(signature, 2)
        if signature_type != algorithm:
            raise BadSignatureFormat("the signature is of another type than the algorithm asked for")
        if security_key and (len(rest) < 5 or not rest[0] & _USER_PRESENT):
            raise BadSignatureFormat("the security key does not say that its user was present")
    return Signed(security_key)
