"""Which algorithms are offered, in which order: the defaults, or what three lists of the configuration say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from sftpgo.ssh.compression import COMPRESSIONS
from sftpgo.ssh.kex import METHODS
from sftpgo.ssh.suites import CIPHERS, MACS

DEFAULT_KEX: Final = (
    b"mlkem768x25519-sha256",
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
    b"diffie-hellman-group16-sha512",
    b"diffie-hellman-group14-sha256",
)
"""What today's clients speak and auditors pass.

By name only: SHA-1, group exchange and group 18 for their price, the NIST curves because nobody can say where their
parameters come from.
"""

DEFAULT_CIPHERS: Final = (
    b"aes128-gcm@openssh.com",
    b"aes256-gcm@openssh.com",
    b"chacha20-poly1305@openssh.com",
    b"aes128-ctr",
    b"aes192-ctr",
    b"aes256-ctr",
)

DEFAULT_MACS: Final = (
    b"hmac-sha2-256-etm@openssh.com",
    b"hmac-sha2-512-etm@openssh.com",
    b"hmac-sha2-256",
    b"hmac-sha2-512",
)

SIGNATURES: Final = (
    b"ssh-ed25519",
    b"sk-ssh-ed25519@openssh.com",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
    b"rsa-sha2-512",
    b"rsa-sha2-256",
)
"""The signatures of users' keys that we check, told to the client as C{server-sig-algs} (RFC 8308 section 3.1)."""

HOST_SIGNATURES: Final = (
    b"ssh-ed25519",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"rsa-sha2-512",
    b"rsa-sha2-256",
)
"""The signatures that our host keys make, the preferred first."""


@frozen
class Algorithms:
    """What one server offers, the preferred first; names as they are on the wire."""

    kex: tuple[bytes, ...] = DEFAULT_KEX
    ciphers: tuple[bytes, ...] = DEFAULT_CIPHERS
    macs: tuple[bytes, ...] = DEFAULT_MACS
    compressions: tuple[bytes, ...] = COMPRESSIONS
    signatures: tuple[bytes, ...] = SIGNATURES
    host_signatures: tuple[bytes, ...] = HOST_SIGNATURES


def choose_algorithms(kex: Sequence[str] = (), ciphers: Sequence[str] = (), macs: Sequence[str] = ()) -> Algorithms:
    """The algorithms that the three lists of the configuration choose and order; an empty list is the default.

    @raise ValueError: naming the list, the unknown name and the known ones.
    """
    return Algorithms(
        kex=_chosen("kex_algorithms", kex, METHODS, DEFAULT_KEX),
        ciphers=_chosen("ciphers", ciphers, CIPHERS, DEFAULT_CIPHERS),
        macs=_chosen("macs", macs, MACS, DEFAULT_MACS),
    )


def _chosen(
    setting: str, names: Sequence[str], known: Iterable[bytes], default: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """The names of one list without repetitions."""
    listed = {name.decode(): name for name in known}
    for name in names:
        if name not in listed:
            raise ValueError(f"{setting}: {name!r} is not known; known are {', '.join(listed)}")
    return tuple(listed[name] for name in dict.fromkeys(names)) or default
