"""The ways two sides agree on a secret, seen from the server (RFC 4253 section 8, RFC 5656, RFC 8731).

Each method turns the client's public value into the server's and the secret they share.  Values are handled in the
form they have on the wire, since that is also how they enter the exchange hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, Protocol

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sftpgo.ssh.fields import Fields, mpint, string
from sftpgo.ssh.groups import GROUP1, GROUP14, GROUP16, GROUP18, Group


@frozen
class Agreement:
    """What came out.

    @ivar client: the client's public value, as a field of the wire.
    @ivar server: the server's, likewise.
    @ivar secret: the shared secret, as a field of the exchange hash.
    """

    client: bytes = field(repr=False)
    server: bytes = field(repr=False)
    secret: bytes = field(repr=False)


class Method(Protocol):
    """A key exchange method."""

    @property
    def digest(self) -> str:
        """The hash of the exchange and of the keys cut from it, by the name hashlib knows."""

    @property
    def slow(self) -> bool:
        """Whether L{agree} takes more than a few milliseconds."""

    def agree(self, payload: bytes) -> Agreement:
        """Answer the client's message.

        @raise ValueError: for a public value that is malformed or gives the secret away.
        """


class Curve25519:
    """curve25519-sha256 (RFC 8731)."""

    digest = "sha256"
    slow = False

    def agree(self, payload: bytes) -> Agreement:
        """See L{Method.agree}."""
        client = _only_string(payload)
        server, secret = _x25519(client)
        return Agreement(payload, string(server), mpint(int.from_bytes(secret, "big")))


@frozen
class NistCurve:
    """ecdh-sha2-nistp256, 384 and 521 (RFC 5656 section 4)."""

    curve: ec.EllipticCurve
    digest: str
    slow: bool = False

    def agree(self, payload: bytes) -> Agreement:
        """See L{Method.agree}."""
        peer = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, _only_string(payload))
        key = ec.generate_private_key(self.curve)
        server = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        secret = key.exchange(ec.ECDH(), peer)
        return Agreement(payload, string(server), mpint(int.from_bytes(secret, "big")))


class HybridMlKem:
    """mlkem768x25519-sha256: safe as long as one of the two is (draft-ietf-sshm-mlkem-hybrid-kex)."""

    digest = "sha256"
    slow = False

    _ENCAPSULATION_KEY: Final = 1184  # bytes of an ML-KEM-768 public key (FIPS 203 table 3)

    def agree(self, payload: bytes) -> Agreement:
        """See L{Method.agree}."""
        client = _only_string(payload)
        lattice, curve = client[: self._ENCAPSULATION_KEY], client[self._ENCAPSULATION_KEY :]
        quantum_secret, ciphertext = MLKEM768PublicKey.from_public_bytes(lattice).encapsulate()
        public, classical_secret = _x25519(curve)
        # A string and not a number, unlike everywhere else: the draft's section 2.4.
        secret = hashlib.sha256(quantum_secret + classical_secret).digest()
        return Agreement(payload, string(ciphertext + public), string(secret))


@frozen
class FixedGroup:
    """diffie-hellman-group14-sha256 and its kin (RFC 4253 section 8, RFC 8268)."""

    group: Group
    digest: str
    slow: bool = True

    def agree(self, payload: bytes) -> Agreement:
        """See L{Method.agree}."""
        fields = Fields(payload)
        public = fields.mpint()
        fields.end()
        private = self.group.private()
        secret = self.group.shared(private, public)
        return Agreement(mpint(public), mpint(self.group.public(private)), mpint(secret))


@frozen
class GroupExchange:
    """diffie-hellman-group-exchange: the client names a size, we a group, then it is as above (RFC 4419)."""

    digest: str


def _only_string(payload: bytes) -> bytes:
    fields = Fields(payload)
    value = fields.string()
    fields.end()
    return value


def _x25519(peer: bytes) -> tuple[bytes, bytes]:
    """Our public value and the secret; the library refuses a secret of zeroes (RFC 8731 section 3)."""
    key = X25519PrivateKey.generate()
    return key.public_key().public_bytes_raw(), key.exchange(X25519PublicKey.from_public_bytes(peer))


def key_cutter(digest: str, secret: bytes, exchange_hash: bytes, session: bytes) -> Callable[[bytes, int], bytes]:
    """A function from a letter and a size to key material (RFC 4253 section 7.2)."""

    def cut(letter: bytes, size: int) -> bytes:
        material = hashlib.new(digest, secret + exchange_hash + letter + session).digest()
        while len(material) < size:
            material += hashlib.new(digest, secret + exchange_hash + material).digest()
        return material[:size]

    return cut


METHODS: Final = MappingProxyType[bytes, Method | GroupExchange](
    {
        b"mlkem768x25519-sha256": HybridMlKem(),
        b"curve25519-sha256": Curve25519(),
        b"curve25519-sha256@libssh.org": Curve25519(),
        b"ecdh-sha2-nistp256": NistCurve(ec.SECP256R1(), "sha256"),
        b"ecdh-sha2-nistp384": NistCurve(ec.SECP384R1(), "sha384"),
        b"ecdh-sha2-nistp521": NistCurve(ec.SECP521R1(), "sha512"),
        b"diffie-hellman-group14-sha256": FixedGroup(GROUP14, "sha256"),
        b"diffie-hellman-group16-sha512": FixedGroup(GROUP16, "sha512"),
        b"diffie-hellman-group18-sha512": FixedGroup(GROUP18, "sha512"),
        b"diffie-hellman-group-exchange-sha256": GroupExchange("sha256"),
        b"diffie-hellman-group-exchange-sha1": GroupExchange("sha1"),
        b"diffie-hellman-group14-sha1": FixedGroup(GROUP14, "sha1"),
        b"diffie-hellman-group1-sha1": FixedGroup(GROUP1, "sha1"),
    }
)
