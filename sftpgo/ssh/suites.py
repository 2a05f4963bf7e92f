"""The ciphers and MACs by their names on the wire, and the keys that each takes."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from attrs import frozen
from cryptography.hazmat.primitives import hashes

from sftpgo.ssh.ciphers import ChaChaPoly, EncryptAndMac, EncryptThenMac, Gcm, Mac, PacketCipher


@frozen
class CipherSuite:
    """A cipher.

    @ivar key_size: bytes of its key.
    @ivar iv_size: bytes of its initialization vector.
    @ivar mode: "gcm" and "chacha" have their own integrity; "ctr", "cbc" and "3des-cbc" take a MAC beside.
    """

    key_size: int
    iv_size: int
    mode: str

    @property
    def has_integrity(self) -> bool:
        """The MAC that was agreed on is not used."""
        return self.mode in {"gcm", "chacha"}


@frozen
class MacSuite:
    """A MAC.

    @ivar key_size: bytes of its key.
    @ivar size: bytes sent with each packet.
    @ivar of_encrypted: it is over the encrypted packet (C{-etm}).
    """

    digest: Callable[[], hashes.HashAlgorithm]
    key_size: int
    size: int
    of_encrypted: bool


@frozen
class Keys:
    """What one direction is keyed with, each cut from a hash at the size wanted (RFC 4253 section 7.2).

    The functions take a size in bytes.
    """

    iv: Callable[[int], bytes]
    encryption: Callable[[int], bytes]
    integrity: Callable[[int], bytes]


CIPHERS: Final = MappingProxyType(
    {
        b"aes128-gcm@openssh.com": CipherSuite(16, 12, "gcm"),
        b"aes256-gcm@openssh.com": CipherSuite(32, 12, "gcm"),
        b"chacha20-poly1305@openssh.com": CipherSuite(64, 0, "chacha"),
        b"aes128-ctr": CipherSuite(16, 16, "ctr"),
        b"aes192-ctr": CipherSuite(24, 16, "ctr"),
        b"aes256-ctr": CipherSuite(32, 16, "ctr"),
        b"aes128-cbc": CipherSuite(16, 16, "cbc"),
        b"aes192-cbc": CipherSuite(24, 16, "cbc"),
        b"aes256-cbc": CipherSuite(32, 16, "cbc"),
        b"3des-cbc": CipherSuite(24, 8, "3des-cbc"),
    }
)

MACS: Final = MappingProxyType(
    {
        b"hmac-sha2-256-etm@openssh.com": MacSuite(hashes.SHA256, 32, 32, True),
        b"hmac-sha2-512-etm@openssh.com": MacSuite(hashes.SHA512, 64, 64, True),
        b"hmac-sha2-256": MacSuite(hashes.SHA256, 32, 32, False),
        b"hmac-sha2-512": MacSuite(hashes.SHA512, 64, 64, False),
        b"hmac-sha1-etm@openssh.com": MacSuite(hashes.SHA1, 20, 20, True),
        b"hmac-sha1": MacSuite(hashes.SHA1, 20, 20, False),
        b"hmac-sha1-96": MacSuite(hashes.SHA1, 20, 12, False),
    }
)


def packet_cipher(cipher: bytes, mac: bytes, keys: Keys, encrypting: bool) -> PacketCipher:
    """The cipher of one direction.

    @param mac: looked at only when the cipher has no integrity of its own.
    @raise KeyError: for a name that is not known.
    """
    suite = CIPHERS[cipher]
    key = keys.encryption(suite.key_size)
    iv = keys.iv(suite.iv_size)
    if suite.mode == "gcm":
        return Gcm(key, iv)
    if suite.mode == "chacha":
        return ChaChaPoly(key)
    hmac = MACS[mac]
    combined = EncryptThenMac if hmac.of_encrypted else EncryptAndMac
    return combined(key, iv, suite.mode, Mac(keys.integrity(hmac.key_size), hmac.digest(), hmac.size), encrypting)
