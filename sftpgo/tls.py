"""The certificate of the HTTP server, which can be replaced while it runs."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL.crypto import X509, PKey
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from zope.interface import implementer

from sftpgo.errors import StartupError


@implementer(IOpenSSLContextFactory)
class Certificate:
    """Gives every new connection the context of the certificate that was loaded last; TLS 1.2 and newer.

    @param certificate_file: the chain as PEM, the server's own certificate first.
    @param key_file: its private key as PEM, without a passphrase.
    """

    def __init__(self, certificate_file: str, key_file: str) -> None:
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._options: CertificateOptions | None = None

    def load(self) -> None:
        """Read both files; when they cannot be used, those before stay in use.  May block.

        @raise StartupError: naming the key of the configuration and what is wrong.
        """
        chain = _read(self._certificate_file, "certificate_file", x509.load_pem_x509_certificates)
        key = _read(self._key_file, "certificate_key_file", lambda data: load_pem_private_key(data, None))
        if _public(chain[0].public_key()) != _public(key.public_key()):
            raise StartupError(f"httpd.certificate_key_file: {self._key_file} is not the key of the certificate")
        certificates = [X509.from_cryptography(certificate) for certificate in chain]
        self._options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(key),
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )

    def become(self, other: Certificate) -> None:
        """Take the place of this one, which has been loaded."""
        self._certificate_file, self._key_file = other._certificate_file, other._key_file
        self._options = other._options

    def getContext(self) -> Any:
        """The context for a new connection."""
        if self._options is None:
            raise RuntimeError("no certificate has been loaded")
        return self._options.getContext()


def _read(path: str, name: str, parse: Any) -> Any:
    try:
        with open(path, "rb") as file:
            return parse(file.read())
    except OSError as error:
        raise StartupError(f"httpd.{name}: {path} cannot be read: {error.strerror}") from error
    except TypeError as error:
        raise StartupError(f"httpd.{name}: {path} is protected by a passphrase") from error
    except ValueError as error:
        raise StartupError(f"httpd.{name}: {path} cannot be used: it is not PEM, or damaged") from error


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
